"""What all calls of the API have in common: pages, chosen fields, ETags, idempotency keys, and their description."""
