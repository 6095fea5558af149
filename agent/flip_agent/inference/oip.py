"""The Open Inference Protocol v2 over REST: its messages, and inference requests and responses as JSON.

https://github.com/open-inference/open-inference-protocol
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from flip_agent.inference.declared import in_order
from flip_agent.inference.json_tensors import declared_array, decode_json
from flip_agent.inference.tensors import DATATYPES, Array
from flip_wire.models import Manifest, TensorSpec

Parameter = bool | int | float | str


class InferInput(Struct, frozen=True, kw_only=True):
    name: str
    datatype: str
    shape: list[int]
    data: Raw
    """Values in row-major order: one flat list, or nested as the shape says."""
    parameters: dict[str, Parameter] = {}


class RequestedOutput(Struct, frozen=True, kw_only=True):
    name: str
    parameters: dict[str, Parameter] = {}


class InferRequest(Struct, frozen=True, kw_only=True):
    """`POST /v2/models/{model}/infer`."""

    inputs: list[InferInput]
    id: str = ""
    outputs: list[RequestedOutput] = []
    """Empty: all of them."""
    parameters: dict[str, Parameter] = {}
    """`timeout`: microseconds that the request may wait for its turn."""


class InferOutput(Struct, frozen=True, kw_only=True):
    name: str
    datatype: str
    shape: list[int]
    data: list[bool | int | float | None]
    """Flat, in row-major order; JSON has no NaN: such a value is null."""


class InferResponse(Struct, frozen=True, kw_only=True, omit_defaults=True):
    model_name: str
    model_version: str
    outputs: list[InferOutput]
    id: str = ""


class Live(Struct, frozen=True, kw_only=True):
    live: bool


class Ready(Struct, frozen=True, kw_only=True):
    ready: bool


class ModelReady(Struct, frozen=True, kw_only=True):
    name: str
    ready: bool


class ServerMetadata(Struct, frozen=True, kw_only=True):
    name: str
    version: str
    extensions: list[str]


class TensorMetadata(Struct, frozen=True, kw_only=True):
    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Struct, frozen=True, kw_only=True):
    name: str
    versions: list[str]
    """That answer now: the active one, then the one before."""
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


_request = msgspec.json.Decoder(InferRequest)
_response = msgspec.json.Encoder()


def decode_request(body: bytes | bytearray) -> InferRequest:
    """Raises `Refusal`."""
    return decode_json(_request, body, "the body")


def input_arrays(request: InferRequest, specs: Sequence[TensorSpec]) -> list[Array]:
    """The request's tensors in the order of the model's inputs. Raises `Refusal`."""
    ordered = in_order(request.inputs, specs)
    return [declared_array(spec, tensor.shape, tensor.data) for tensor, spec in zip(ordered, specs, strict=True)]


def encode_response(request: InferRequest, manifest: Manifest, outputs: Sequence[Array]) -> bytes:
    """`outputs` are in the order of the manifest's."""
    asked = {output.name for output in request.outputs}
    response = InferResponse(
        model_name=manifest.model,
        model_version=str(manifest.version),
        outputs=[
            InferOutput(
                name=spec.name,
                datatype=DATATYPES[spec.dtype].name,
                shape=list(values.shape),
                data=values.ravel().tolist(),
            )
            for spec, values in zip(manifest.outputs, outputs, strict=True)
            if not asked or spec.name in asked
        ],
        id=request.id,
    )
    return _response.encode(response)


def tensor_metadata(specs: Sequence[TensorSpec]) -> list[TensorMetadata]:
    return [
        TensorMetadata(name=spec.name, datatype=DATATYPES[spec.dtype].name, shape=list(spec.shape)) for spec in specs
    ]
