"""The hub itself, for the people who run it: how its parts are, and what it was set to."""
