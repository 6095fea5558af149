"""Builds hub-ui (placeholder until hub-ui exists)."""
