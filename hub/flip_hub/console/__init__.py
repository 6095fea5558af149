"""The console: the built files of hub-ui, served by the hub itself."""
