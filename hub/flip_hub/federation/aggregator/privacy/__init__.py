"""Differential privacy in the ServerApp's process: Flower's wrappers by configuration, mended where the account needs
it (`docs/decisions/45-privacy.md`)."""
