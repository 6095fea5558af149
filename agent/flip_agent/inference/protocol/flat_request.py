"""The most common form of a request, read without a Python object for each of its numbers: in half of the time.

That is JSON alone, of which each tensor's `data` is one flat list of numbers. A request of another form, or a wrong
one, is left to `oip.decode_request`, which says why.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import simdjson

from flip_agent.inference.protocol.binary_body import Body, InferInput
from flip_agent.inference.protocol.declared import in_order
from flip_agent.inference.protocol.json_tensors import flat_array
from flip_agent.inference.protocol.oip import InferRequest
from flip_agent.inference.tensors import Array
from flip_wire.models import TensorSpec

_parser = simdjson.Parser()  # keeps its memory from request to request; for the event loop's thread alone
_LARGEST = 2**20
"""Bytes; beyond them the memory that the parser keeps would count."""
_TENSOR = {"name", "datatype", "shape", "data"}
_NUMBERS = {
    **dict.fromkeys(("FP16", "FP32", "FP64"), ("d", np.dtype("f8"))),
    **dict.fromkeys(("INT8", "INT16", "INT32", "INT64"), ("i", np.dtype("i8"))),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32", "UINT64"), ("u", np.dtype("u8"))),
}
"""As what the numbers of a datatype are read: the widest type of their kind."""


class FlatRequest(NamedTuple):
    request: InferRequest
    """The inputs' `data` is empty there."""
    numbers: list[Array]
    """Of each input, one-dimensional and of the widest type of its kind."""

    def arrays(self, specs: Sequence[TensorSpec]) -> list[Array]:
        """The request's tensors in the order of the model's inputs. Raises `Refusal`."""
        tensors = in_order(self.request.inputs, specs)
        numbers = {tensor.name: numbers for tensor, numbers in zip(self.request.inputs, self.numbers, strict=True)}
        return [
            flat_array(spec, tensor.shape, numbers[tensor.name]) for spec, tensor in zip(specs, tensors, strict=True)
        ]


def read_flat(body: Body) -> FlatRequest | None:
    """None where the request has another form."""
    if len(body) > _LARGEST:
        return None
    content = bytes(body)
    try:
        return _request(_parser.parse(content), content.count(b"["))
    except (ValueError, TypeError, KeyError, RuntimeError, AttributeError, msgspec.ValidationError):
        return None  # no JSON, or not of these types


def _request(document: Any, lists: int) -> FlatRequest | None:
    """`lists`: how many the body holds, at the most. The parser would take a list within a list for a flat one."""
    tensors = document["inputs"]
    if lists != 1 + 2 * len(tensors) + ("outputs" in document):
        return None
    inputs: list[InferInput] = []
    numbers: list[Array] = []
    for tensor in tensors:
        if len(tensor) != len(_TENSOR) or set(tensor.keys()) != _TENSOR:
            return None
        code, dtype = _NUMBERS[tensor["datatype"]]
        numbers.append(np.frombuffer(tensor["data"].as_buffer(of_type=code), dtype))
        about = {key: tensor[key] for key in ("name", "datatype")}
        inputs.append(msgspec.convert(about | {"shape": tensor["shape"].as_list()}, InferInput))
    others = {key: _python(document[key]) for key in document.keys() if key != "inputs"}  # noqa: SIM118  no dict
    request = msgspec.convert({"inputs": (), **others}, InferRequest)
    return FlatRequest(msgspec.structs.replace(request, inputs=inputs), numbers)


def _python(value: Any) -> Any:
    if isinstance(value, simdjson.Object):
        return value.as_dict()
    return value.as_list() if isinstance(value, simdjson.Array) else value
