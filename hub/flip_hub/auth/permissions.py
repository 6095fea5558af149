"""Who may do what: one table, which the API, the WebSocket, the Control port and the admin socket all ask.

A route names a permission, never a role. Permissions are what an API token's scope is made of, so their names are kept.
"""

from enum import StrEnum


class Role(StrEnum):
    VIEWER = "viewer"
    """Looks."""
    OPERATOR = "operator"
    """Runs the fleet from day to day."""
    ADMIN = "admin"
    """Decides who may do so, and whose code devices run."""


class Permission(StrEnum):
    ACCOUNT = "account:manage"
    """One's own password, sessions and tokens; never within a token's scope."""
    DEVICES_READ = "devices:read"
    DEVICES_OPERATE = "devices:operate"
    DEVICES_ENROL = "devices:enrol"
    RUNS_READ = "runs:read"
    RUNS_OPERATE = "runs:operate"
    MODELS_READ = "models:read"
    MODELS_OPERATE = "models:operate"
    UPLOADS_MAKE = "uploads:make"
    """Bring files to the hub; what becomes of them takes other permissions."""
    APPS_READ = "apps:read"
    APPS_SIGN = "apps:sign"
    """Hand in a signature of a key that devices trust already."""
    APPS_TRUST = "apps:trust"
    """Decide which keys devices trust."""
    ALERTS_READ = "alerts:read"
    ALERTS_OPERATE = "alerts:operate"
    USERS_MANAGE = "users:manage"
    AUDIT_READ = "audit:read"
    HUB_READ = "hub:read"
    HUB_OPERATE = "hub:operate"


_LOOK = frozenset(
    {
        Permission.ACCOUNT,
        Permission.DEVICES_READ,
        Permission.RUNS_READ,
        Permission.MODELS_READ,
        Permission.APPS_READ,
        Permission.ALERTS_READ,
        Permission.HUB_READ,
    }
)
_OPERATE = frozenset(
    {
        Permission.DEVICES_OPERATE,
        Permission.DEVICES_ENROL,
        Permission.RUNS_OPERATE,
        Permission.MODELS_OPERATE,
        Permission.UPLOADS_MAKE,
        Permission.APPS_SIGN,
        Permission.ALERTS_OPERATE,
    }
)

GRANTS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _LOOK,
    Role.OPERATOR: _LOOK | _OPERATE,
    Role.ADMIN: frozenset(Permission),
}
