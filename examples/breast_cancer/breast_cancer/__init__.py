"""Benign or malignant: an ordinary Flower app with a ClientApp and a ServerApp of its own."""
