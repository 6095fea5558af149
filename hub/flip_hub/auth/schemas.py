"""What the calls about one's own account take and give."""

from typing import Annotated, Self

from msgspec import Meta, Struct

from flip_hub.auth.permissions import GRANTS, Permission, Role

Username = Annotated[str, Meta(pattern=r"^[\w.@+-]+(?!\n)$", max_length=64)]
"""Letters, digits and . _ @ + -"""
NewPassword = Annotated[str, Meta(min_length=12, max_length=1024)]


class Login(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    username: Annotated[str, Meta(max_length=256)]
    password: Annotated[str, Meta(max_length=1024)]
    cookie: bool = False
    """For a browser: the refresh token comes in a cookie that no script can read, not in the answer."""


class Refresh(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    refresh_token: str = ""
    """Empty for a browser, which sends its cookie."""


class Setup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first admin."""

    code: Annotated[str, Meta(max_length=256)]
    """As `setup.code` in the hub's state folder says it."""
    username: Username
    password: NewPassword
    cookie: bool = False


class PasswordChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    old: Annotated[str, Meta(max_length=1024)]
    new: NewPassword
    cookie: bool = False


class Session(Struct, frozen=True, kw_only=True):
    token: str
    """JWT for `Authorization: Bearer`."""
    expires_at: float
    """Of the token, which is short-lived; the session goes on with a refresh."""
    username: str
    role: Role
    refresh_token: str = ""
    """For one refresh, which gives the next one. Empty where it came in a cookie."""
    ends_at: float = 0.0
    """When the session ends, however often it is refreshed."""


class Me(Struct, frozen=True, kw_only=True):
    """Whoever calls."""

    username: str
    role: Role
    permissions: list[Permission]
    """Of the role; with an API token, those of them that are in its scope."""

    @classmethod
    def of(cls, username: str, role: Role, scope: frozenset[Permission] = frozenset(Permission)) -> Self:
        return cls(username=username, role=role, permissions=sorted(GRANTS[role] & scope))

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions


class RoleGrant(Struct, frozen=True, kw_only=True):
    role: Role
    permissions: list[Permission]


class OpenSession(Struct, frozen=True, kw_only=True):
    """A login that goes on."""

    id: str
    begun_at: float
    used_at: float
    """When it was last refreshed."""
    ends_at: float
    address: str
    """Where the login came from."""
    agent: str
    """What the program said it is."""
    current: bool
    """Whether it is the one that asks."""


class Ended(Struct, frozen=True, kw_only=True):
    username: str


class Ways(Struct, frozen=True, kw_only=True):
    """How one gets in here."""

    setup: bool
    """Whether nobody has an account yet: the first admin is made with the set-up code."""
    session: bool
    """Whether the browser brought the cookie of a session."""
    oidc: str
    """Name of the provider behind `/api/v1/auth/oidc/login`; empty without one."""
