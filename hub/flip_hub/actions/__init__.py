"""What people have a device do once: asked, delivered, done or not, and what came of it."""
