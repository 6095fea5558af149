"""What somebody should look at: found, kept, told once, silenced."""
