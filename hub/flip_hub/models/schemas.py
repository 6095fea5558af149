"""Models and their versions as the API shows them."""

from msgspec import Struct

from flip_wire.models import Manifest, Probe, Sha256, TensorSpec


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
    withdrawn: str = ""
    """Why the hub brings it to no device any more: a rollout went back from it."""


class VersionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/v1/models/{name}/versions`: as `flip_wire.models.Manifest`, with finished uploads for its files."""

    weights: str
    """Id of an upload: safetensors."""
    graph: str | None = None
    """Id of an upload: ONNX without weights. Without it, or without a probe, the version cannot be served."""
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    labels: list[str] = []
    probe: Probe | None = None
    metrics: dict[str, float] = {}


class Model(Struct, frozen=True, kw_only=True):
    name: str
    versions: int
    latest: int
    promoted: int | None
    updated_at: float
