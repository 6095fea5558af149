"""Apps and the keys that sign them, as the API shows them."""

from msgspec import Struct

from flip_hub.federation.schemas import Value
from flip_wire.models import Sha256


class AppSignature(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/v1/apps/{fab_hash}/signatures`."""

    key: str
    """Id of the key; it must be one that devices trust."""
    signature: str
    """Base64 (alphabet for URLs) of the ed25519 signature over `flip_wire.apps.signed_content`."""
    signed_at: int


class App(Struct, frozen=True, kw_only=True):
    """A Flower app (FAB), stored by its hash."""

    fab_hash: Sha256
    publisher: str
    name: str
    version: str
    size: int
    config: dict[str, Value]
    """The app's own defaults, from `[tool.flwr.app.config]`."""
    export: str | None
    """`[tool.flip] export`, the entry point that makes its models servable; without it versions are weights only."""
    uploaded_at: float
    signatures: list[AppSignature] = []
    """One for each key; devices run the app when they trust one of them."""


class UploadedApp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/v1/apps/uploaded`."""

    upload: str
    """Id of a finished upload: the FAB."""


class AppKeyRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/v1/app-keys`."""

    public_key: str
    """A line of OpenSSH's format, as in `id_ed25519.pub`."""
    name: str
    """Whose key it is, for people."""


class AppKey(Struct, frozen=True, kw_only=True):
    """Devices that enrol from now on run what this key has signed."""

    id: str
    """`key-` and 16 hexadecimal digits, from the key itself."""
    public_key: str
    name: str
    added_by: str
    """A user; empty for the hub's own key."""
    added_at: float | None
    """None for the hub's own key."""
