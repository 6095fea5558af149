"""How a device becomes known: single-use tokens exchanged for an identity."""
