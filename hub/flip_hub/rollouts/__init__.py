"""Brings a version to the fleet ring by ring, watches what devices report, and takes it back when it does badly."""
