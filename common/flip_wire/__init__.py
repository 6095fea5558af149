"""The Structs that agent and hub exchange, and nothing else.

Everything here is a frozen `msgspec.Struct`; unknown fields are ignored on decoding, so that an older end understands
a newer one. Times are seconds since the Unix epoch (UTC, float) unless a name says otherwise.
"""
