"""Model versions on the device: how they come, are kept, and replace each other."""
