"""The hub's account of itself: traces, metrics, health."""
