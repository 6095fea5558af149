"""Packages for devices: the apt repository that the hub hands out, and the script that installs from it."""
