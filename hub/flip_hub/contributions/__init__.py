"""What became of the replies of devices: receipts, and what came too late for its round."""
