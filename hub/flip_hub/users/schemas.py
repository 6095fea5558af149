"""People with accounts, as the API shows and changes them."""

from msgspec import Struct

from flip_hub.auth.permissions import Role
from flip_hub.auth.schemas import NewPassword, Username


class Account(Struct, frozen=True, kw_only=True):
    username: str
    role: Role
    disabled: bool
    created_at: float
    provider: str
    """Issuer of the OIDC provider that this person logs in through; empty for a local account."""


class NewAccount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    username: Username
    role: Role
    password: NewPassword


class AccountChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not named stays."""

    role: Role | None = None
    disabled: bool | None = None


class PasswordReset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    password: NewPassword
