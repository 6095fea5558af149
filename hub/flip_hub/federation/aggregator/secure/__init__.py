"""Secure aggregation in the ServerApp's process: the protocol of decision 41 over Flower's Grid."""
