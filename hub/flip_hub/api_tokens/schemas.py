"""Tokens for programs, as the API takes and shows them."""

from typing import Annotated

from msgspec import Meta, Struct

from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Username

GRANTED = frozenset(Permission) - {Permission.ACCOUNT}
"""What a token's scope may hold."""
LONGEST = 366 * 86400.0
"""Seconds."""


class NewApiToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    """What it is for."""
    scope: Annotated[list[Permission], Meta(min_length=1, max_length=64)]
    lifetime: Annotated[float, Meta(ge=60, le=LONGEST)] = 90 * 86400.0
    """Seconds."""
    username: Username | None = None
    """Whose it shall be, by default the caller's; another's is for who may manage accounts."""


class ApiToken(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    username: str
    scope: list[Permission]
    created_at: float
    expires_at: float
    last_used: float | None = None
    """To the minute."""


class MadeApiToken(Struct, frozen=True, kw_only=True):
    token: str
    """`flip_...`, shown only now."""
    about: ApiToken
