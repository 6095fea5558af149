"""What a strategy remembers from round to round, as bytes: plain values, NumPy arrays and Flower's records.

Nothing is pickled: only values of these kinds are written, and only into attributes of an object that the app has made
anew. What is of another kind (a function, an open file) is not kept, and named. Large values lie outside the tree, so
that writing copies none of them.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy import Result, Strategy
from msgspec import Struct

from flip_runtime.errors import Corrupt

_LENGTH = 8
_INT64 = range(-(2**63), 2**64)
_RECORDS: dict[str, Any] = {"arrays": ArrayRecord, "metrics": MetricRecord, "config": ConfigRecord, "all": RecordDict}


class Plain(Struct, frozen=True, tag=True):
    value: bool | int | float | str | None


class Blob(Struct, frozen=True, tag=True):
    number: int


class Nd(Struct, frozen=True, tag=True):
    """A NumPy array, or scalar."""

    number: int
    dtype: str
    shape: list[int]
    scalar: bool


class Held(Struct, frozen=True, tag=True):
    """An `Array` of Flower's."""

    number: int
    dtype: str
    shape: list[int]
    stype: str


class Listed(Struct, frozen=True, tag=True):
    items: "list[Node]"
    kind: str
    """`list`, `tuple` or `set`."""


class Mapped(Struct, frozen=True, tag=True):
    pairs: "list[tuple[Node, Node]]"
    kind: str
    """`dict`, or one of `_RECORDS`."""


class Fields(Struct, frozen=True, tag=True):
    """Attributes of an object; the object itself is the app's."""

    values: "dict[str, Node]"
    kind: str = ""
    """Its class's name; empty in checkpoints of before it was kept."""


Node = Plain | Blob | Nd | Held | Listed | Mapped | Fields


class Written(Struct):
    """What `write` gives."""

    tree: bytes
    blobs: list[bytes]
    left_out: list[str]
    """Paths of what was not kept, with its type."""

    @property
    def pieces(self) -> list[bytes]:
        """To be put behind each other; `read` takes them apart."""
        sizes = msgspec.msgpack.encode([len(self.tree), *(len(blob) for blob in self.blobs)])
        return [len(sizes).to_bytes(_LENGTH, "big"), sizes, self.tree, *self.blobs]


def write(values: Mapping[str, object]) -> Written:
    """Of named values; a `Strategy` or `Result` among them is written by its attributes."""
    writer = _Writer()
    tree = Fields({name: writer.node(value, name) or Plain(None) for name, value in values.items()})
    return Written(tree=msgspec.msgpack.encode(tree), blobs=writer.blobs, left_out=writer.left_out)


class Memory:
    """What was read again."""

    def __init__(self, content: bytes) -> None:
        """Raises `Corrupt`."""
        view = memoryview(content)
        try:
            begin = _LENGTH + int.from_bytes(view[:_LENGTH], "big")
            sizes = msgspec.msgpack.decode(view[_LENGTH:begin], type=list[int])
            self._blobs: list[memoryview] = []
            for size in sizes:
                self._blobs.append(view[begin : begin + size])
                begin += size
            self._tree = msgspec.msgpack.decode(self._blobs.pop(0), type=Fields)
        except (msgspec.DecodeError, IndexError) as error:
            raise Corrupt(f"a checkpoint cannot be read: {error}") from error

    def value(self, name: str) -> Any:
        """None when there is none of that name."""
        node = self._tree.values.get(name)
        return None if node is None else self._value(node)

    def into(self, name: str, target: object) -> None:
        """Sets the attributes of `target` that were kept under that name."""
        node = self._tree.values.get(name)
        if isinstance(node, Fields):
            self._set(node, target)

    def learnt(self, name: str, target: object) -> None:
        """The same without what its constructor is told: of an object of that kind that was made for something else."""
        node = self._tree.values.get(name)
        if isinstance(node, Fields):
            self._set(_learnt(node, target), target)

    def _set(self, node: Fields, target: object) -> None:
        for name, kept in node.values.items():
            inner = getattr(target, name, None)
            if isinstance(kept, Fields) and isinstance(inner, Strategy | Result):
                self._set(kept, inner)
            elif not isinstance(kept, Fields):
                setattr(target, name, self._value(kept))

    def _value(self, node: Node) -> Any:
        match node:
            case Plain(value):
                return value
            case Blob(number):
                return bytes(self._blobs[number])
            case Nd(number, dtype, shape, scalar):
                array = np.frombuffer(self._blobs[number], dtype=np.dtype(dtype)).reshape(shape).copy()
                return array[()] if scalar else array
            case Held(number, dtype, shape, stype):
                return Array(dtype, tuple(shape), stype, bytes(self._blobs[number]))
            case Listed(items, kind):
                values = [self._value(item) for item in items]
                return values if kind == "list" else tuple(values) if kind == "tuple" else set(values)
            case Mapped(pairs, kind):
                found = {self._value(key): self._value(value) for key, value in pairs}
                return found if kind == "dict" else _RECORDS[kind](found)
            case Fields(values):
                return {name: self._value(value) for name, value in values.items()}


def _learnt(node: Fields, target: object) -> Fields:
    """Empty where `target` is of another kind."""
    if node.kind not in ("", type(target).__name__):
        return Fields({})
    told = {name for kind in type(target).__mro__ for name in inspect.signature(kind.__init__).parameters}
    inner = {name: getattr(target, name, None) for name in node.values}
    return Fields(
        {
            name: _learnt(kept, inner[name]) if isinstance(kept, Fields) else kept
            for name, kept in node.values.items()
            if isinstance(kept, Fields) or name not in told
        }
    )


class _Writer:
    def __init__(self) -> None:
        self.blobs: list[bytes] = []
        self.left_out: list[str] = []

    def node(self, value: object, path: str) -> Node | None:
        """None, and a line in `left_out`, for what is not kept."""
        match value:
            case None | bool() | str() | float():
                return Plain(value)
            case int():
                return Plain(value) if value in _INT64 else self._not(value, path)
            case bytes() | bytearray():
                return Blob(self._put(bytes(value)))
            case np.ndarray() | np.generic():
                return self._array(np.asarray(value), isinstance(value, np.generic), path)
            case Array():
                return Held(self._put(value.data), value.dtype, list(value.shape), value.stype)
            case list() | tuple() | set():
                return self._listed(cast(Sequence[object], value), type(value).__name__, path)
            case Strategy() | Result():
                kept = {name: self.node(each, f"{path}.{name}") for name, each in vars(value).items()}
                attributes = {name: each for name, each in kept.items() if each is not None}
                return Fields(attributes, type(value).__name__)
            case dict():
                return self._mapped(cast(dict[object, object], value), "dict", path)
            case _:
                kind = next((name for name, kind in _RECORDS.items() if isinstance(value, kind)), None)
                return self._not(value, path) if kind is None else self._mapped(cast(Any, value), kind, path)

    def _array(self, array: np.ndarray[Any, Any], scalar: bool, path: str) -> Node | None:
        if array.dtype.hasobject:
            return self._not(array, path)
        return Nd(self._put(array.tobytes()), array.dtype.str, list(array.shape), scalar)

    def _listed(self, items: Sequence[object], kind: str, path: str) -> Node | None:
        if type(items) not in (list, tuple, set):
            return self._not(items, path)  # a named tuple, say
        nodes = [self.node(item, f"{path}[{number}]") for number, item in enumerate(items)]
        return None if None in nodes else Listed([node for node in nodes if node is not None], kind)

    def _mapped(self, mapping: Mapping[object, object], kind: str, path: str) -> Node | None:
        pairs = [(self.node(key, path), self.node(value, f"{path}[{key!r}]")) for key, value in mapping.items()]
        whole = [(key, value) for key, value in pairs if key is not None and value is not None]
        return Mapped(whole, kind) if len(whole) == len(pairs) else None

    def _put(self, content: bytes) -> int:
        self.blobs.append(content)
        return len(self.blobs) - 1

    def _not(self, value: object, path: str) -> None:
        if not callable(value):  # the app's constructor makes these anew
            self.left_out.append(f"{path} ({type(value).__name__})")
