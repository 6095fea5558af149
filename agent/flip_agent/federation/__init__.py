"""The training session: the only folder that knows Flower."""
