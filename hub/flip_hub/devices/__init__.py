"""The registry of devices: identity, what is wanted of them, what they report."""
