"""Differential privacy of a run: what a person asks for, what it costs, and when that is too much."""
