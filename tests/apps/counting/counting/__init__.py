"""The smallest stock Flower app, which knows nothing of FLIP."""
