"""Where the facts come from: the registry, and the hub's own process and disk."""
