"""What can be wrong with a device: one file per subject, with what the agent can do about it."""
