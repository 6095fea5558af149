"""The ServerApp's process: rounds of any Flower strategy, with the hub's Grid around it."""
