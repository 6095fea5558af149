"""Where a version of a model comes from, and where it is."""
