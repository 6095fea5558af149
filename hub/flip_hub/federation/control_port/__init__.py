"""Flower's Control API for people with accounts of the hub (9093): what `flwr login`, `run`, `list`, ... speak with."""
