"""Tokens for programs: a part of what their owner may, until they expire or are revoked."""
