"""Handwritten digits: a Flower app of one module, for the apps that ship with FLIP."""
