"""Flower apps: what was uploaded, who has signed it, and whose signature the devices trust."""
