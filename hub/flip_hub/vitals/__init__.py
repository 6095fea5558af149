"""What devices said of their health over time."""
