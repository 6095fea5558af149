"""People with accounts on the hub."""
