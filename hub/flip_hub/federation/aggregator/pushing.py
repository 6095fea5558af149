"""Instructions are sent to the SuperLink chunk by chunk: of a large model one chunk is in memory once more.

Flower's `push_objects` makes the bytes of all objects before the first of them is sent.
"""

from collections.abc import Callable
from typing import Any

from flwr.app.message.arraychunk import ArrayChunk
from flwr.supercore.inflatable.inflatable_object import InflatableObject

from flip_hub.federation.aggregator.allocator import drop_calls

_LARGE = 64 * 1024
"""Bytes of a chunk that is sent alone."""

Push = Callable[..., None]


def chunk_by_chunk(push_objects: Push) -> Push:
    """Wraps Flower's, which sends the small ones."""

    def push(
        objects: dict[str, InflatableObject],
        push_object_fn: Callable[[str, bytes], None],
        *,
        object_ids_to_push: set[str] | None = None,
        **rest: Any,
    ) -> None:
        large = [name for name, each in objects.items() if isinstance(each, ArrayChunk) and len(each.data) > _LARGE]
        for name in large:
            chunk = objects.pop(name)
            if object_ids_to_push is None or name in object_ids_to_push:
                push_object_fn(name, chunk.deflate())
                drop_calls()
        push_objects(objects, push_object_fn, object_ids_to_push=object_ids_to_push, **rest)

    return push
