"""Which versions may go on answering."""
