"""Who did what, and who was refused: a chain of entries that nobody changes without its being seen."""
