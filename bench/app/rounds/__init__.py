"""Rounds in which nobody computes anything: an ordinary Flower app, the same for both sides of a race."""
