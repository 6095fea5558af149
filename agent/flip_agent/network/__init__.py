"""What this device may exchange with its hub in a day, and how it keeps within that."""
