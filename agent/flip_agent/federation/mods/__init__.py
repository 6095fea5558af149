"""Mods, as Flower calls what stands around a ClientApp: `mod(message, context, call_next) -> Message`."""
