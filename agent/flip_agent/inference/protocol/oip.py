"""The Open Inference Protocol v2 over REST: its messages, and inference requests and responses
as JSON, with bytes behind it where tensors are binary.

https://github.com/open-inference/open-inference-protocol
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from flip_agent.inference.problems import Refusal
from flip_agent.inference.protocol.binary_body import NOTHING, Body, InferInput, Pieces, TensorParameters
from flip_agent.inference.protocol.declared import in_order
from flip_agent.inference.protocol.json_tensors import declared_array, decode_json
from flip_agent.inference.protocol.raw_tensors import raw_bytes
from flip_agent.inference.tensors import DATATYPES, Array, expected
from flip_wire.models import LocalParts, Manifest, TensorSpec

Parameter = bool | int | float | str


class RequestedParameters(Struct, frozen=True, kw_only=True):
    binary_data: bool | None = None
    """As bytes behind the JSON; by default as the request's `binary_data_output` says."""


class RequestedOutput(Struct, frozen=True, kw_only=True):
    name: str
    parameters: RequestedParameters = RequestedParameters()


class InferRequest(Struct, frozen=True, kw_only=True):
    """Inference by the Open Inference Protocol: tensors in, tensors out."""

    inputs: list[InferInput]
    id: str = ""
    outputs: list[RequestedOutput] = []
    """Empty: all of them."""
    parameters: dict[str, Parameter] = {}
    """`timeout`: microseconds that the request may wait for its turn. `binary_data_output`: all outputs as bytes."""


class InferOutput(Struct, frozen=True, kw_only=True):
    name: str
    datatype: str
    shape: list[int]
    data: list[bool | int | float | None] | UnsetType = UNSET
    """Flat, in row-major order; JSON has no NaN: such a value is null."""
    parameters: TensorParameters | UnsetType = UNSET
    """Of an output that comes as bytes behind the JSON, without `data`."""


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


class ModelMetadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    versions: list[str]
    """That answer now: the active one, then the one before."""
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    local_parts: LocalParts | None = None
    """What answers in the place of the version's local parts; not of the protocol, and not told over gRPC."""


_request = msgspec.json.Decoder(InferRequest)
_response = msgspec.json.Encoder()


def decode_request(body: Body) -> InferRequest:
    """From the JSON of a body. Raises `Refusal`."""
    request = decode_json(_request, body, "the body")
    if not isinstance(request.parameters.get("binary_data_output", False), bool):
        raise Refusal("parameter 'binary_data_output' takes true or false")
    return request


def input_arrays(request: InferRequest, specs: Sequence[TensorSpec], binary: memoryview = NOTHING) -> list[Array]:
    """The request's tensors in the order of the model's inputs; `binary` is what follows the JSON. Raises `Refusal`."""
    declared = in_order(request.inputs, specs)
    pieces = Pieces(binary)
    if len(specs) == 1:
        arrays = [_input_array(specs[0], declared[0], pieces)]
    else:  # their bytes follow in the order of the request
        spec_of = {spec.name: spec for spec in specs}
        given = {tensor.name: _input_array(spec_of[tensor.name], tensor, pieces) for tensor in request.inputs}
        arrays = [given[spec.name] for spec in specs]
    pieces.check_all_taken(specs[-1], declared[-1])
    return arrays


def _input_array(spec: TensorSpec, tensor: InferInput, pieces: Pieces) -> Array:
    if (size := tensor.parameters.binary_data_size) is not None:
        return pieces.take(spec, tensor, size)
    if not len(tensor.data):
        raise Refusal(f"{expected(spec)}, and comes without the field `data` and without a binary_data_size")
    return declared_array(spec, tensor.shape, tensor.data)


def encode_response(request: InferRequest, manifest: Manifest, outputs: Sequence[Array]) -> tuple[bytes, int | None]:
    """The body, and the length of its JSON where bytes follow; `outputs` are in the order of the manifest's."""
    asked = {output.name: output.parameters.binary_data for output in request.outputs}
    all_binary = request.parameters.get("binary_data_output", False)
    binary: list[bytes] = []
    tensors: list[InferOutput] = []
    for spec, values in zip(manifest.outputs, outputs, strict=True):
        if asked and spec.name not in asked:
            continue
        as_bytes = asked.get(spec.name)
        if all_binary if as_bytes is None else as_bytes:
            binary.append(raw_bytes(values))
            tensors.append(_output(spec, values, parameters=TensorParameters(binary_data_size=len(binary[-1]))))
        else:
            tensors.append(_output(spec, values, data=values.ravel().tolist()))
    response = InferResponse(
        model_name=manifest.model, model_version=str(manifest.version), outputs=tensors, id=request.id
    )
    content = _response.encode(response)
    return (b"".join([content, *binary]), len(content)) if binary else (content, None)


def _output(spec: TensorSpec, values: Array, **given: Any) -> InferOutput:
    return InferOutput(name=spec.name, datatype=DATATYPES[spec.dtype].name, shape=list(values.shape), **given)


def tensor_metadata(specs: Sequence[TensorSpec]) -> list[TensorMetadata]:
    return [
        TensorMetadata(name=spec.name, datatype=DATATYPES[spec.dtype].name, shape=list(spec.shape)) for spec in specs
    ]
