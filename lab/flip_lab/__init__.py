"""The fault lab: a whole hub, and many virtual devices to which everything happens that happens to real ones."""
