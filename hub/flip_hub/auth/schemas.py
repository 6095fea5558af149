"""What login takes and gives."""

from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    ADMIN = "admin"


class Login(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    username: str
    password: str


class Session(Struct, frozen=True, kw_only=True):
    token: str
    """JWT for `Authorization: Bearer`."""
    expires_at: float
    username: str
    role: Role


class Me(Struct, frozen=True, kw_only=True):
    username: str
    role: Role
