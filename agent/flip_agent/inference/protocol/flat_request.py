"""The most common form of a request, read without a Python object for each of its numbers: in half of the time.

That is JSON alone, of which each tensor's `data` is one flat list of numbers. The lists are taken out and read as they
lie, what remains is short. A request of another form, or a wrong one, is left to `oip.decode_request`, which says why.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import simdjson

from flip_agent.inference.problems import Refusal
from flip_agent.inference.protocol.binary_body import Body
from flip_agent.inference.protocol.declared import in_order
from flip_agent.inference.protocol.json_tensors import flat_array
from flip_agent.inference.protocol.oip import InferRequest, decode_request
from flip_agent.inference.tensors import Array
from flip_wire.models import TensorSpec

_parser = simdjson.Parser()  # keeps its memory from request to request; for the event loop's thread alone
_LARGEST = 2**20
"""Bytes; beyond them the memory that the parser keeps would count."""
_MOST = 64
"""Tensors; a body may hold a hundred thousand lists."""
_DATA = re.compile(rb'"data"[ \t\r\n]*:[ \t\r\n]*(?=\[)')
_NUMBERS = {
    **dict.fromkeys(("FP16", "FP32", "FP64"), ("d", np.dtype("f8"))),
    **dict.fromkeys(("INT8", "INT16", "INT32", "INT64"), ("i", np.dtype("i8"))),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32", "UINT64"), ("u", np.dtype("u8"))),
}
"""As what the numbers of a datatype are read: the widest type of their kind."""


class FlatRequest(NamedTuple):
    request: InferRequest
    """Without its lists: their places hold nothing of meaning."""
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
    rest, lists = _taken_apart(bytes(body))
    if b"\\" in rest:  # a name may be written so that it was not found
        return None
    try:
        request = decode_request(rest)
        numbers: list[Array] = []
        for at, (tensor, data) in enumerate(zip(request.inputs, lists, strict=True)):
            if bytes(tensor.data) != _place(at) or tensor.parameters.binary_data_size is not None:
                return None
            numbers.append(_numbers(tensor.datatype, data))
    except (Refusal, ValueError, TypeError, KeyError, RuntimeError):
        return None  # no JSON, not of these types, or numbers of more than 64 bits
    return FlatRequest(request, numbers)


def _taken_apart(content: bytes) -> tuple[bytes, list[bytes]]:
    """What is beside the lists, with a mark at the place of each, and the lists, each up to the first `]`."""
    rest: list[bytes] = []
    lists: list[bytes] = []
    taken = 0
    while len(lists) < _MOST and (found := _DATA.search(content, taken)):
        start, end = found.end(), content.find(b"]", found.end()) + 1
        if not end:
            break
        rest += content[taken:start], _place(len(lists))
        lists.append(content[start:end])
        taken = end
    return b"".join((*rest, content[taken:])), lists


def _place(at: int) -> bytes:
    """No other value of a `data` looks like this one: every list was taken out."""
    return b"[%d]" % at


def _numbers(datatype: str, data: bytes) -> Array:
    """Raises `ValueError`, `TypeError`, `KeyError` or `RuntimeError` when they are not numbers of that kind, or not in
    one flat list: then its first `]` was not its end."""
    code, dtype = _NUMBERS[datatype]
    values = _parser.parse(data)
    if not isinstance(values, simdjson.Array):
        raise TypeError("a list was expected")
    return np.frombuffer(values.as_buffer(of_type=code), dtype)
