"""Somebody else's Flower app: it imports nothing of FLIP, and only names an export."""
