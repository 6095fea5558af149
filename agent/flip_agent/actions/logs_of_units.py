"""Whose lines in the journal are this device's logs, as `journalctl` takes it."""

UNITS = ("--unit=flip-agent.service", "--unit=flip-train.service", "--unit=flip-inference@*.service")
