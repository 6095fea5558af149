"""What people of the hub have this device do once."""
