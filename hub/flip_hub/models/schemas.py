"""Models and their versions as the API shows them."""

from msgspec import Struct

from flip_wire.models import Manifest, Sha256


class ModelVersion(Struct, frozen=True, kw_only=True):
    model: str
    version: int
    manifest_sha256: Sha256
    manifest: Manifest
    deployable: bool
    """False for "weights only" versions: kept and downloadable, not deployable."""
    promoted: bool
    """Whether this is the version that devices are meant to serve."""
    signatures: dict[str, str] = {}
    """By the ids of the keys; devices serve what a key has signed that they trust."""


class Model(Struct, frozen=True, kw_only=True):
    name: str
    versions: int
    latest: int
    promoted: int | None
    updated_at: float
