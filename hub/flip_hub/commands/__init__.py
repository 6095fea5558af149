"""What the command line does: a module for each group of commands, with `add_parser` and what it adds."""
