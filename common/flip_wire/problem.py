"""RFC 9457 problem details, as every error of the hub's API is answered."""

from msgspec import Struct


class Problem(Struct, frozen=True, kw_only=True):
    """`application/problem+json`."""

    title: str
    status: int
    detail: str
    hint: str = ""
    type: str = "about:blank"
