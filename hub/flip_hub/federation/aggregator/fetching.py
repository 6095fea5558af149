"""Replies are fetched one after the other and piece by piece: of a large one a single chunk of an array is in memory.

Flower's `HttpGrid.pull_messages` fetches all replies that are ready, with all that they consist of, and puts each
together in memory, for which it needs four to eight times its size. Here a chunk goes to the spool as it comes. Every
object is checked against its name, its SHA-256: what is signed as a hash need not be hashed again. A reply that its
device is still sending holds up no other one. What cannot be put together is one that failed, not the end of the run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from math import prod
from typing import Any, NamedTuple, cast

import httpx
import msgspec
import numpy as np
from flwr.app import Array, ArrayRecord, Message, Metadata
from flwr.app.error import Error
from flwr.app.message import make_message
from flwr.app.message.arraychunk import ArrayChunk
from flwr.common.constant import ErrorCode
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest
from flwr.proto.runtime_pb2 import PullAppMessagesRequest
from flwr.serverapp import Grid
from flwr.supercore.constant import HEAD_BODY_DIVIDER, SYSTEM_MESSAGE_TYPE
from flwr.supercore.date import now
from flwr.supercore.inflatable import inflatable_utils
from flwr.supercore.inflatable.inflatable_object import (
    get_object_body,
    get_object_head_values_from_object_content,
    get_object_id,
)
from flwr.supercore.inflatable.inflatable_protobuf_utils import make_pull_object_fn_protobuf
from flwr.supercore.inflatable.inflatable_utils import ObjectPullError, ObjectUnavailableError
from google.protobuf.message import DecodeError
from msgspec import Struct

from flip_hub.federation.aggregator.allocator import drop_calls
from flip_hub.federation.aggregator.spool import SMALL, Place, Spool, SpoolFile
from flip_runtime.errors import Rejected

_MOST_HEADER = 4096
"""Bytes that an array's own format adds to its numbers."""


_ARRIVING = 10_000
"""Replies that may be on their way; beyond that the first are given up."""


class _Arriving(NamedTuple):
    head: Any
    tree: Any
    missing: str
    """An object that was not there when last looked."""


class _OnItsWayError(Exception):
    def __init__(self, object_id: str) -> None:
        super().__init__(object_id)
        self.object_id = object_id


class Fetching:
    """`pull_messages` of a Flower Grid, which gives a reply before it fetches the next one."""

    def __init__(self, grid: Any, spool: Spool | None) -> None:
        """`grid`: an `HttpGrid`."""
        self._grid = grid
        self._assembly = Assembly(spool, self._pulled)
        self._arriving: dict[str, _Arriving] = {}
        """By the instruction that they answer. The SuperLink tells of a reply once."""

    def __call__(self, message_ids: Iterable[str]) -> Iterator[Message]:
        wanted = list(message_ids)
        known = {key: None for key in wanted if key in self._arriving}
        # chosen before those that arrive now are forgotten: asked again, the SuperLink has never heard of them
        request = PullAppMessagesRequest(message_ids=[key for key in wanted if key not in known])
        yield from self._arrived(known)
        try:
            ready = self._grid._runtime_client.PullMessages(request)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise
            return  # as Flower's
        for head, tree in zip(ready.messages_list, ready.message_object_trees, strict=True):
            if (reply := self._reply(head, tree)) is not None:
                yield reply

    def _arrived(self, answered: Iterable[str]) -> Iterator[Message]:
        """Asks of each only for what was not there the last time, before it asks for all."""
        for key in answered:
            arriving = self._arriving[key]
            try:
                self._pulled([arriving.missing])
            except _OnItsWayError:
                continue
            except ObjectPullError:
                pass  # it will not come: `_reply` says so
            del self._arriving[key]
            if (reply := self._reply(arriving.head, arriving.tree)) is not None:
                yield reply

    def _reply(self, head: Any, tree: Any) -> Message | None:
        """Or one that says why there is none, in Flower's words; None while its device is still sending it."""
        answered = head.metadata.reply_to_message_id
        try:
            message = self._assembly.message(tree, answered)
        except _OnItsWayError as error:
            while len(self._arriving) >= _ARRIVING:
                del self._arriving[next(iter(self._arriving))]
            self._arriving[answered] = _Arriving(head, tree, error.object_id)
            return None
        except ObjectPullError as error:
            return self._none(answered, f"Reply message objects are unavailable. {error}")
        except Rejected as error:
            self._confirm(tree.object_id)
            return self._none(answered, str(error.args[0]))
        self._confirm(tree.object_id)
        message.metadata.__dict__["_message_id"] = tree.object_id
        return message

    def _pulled(self, object_ids: Iterable[str]) -> dict[str, bytes]:
        """Raises `_OnItsWayError` for the first that is not there yet, `ObjectPullError` for one that will not be."""
        grid = self._grid
        pull = make_pull_object_fn_protobuf(grid._runtime_client.PullObject, grid.node, grid._run.run_id)

        def pull_now(object_id: str) -> bytes:
            try:
                return pull(object_id)
            except ObjectUnavailableError:
                raise _OnItsWayError(object_id) from None

        return inflatable_utils.pull_objects(list(object_ids), pull_now)

    def _confirm(self, message_id: str) -> None:
        grid = self._grid
        request = ConfirmMessageReceivedRequest(node=grid.node, run_id=grid._run.run_id, message_object_id=message_id)
        grid._runtime_client.ConfirmMessageReceived(request)

    def _none(self, answered: str, reason: str) -> Message:
        node = self._grid.node.node_id
        metadata = Metadata(
            run_id=self._grid._run.run_id,
            message_id="",
            src_node_id=node,
            dst_node_id=node,
            reply_to_message_id=answered,
            group_id="",
            created_at=now().timestamp(),
            ttl=0,
            message_type=SYSTEM_MESSAGE_TYPE,
        )
        return make_message(metadata=metadata, error=Error(code=ErrorCode.MESSAGE_UNAVAILABLE, reason=reason))


class Assembly:
    """Of a message, from the objects that it consists of."""

    def __init__(self, spool: Spool | None, pull: Callable[[Iterable[str]], dict[str, bytes]]) -> None:
        """`spool`: where large arrays go, None: they stay in memory; `pull`: the content of objects, by name."""
        self._spool = spool
        self._pull = pull

    def message(self, tree: Any, answered: str) -> Message:
        """Raises what `pull` raises, and `Rejected` for what is no message of Flower's."""
        contents = self._pulled(_down_to(tree, _ARRAYS))
        try:
            arrays = {name: _ArrayHead.of(name, content) for name, content in contents.items() if _is_array(content)}
            chunks = self._chunks(arrays.values(), answered)
            return cast(Message, _built(tree.object_id, contents, {key: chunks(each) for key, each in arrays.items()}))
        except (KeyError, IndexError, ValueError, TypeError, DecodeError, msgspec.DecodeError) as error:
            raise Rejected(f"the reply is no message of Flower's: {type(error).__name__} {error}"[:200]) from error

    def _chunks(self, arrays: "Iterable[_ArrayHead]", answered: str) -> "Callable[[_ArrayHead], Array]":
        arrays = list(arrays)
        if self._spool is None or sum(array.declared for array in arrays) <= SMALL:
            pulled = self._pulled({chunk for array in arrays for chunk in array.chunks})
            return lambda array: array.of_bytes([bytes(_body(pulled[chunk])) for chunk in array.chunks])
        places: dict[str, Place | bytes] = {}
        with self._spool.filling(answered) as file:
            for chunk in dict.fromkeys(chunk for array in arrays for chunk in array.chunks):
                places[chunk] = file.add(_body(self._pulled([chunk])[chunk]))
                drop_calls()
        return partial(_ArrayHead.on_disk, places=places, file=file)

    def _pulled(self, object_ids: Iterable[str]) -> dict[str, bytes]:
        """Raises `Rejected` when one is not what its name says."""
        found = self._pull(object_ids)
        for name, content in found.items():
            if get_object_id(content) != name:
                raise Rejected("the reply was damaged on its way: an object is not what its name says")
        return found


def fetching_of(grid: Grid, spool: Spool | None) -> Callable[[Iterable[str]], Iterator[Message]]:
    """Of any other Grid its own `pull_messages`. Fails plainly when Flower has changed."""
    if not hasattr(grid, "_runtime_client"):
        return lambda message_ids: iter(grid.pull_messages(message_ids))
    return Fetching(grid, spool)


_ARRAYS = 3
"""How deep arrays lie below their message: its content, a record, an array. Their chunks are below them."""


def _down_to(tree: Any, depth: int) -> set[str]:
    children = (_down_to(child, depth - 1) for child in tree.children) if depth else ()
    return {tree.object_id}.union(*children)


def _is_array(content: bytes) -> bool:
    return get_object_head_values_from_object_content(content)[0] == Array.__qualname__


def _body(content: bytes) -> memoryview:
    """Of a chunk."""
    begin = content.find(HEAD_BODY_DIVIDER)
    if get_object_head_values_from_object_content(content)[0] != ArrayChunk.__qualname__:
        raise ValueError("an array does not consist of chunks")
    return memoryview(content)[begin + len(HEAD_BODY_DIVIDER) :]


class _ArrayBody(Struct, frozen=True):
    dtype: str
    shape: list[int]
    stype: str
    arraychunk_ids: list[int]


class _ArrayHead(Struct, frozen=True):
    object_id: str
    dtype: str
    shape: tuple[int, ...]
    stype: str
    chunks: list[str]
    """Names, in their order; the same one may come again."""

    @classmethod
    def of(cls, object_id: str, content: bytes) -> "_ArrayHead":
        """Raises `ValueError`, `IndexError` or `msgspec.DecodeError`."""
        children = get_object_head_values_from_object_content(content)[1]
        body = msgspec.json.decode(get_object_body(content, Array), type=_ArrayBody)
        chunks = [children[number] for number in body.arraychunk_ids]
        if set(chunks) != set(children):
            raise ValueError("an array has other chunks than it names")
        return cls(object_id, body.dtype, tuple(body.shape), body.stype, chunks)

    @property
    def declared(self) -> int:
        """Bytes, by type and shape; of one that names no type of NumPy's more than is small."""
        try:
            return prod(self.shape) * np.dtype(self.dtype).itemsize + _MOST_HEADER
        except TypeError:
            return SMALL + 1

    def of_bytes(self, pieces: list[bytes]) -> Array:
        self._check(sum(map(len, pieces)), sum(map(len, set(pieces))))
        return Array(self.dtype, self.shape, self.stype, b"".join(pieces))

    def on_disk(self, places: Mapping[str, Place | bytes], file: SpoolFile) -> Array:
        sizes = {chunk: place.size if isinstance(place, Place) else len(place) for chunk, place in places.items()}
        self._check(sum(sizes[chunk] for chunk in self.chunks), sum(sizes[chunk] for chunk in set(self.chunks)))
        return file.lazy(self.dtype, self.shape, self.stype, [places[chunk] for chunk in self.chunks], self.object_id)

    def _check(self, size: int, came: int) -> None:
        """A chunk that comes again and again may not make more of it than its type and shape say."""
        if size > max(came, self.declared):
            raise ValueError(f"an array of {size} bytes is larger than its shape")


def _built(object_id: str, contents: Mapping[str, bytes], arrays: Mapping[str, Array]) -> object:
    """As Flower's `inflate_object_from_contents`, but for arrays, which it would copy."""
    if object_id in arrays:
        return arrays[object_id]
    content = contents[object_id]
    kind, children, _ = get_object_head_values_from_object_content(content)
    if kind == ArrayRecord.__qualname__:
        record = ArrayRecord()
        for name, array in msgspec.json.decode(get_object_body(content, ArrayRecord), type=dict[str, str]).items():
            record[name] = arrays[array]
        return record
    of_it: Any = {child: _built(child, contents, arrays) for child in children}
    return inflatable_utils.inflatable_class_registry[kind].inflate(content, of_it)
