"""The hub's API as the daemon speaks it: connections, tokens, whether it answers."""
