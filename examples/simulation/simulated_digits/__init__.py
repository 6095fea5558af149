"""Handwritten digits on simulated devices: past one machine, in Flower's own simulation runtime."""
