"""The registry in one file: taken while hubs run, and restored."""
