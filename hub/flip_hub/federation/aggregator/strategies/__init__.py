"""What a strategy computes from the updates of devices, and the strategies that a run can be started with by name."""
