"""A run's log as server-sent events, as it is written: `id` is the time of the last line, so a reader that was cut off
goes on after it (`Last-Event-ID`). The event `end` is the last: the run has ended.
"""

import math
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol

from flwr.proto.control_pb2 import StreamLogsResponse
from litestar.response.sse import ServerSentEventMessage

from flip_hub.federation.service import RunService
from flip_hub.federation.store import ACTIVE
from flip_hub.problem import Refused
from flip_runtime.errors import Rejected

_HEADER = 4
"""Bytes before each of Flower's messages: its length."""
_LONGEST = 16 * 2**20
"""Bytes of one message."""
END = "end"
EVENTS = "text/event-stream"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

Look = Callable[[], Awaitable[object]]
"""Raises when the reader may no longer."""


class FollowsLog(Protocol):
    """Flower's side (`RunControl`)."""

    def follow_log(
        self, flower_run_id: str, after: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes] | None]: ...


class LogEvents:
    def __init__(self, runs: RunService, control: FollowsLog) -> None:
        self._runs = runs
        self._control = control

    async def follow(self, run_id: str, after: float, look: Look) -> AsyncGenerator[ServerSentEventMessage]:
        """From that time on until the run ends. `look` is asked before each event. Raises `NotFound`, `Unavailable`."""
        run = (await self._runs.detail(run_id)).run
        if run.status in ACTIVE and run.flower_run_id:
            async with self._control.follow_log(run.flower_run_id, after) as frames:
                if frames is not None:
                    async with aclosing(_messages(frames)) as messages:
                        async for message in messages:
                            await look()
                            after = message.latest_timestamp
                            yield ServerSentEventMessage(data=_COLOURS.sub("", message.log_output), id=repr(after))
                    yield ServerSentEventMessage(data="", event=END, id=repr(after))
                    return
        ended = run.finished_at or time.time()
        text = await self._runs.logs(run_id) if after < ended else ""
        if text:
            yield ServerSentEventMessage(data=text, id=repr(ended))
        yield ServerSentEventMessage(data="", event=END, id=repr(ended))


def last_event(header: str) -> float:
    """The time that `Last-Event-ID` tells; the beginning, where it tells none."""
    try:
        at = float(header or 0.0)
    except ValueError as error:
        raise Refused("Last-Event-ID is none of this log's", hint="leave it out to read from the beginning") from error
    return at if math.isfinite(at) and at >= 0 else 0.0


async def _messages(chunks: AsyncIterator[bytes]) -> AsyncGenerator[StreamLogsResponse]:
    received = bytearray()
    async for chunk in chunks:
        received += chunk
        while len(received) >= _HEADER:
            end = _HEADER + int.from_bytes(received[:_HEADER], "big")
            if end > _LONGEST:
                raise Rejected(f"a message of the log has more than {_LONGEST:,} bytes")
            if len(received) < end:
                break
            message = StreamLogsResponse()
            message.ParseFromString(bytes(received[_HEADER:end]))
            del received[:end]
            if message.log_output:
                yield message
