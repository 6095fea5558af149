"""What the processes of one hub share beside the registry: short-lived values, and what they tell one another."""
