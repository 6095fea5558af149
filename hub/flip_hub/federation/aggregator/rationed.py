"""Flower's Grid fetches all replies that are ready before it gives one; so that they need not lie in memory together,
here it is told of one after the other.

`HttpGrid.pull_messages` asks the SuperLink for the ids of what is ready and fetches what it is told of. In between
stands `Rationed`, which hands on one message of the SuperLink's answer at a time.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flwr.app import Message
from flwr.proto.runtime_pb2 import PullAppMessagesResponse
from flwr.serverapp import Grid


class Rationed:
    """In the place of an `HttpGrid`'s client: everything else passes."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._rest: deque[tuple[Any, Any]] = deque()
        """Of the SuperLink's answer: messages, and the trees of what they consist of."""

    @property
    def more(self) -> bool:
        return bool(self._rest)

    def PullMessages(self, request: Any) -> Any:
        if not self._rest:
            answer = self._client.PullMessages(request)
            self._rest.extend(zip(answer.messages_list, answer.message_object_trees, strict=True))
        first = [self._rest.popleft()] if self._rest else []
        return PullAppMessagesResponse(
            messages_list=[message for message, _ in first], message_object_trees=[tree for _, tree in first]
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def one_by_one(grid: Grid) -> Callable[[Iterable[str]], Iterator[Message]]:
    """`pull_messages` of Flower's Grid, which gives a reply before it fetches the next one. Of any other Grid as it is.

    Fails plainly when Flower has changed.
    """
    if not hasattr(grid, "_runtime_client"):
        return lambda message_ids: iter(grid.pull_messages(message_ids))
    inner: Any = grid
    client = Rationed(inner._runtime_client)
    inner._client = client
    if inner._runtime_client is not client:
        raise ImportError("this version of Flower's HttpGrid keeps its client elsewhere: flwr 1.41 is expected")

    def pull(message_ids: Iterable[str]) -> Iterator[Message]:
        wanted = list(message_ids)
        yield from grid.pull_messages(wanted)
        while client.more:
            yield from grid.pull_messages(wanted)

    return pull
