"""Reads as much of an ONNX graph as must be known before onnxruntime sees it: opset, and where its tensors lie.

An ONNX file may name other files of the machine as the place of a tensor. Ours is weightless: each tensor of size is an
initializer that the weights file supplies by name, and the graph itself carries only shape constants. The format is
protobuf (onnx.proto3); the numbers below are its field numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from flip_runtime.errors import Rejected

_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTIONS = 7, 8, 25
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES = 22, 23
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_LOCATION = 1, 2, 8, 14
_EXTERNAL = 1

_VARINT, _I64, _LENGTH, _I32 = 0, 1, 2, 5

Value = int | memoryview


@dataclass(slots=True)
class ExternalTensor:
    elem_type: int
    """A number of `TensorProto.DataType`."""
    shape: list[int]


@dataclass(slots=True)
class OnnxFile:
    opset: int = 0
    """Version of ONNX's own operators."""
    external: dict[str, ExternalTensor] = field(default_factory=dict[str, ExternalTensor])
    """Initializers that the weights supply."""
    embedded: int = 0
    """Bytes of the tensors that the graph carries itself."""


def read_onnx(content: bytes) -> OnnxFile:
    """Raises `Rejected` when it is no ONNX, or keeps tensors where ours never does."""
    found = OnnxFile()
    graphs = 0
    try:
        for number, value in _fields(memoryview(content)):
            if number == _MODEL_GRAPH:
                graphs += 1
                _read_graph(found, value)
            elif number == _MODEL_OPSET:
                _read_opset(found, value)
            elif number == _MODEL_FUNCTIONS:
                raise Rejected("the graph defines functions of its own", hint="export it inlined")
    except (ValueError, IndexError, TypeError, RecursionError) as error:
        raise Rejected(f"the graph is no ONNX file: {error}") from error
    if graphs != 1 or not found.opset:
        raise Rejected("the graph is no ONNX file: it has no graph or no opset")
    return found


def _read_opset(found: OnnxFile, message: Value) -> None:
    domain, version = "", 0
    for number, value in _fields(message):
        if number == _OPSET_DOMAIN:
            domain = bytes(_bytes(value)).decode()
        elif number == _OPSET_VERSION:
            version = _int(value)
    if domain in ("", "ai.onnx"):
        found.opset = version


def _read_graph(found: OnnxFile, message: Value, *, top: bool = True) -> None:
    for number, value in _fields(message):
        if number == _GRAPH_NODE:
            _read_node(found, value)
        elif number == _GRAPH_INITIALIZER:
            _read_tensor(found, value, may_be_external=top)
        elif number == _GRAPH_SPARSE:
            raise Rejected("the graph has sparse tensors")


def _read_node(found: OnnxFile, message: Value) -> None:
    for number, attribute in _fields(message):
        if number != _NODE_ATTRIBUTE:
            continue
        for kind, value in _fields(attribute):
            if kind in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                _read_tensor(found, value, may_be_external=False)
            elif kind in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                _read_graph(found, value, top=False)
            elif kind in (_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES):
                raise Rejected("the graph has sparse tensors")


def _read_tensor(found: OnnxFile, message: Value, *, may_be_external: bool) -> None:
    name, elem_type, external = "", 0, False
    shape: list[int] = []
    for number, value in _fields(message):
        if number == _TENSOR_DIMS:
            shape += [value] if isinstance(value, int) else _packed(value)
        elif number == _TENSOR_TYPE:
            elem_type = _int(value)
        elif number == _TENSOR_NAME:
            name = bytes(_bytes(value)).decode()
        elif number == _TENSOR_LOCATION:
            external = _int(value) == _EXTERNAL
    if not external:
        found.embedded += len(_bytes(message))
    elif may_be_external and name not in found.external:
        found.external[name] = ExternalTensor(elem_type, shape)
    else:
        raise Rejected(f"the graph takes tensor '{name[:100]}' from a file that is not the weights")


# ---- protobuf ----


def _fields(message: Value) -> Iterator[tuple[int, Value]]:
    """Number and value of each field. Raises `ValueError` or `IndexError` when the message is damaged."""
    content = _bytes(message)
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == _LENGTH:
            length, at = _varint(content, at)
        elif kind in (_I32, _I64):
            length = 4 if kind == _I32 else 8
        else:
            raise ValueError(f"wire type {kind}")
        if at + length > len(content):
            raise ValueError("it is cut short")
        yield number, content[at : at + length]
        at += length


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """The number, and where the next begins."""
    result = 0
    for shift in range(0, 70, 7):
        byte = content[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
    raise ValueError("a number has more than ten bytes")


def _packed(content: memoryview) -> list[int]:
    numbers: list[int] = []
    at = 0
    while at < len(content):
        number, at = _varint(content, at)
        numbers.append(number)
    return numbers


def _int(value: Value) -> int:
    if isinstance(value, int):
        return value
    raise TypeError("a number was expected")


def _bytes(value: Value) -> memoryview:
    if isinstance(value, memoryview):
        return value
    raise TypeError("a message was expected")
