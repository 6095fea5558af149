"""Federated runs: SuperLink, gateway, run control, and what surrounds a ServerApp."""
