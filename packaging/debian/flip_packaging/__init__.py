"""Makes the Debian packages: wheels of the constraints on Debian's Python, packed by nfpm."""
