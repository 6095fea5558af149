"""The chains of runs' receipts: what became of each contribution, for anybody to check."""
