"""Files by their SHA-256, in a folder or in a bucket of an S3-compatible store."""
