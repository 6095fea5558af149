"""What happens to an update between a ClientApp and a strategy: the same arithmetic on the device and on the hub."""
