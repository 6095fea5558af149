"""Tensors and parameters of the gRPC service: typed contents or raw bytes to arrays of exactly the declared type."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from flip_agent.inference.grpc import oip_pb2 as pb
from flip_agent.inference.problems import Refusal
from flip_agent.inference.protocol.declared import in_order
from flip_agent.inference.protocol.oip import Parameter
from flip_agent.inference.protocol.raw_tensors import raw_array, raw_bytes
from flip_agent.inference.tensors import DATATYPES, Array, check_finite, check_shape, expected, short_shape
from flip_wire.models import Manifest, TensorSpec

_FIELDS = {
    "bool": "bool_contents",
    "int8": "int_contents",
    "int16": "int_contents",
    "int32": "int_contents",
    "int64": "int64_contents",
    "uint8": "uint_contents",
    "uint16": "uint_contents",
    "uint32": "uint_contents",
    "uint64": "uint64_contents",
    "float32": "fp32_contents",
    "float64": "fp64_contents",
}
"""Of `contents`, by NumPy name; FP16 has none."""


def input_arrays(asked: pb.ModelInferRequest, specs: Sequence[TensorSpec]) -> list[Array]:
    """The request's tensors in the order of the model's inputs. Raises `Refusal`."""
    raw = asked.raw_input_contents
    if raw and len(raw) != len(asked.inputs):
        raise Refusal(f"{len(raw)} raw_input_contents for {len(asked.inputs)} inputs")
    places = {tensor.name: at for at, tensor in enumerate(asked.inputs)}
    declared = in_order(asked.inputs, specs)
    return [
        raw_array(spec, tensor.shape, raw[places[spec.name]]) if raw else _typed_array(spec, tensor)
        for spec, tensor in zip(specs, declared, strict=True)
    ]


def _typed_array(spec: TensorSpec, tensor: pb.ModelInferRequest.InferInputTensor) -> Array:
    check_shape(spec, tensor.shape)
    field = _FIELDS.get(spec.dtype)
    if field is None:
        raise Refusal(f"{expected(spec)}, which goes into raw_input_contents")
    values = getattr(tensor.contents, field)
    if len(values) != (count := math.prod(tensor.shape)):
        raise Refusal(f"{expected(spec)}, shape {short_shape(tensor.shape)} has {count} {field}, got {len(values)}")
    try:
        array = np.array(values, dtype=spec.dtype).reshape(tensor.shape)
    except OverflowError as error:
        raise Refusal(f"{expected(spec)}, got a number that this type cannot hold") from error
    check_finite(spec, array)
    return array


def parameters(given: Mapping[str, pb.InferParameter]) -> dict[str, Parameter]:
    return {name: getattr(value, chosen) for name, value in given.items() if (chosen := _chosen(value))}


def _chosen(value: pb.InferParameter) -> str | None:
    return value.WhichOneof("parameter_choice")


def response(asked: pb.ModelInferRequest, manifest: Manifest, outputs: Sequence[Array]) -> pb.ModelInferResponse:
    """`outputs` are in the order of the manifest's; those that were asked for are sent, or all."""
    wanted = {output.name for output in asked.outputs}
    chosen = [
        (spec, values)
        for spec, values in zip(manifest.outputs, outputs, strict=True)
        if not wanted or spec.name in wanted
    ]
    return pb.ModelInferResponse(
        model_name=manifest.model,
        model_version=str(manifest.version),
        id=asked.id,
        outputs=[
            pb.ModelInferResponse.InferOutputTensor(
                name=spec.name, datatype=DATATYPES[spec.dtype].name, shape=values.shape
            )
            for spec, values in chosen
        ],
        raw_output_contents=[raw_bytes(values) for _, values in chosen],
    )
