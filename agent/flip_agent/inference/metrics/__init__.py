"""What was answered, counted; for Prometheus, the device and the hub."""
