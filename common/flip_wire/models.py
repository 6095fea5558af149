"""A model version: a manifest that names content-addressed files by their hash."""

from typing import Literal, NewType

import msgspec
from msgspec import Struct

Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits."""

MANIFEST_FORMAT = 1

GRAPH = "graph.onnx"
WEIGHTS = "weights.safetensors"


class FileRef(Struct, frozen=True, kw_only=True):
    name: str
    """`graph.onnx` or `weights.safetensors`."""
    sha256: Sha256
    size: int
    """Bytes."""


class TensorSpec(Struct, frozen=True, kw_only=True):
    name: str
    dtype: str
    """A NumPy name such as `float32`."""
    shape: list[int]
    """-1 stands for any length; the first dimension is the batch."""


class Tensor(Struct, frozen=True, kw_only=True):
    """A small tensor by value, row-major."""

    name: str
    dtype: str
    shape: list[int]
    data: list[float]


class Probe(Struct, frozen=True, kw_only=True):
    """Inputs with the outputs the exporter saw; a device serves a version only if it gets the same."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    tolerance: float = 1e-4
    """Largest absolute difference allowed."""


class Manifest(Struct, frozen=True, kw_only=True):
    """Describes one version; without a graph it is "weights only": kept and downloadable, not deployable."""

    model: str
    version: int
    created_at: float
    weights: FileRef
    graph: FileRef | None = None
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    labels: list[str] = []
    """Names of the classes, in the order of the last output dimension; empty when the output is no class score."""
    probe: Probe | None = None
    run_id: str = ""
    round: int = 0
    metrics: dict[str, float] = {}
    local: list[str] = []
    """Patterns (`fnmatch`) of the tensors in whose place each device serves its own, where it has trained them."""
    format: int = MANIFEST_FORMAT

    @property
    def deployable(self) -> bool:
        return self.graph is not None and self.probe is not None

    @property
    def batched(self) -> bool:
        """Whether rows of several requests may be computed together."""
        return all(spec.shape[:1] == [-1] for spec in (*self.inputs, *self.outputs))

    @property
    def files(self) -> list[FileRef]:
        return [self.weights] if self.graph is None else [self.graph, self.weights]


class ModelAssignment(Struct, frozen=True, kw_only=True):
    """What a device shall serve: the manifest's own hash pins everything it names."""

    model: str
    version: int
    manifest: Sha256
    size: int
    """Bytes of the manifest."""
    signatures: dict[str, str] = {}
    """Base64 of Ed25519 signatures over `statement()`, by the ids of the keys (`flip_wire.keys`)."""

    def statement(self) -> bytes:
        """The bytes that are signed; the name, which may hold anything, comes last."""
        return f"flip-model-version\n{self.manifest}\n{self.size}\n{self.version}\n{self.model}".encode()


class LocalParts(Struct, frozen=True, kw_only=True):
    """What answers on a device in the place of a version's local parts."""

    served: Literal["own", "untrained", "refused"]
    """`own`: those that this device has trained; else the version's, which the run began with: `untrained`: it has none
    of that run; `refused`: its own cannot be served."""
    run_id: str
    round: int = 0
    """After whose training its own are."""
    trained_at: float = 0.0
    """By the device's clock."""
    reason: str = ""
    """Why its own are refused."""


class RolledBack(Struct, frozen=True, kw_only=True):
    """A device has gone back to the version before; travels as the telemetry event `rollback`, an alert."""

    model: str
    version: int
    """That was given up; it is not brought again while the hub wants no other."""
    manifest: Sha256
    to_version: int
    reason: str
    at: float
    """By the device's clock."""


def encode_manifest(manifest: Manifest) -> bytes:
    """The canonical JSON whose SHA-256 is the manifest's address."""
    fields = msgspec.to_builtins(manifest)
    if not manifest.local:  # as it was written before there were any
        del fields["local"]
    return msgspec.json.encode(fields, order="sorted")


def decode_manifest(content: bytes) -> Manifest:
    """Raises `msgspec.ValidationError` when it is no manifest of a format this side knows."""
    manifest = msgspec.json.decode(content, type=Manifest)
    if manifest.format > MANIFEST_FORMAT:
        raise msgspec.ValidationError(f"manifest format {manifest.format} is newer than {MANIFEST_FORMAT}")
    return manifest
