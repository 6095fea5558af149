"""Runs of which the hub learns sums alone: what a plan says of it, and which plans it refuses."""
