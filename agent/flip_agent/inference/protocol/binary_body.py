"""A body of JSON with tensors as bytes behind it: the protocol's binary tensor extension, both ways.

`Inference-Header-Content-Length` says where the JSON ends. The bytes behind it belong to the tensors with a
`binary_data_size`, in their order and without gaps; a request whose tensors want more of them, or leave some, is
refused. The Content-Type means nothing: clients leave it out.
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_binary_data.html
"""

from collections.abc import Sequence

from msgspec import Raw, Struct, field

from flip_agent.inference.problems import Refusal
from flip_agent.inference.protocol.raw_tensors import raw_array, raw_size
from flip_agent.inference.tensors import Array, check_shape, expected, short_shape
from flip_wire.models import TensorSpec

HEADER_LENGTH = b"inference-header-content-length"

Body = bytes | bytearray | memoryview
NOTHING = memoryview(b"")


class TensorParameters(Struct, frozen=True, kw_only=True, omit_defaults=True):
    binary_data_size: int | None = None
    """Bytes of this tensor behind the JSON; it then has no `data`."""


class InferInput(Struct, frozen=True, kw_only=True):
    name: str
    datatype: str
    shape: list[int]
    data: Raw = field(default_factory=Raw)
    """Values in row-major order: one flat list, or nested as the shape says."""
    parameters: TensorParameters = TensorParameters()


def split(body: Body, header_length: bytes | None) -> tuple[Body, memoryview]:
    """The JSON, and the bytes behind it. Raises `Refusal`."""
    if header_length is None:
        return body, NOTHING
    length = int(header_length) if header_length.isdigit() and len(header_length) < 16 else -1
    if not 0 <= length <= len(body):
        raise Refusal(
            f"Inference-Header-Content-Length is no number of bytes from 0 to {len(body)}, the length of the body",
            hint="it is the length of the JSON, after decompression",
        )
    whole = memoryview(body)
    return whole[:length], whole[length:]


class Pieces:
    """Gives each tensor its bytes, in the order of the request."""

    def __init__(self, binary: memoryview) -> None:
        self._binary = binary
        self._taken = 0

    def take(self, spec: TensorSpec, tensor: InferInput, size: int) -> Array:
        """Raises `Refusal`."""
        if len(tensor.data):
            raise Refusal(f"{expected(spec)}, got both `data` and a binary_data_size")
        left = len(self._binary) - self._taken
        if not 0 <= size <= left:
            check_shape(spec, tensor.shape)
            raise Refusal(f"{_has_bytes(spec, tensor.shape)}, binary_data_size is {_short(size)}, {left} bytes follow")
        self._taken += size
        return raw_array(spec, tensor.shape, self._binary[self._taken - size : self._taken])

    def check_all_taken(self, spec: TensorSpec, tensor: InferInput) -> None:
        """Raises `Refusal`, which names the last tensor."""
        if surplus := len(self._binary) - self._taken:
            raise Refusal(f"{_has_bytes(spec, tensor.shape)}, {surplus} bytes follow that belong to no tensor")


def _has_bytes(spec: TensorSpec, shape: Sequence[int]) -> str:
    return f"{expected(spec)}, shape {short_shape(shape)} has {raw_size(spec, shape)} bytes"


def _short(size: int) -> str:
    return str(size) if abs(size) < 2**63 else "too large to show"


def only_array(specs: Sequence[TensorSpec], content: memoryview) -> Array:
    """From a body without JSON: rows of the model's only input. Raises `Refusal`."""
    if len(specs) != 1 or -1 in specs[0].shape[1:]:
        raise Refusal(
            f"a body without JSON is for models with one input and rows of one size; {'; '.join(map(expected, specs))}"
        )
    row = raw_size(specs[0], specs[0].shape[1:])
    if not content or len(content) % row:
        raise Refusal(f"{expected(specs[0])}, a row has {row} bytes, got {len(content)}")
    return raw_array(specs[0], [len(content) // row, *specs[0].shape[1:]], content)
