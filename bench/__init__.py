"""What FLIP costs beside its peers, measured in the same run: `scripts/bench NAME`."""
