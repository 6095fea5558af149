"""How the device is: what may be wrong with it, who looks, what the agent mends by itself, and what it tells."""
