"""The registry of models: versions, their content-addressed files, which one is promoted."""
