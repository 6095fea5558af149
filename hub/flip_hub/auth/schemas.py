"""What login takes and gives."""

from typing import Self

from msgspec import Struct

from flip_hub.auth.permissions import GRANTS, Permission, Role


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
    """Whoever calls."""

    username: str
    role: Role
    permissions: list[Permission]
    """Of the role; with an API token, those of them that are in its scope."""

    @classmethod
    def of(cls, username: str, role: Role) -> Self:
        return cls(username=username, role=role, permissions=sorted(GRANTS[role]))

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions
