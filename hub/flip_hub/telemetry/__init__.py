"""Events from devices, inserted once."""
