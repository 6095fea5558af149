"""RFC 9457 problem details, as every error of the hub's API is answered."""

from msgspec import Struct


class Problem(Struct, frozen=True, kw_only=True):
    """`application/problem+json`."""

    title: str
    status: int
    detail: str
    hint: str = ""
    type: str = "about:blank"
    trace_id: str = ""
    """Of the request, by which the hub's logs and traces tell the rest; empty where there is none."""
