"""What the registry in MongoDB consists of, and how it is made so."""
