"""The other end of the local socket, for `serve` and `train`: reconnects by itself, loses no event while it lives.

Events wait here until `run` has committed them, and are sent again on the next connection if it left before saying so;
each has a name, so that it is committed once. While `run` is away at most `WAITING` wait; then the least urgent goes,
oldest first, and what was dropped is reported as a `Gap` as soon as `run` is back.

Nothing here outlives the process: who emits must be able to emit again. `train` keeps its events in `session.db` and
has fewer on their way than may wait; `serve` finds a damaged version again each time that it starts.
"""

import asyncio
import contextlib
import itertools
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from flip_agent.local.messages import LINE_LIMIT, Committed, Emit, FromRun, Hello, ToRun
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Rejected
from flip_wire.telemetry import Gap, Priority, Seq

log = logging.getLogger(__name__)

WAITING = 256
_MESSAGES = 64
"""Messages from `run` that may wait for their handler."""
_BACKOFF = Backoff(first=0.2, most=5.0)


@dataclass(slots=True)
class _Waiting:
    emit: Emit
    settled: asyncio.Future[None]


class LocalClient:
    def __init__(
        self,
        socket: Path,
        role: str,
        on_connect: Callable[[], Sequence[ToRun]],
        on_message: Callable[[FromRun], Awaitable[None]],
        instance: str = "default",
    ) -> None:
        """`on_connect` gives what `run` must hear first on each new connection; `on_message` is called in order."""
        self._socket = socket
        self._hello = Hello(role=role, instance=instance)
        self._on_connect = on_connect
        self._on_message = on_message
        self._writer: asyncio.StreamWriter | None = None
        self._ids = itertools.count(1)
        self._source = f"{role}-{uuid.uuid4().hex[:16]}"
        self._waiting: dict[int, _Waiting] = {}
        self._dropped: dict[Priority, int] = {}

    @property
    def connected(self) -> bool:
        return self._writer is not None

    async def run(self) -> None:
        """A service: connects, and connects again with jitter, until it is cancelled."""
        failures = 0
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._socket, limit=LINE_LIMIT)
            except OSError as error:
                failures += 1
                if failures == 1:
                    log.warning("flip-agent run is away", extra={"socket": str(self._socket), "reason": str(error)})
            else:
                failures = 0
                await self._converse(reader, writer)
            await asyncio.sleep(_BACKOFF.delay(failures + 1))

    async def send(self, message: ToRun) -> None:
        """Does nothing while not connected: `on_connect` tells the state of things then."""
        if self._writer is None:
            return
        with contextlib.suppress(OSError):  # the reader notices too, and connects again
            self._writer.write(_line(message))
            await self._writer.drain()

    async def emit(self, priority: Priority, kind: str, body: Struct, *, once: str = "") -> None:
        """Returns when the event is in the outbox of `run`, or was counted as dropped. `once` as in `Emit`.

        Raises `Rejected` when it is longer than a message may be. A caller that is cancelled has sent it all the same.
        """
        number = next(self._ids)
        name = once or f"{self._source}:{number:09}"
        emit = Emit(id=number, priority=priority, kind=kind, body=Raw(msgspec.json.encode(body)), once=name)
        if (size := len(_line(emit))) > LINE_LIMIT:
            raise Rejected(f"event {kind} of {size} bytes", hint=f"at most {LINE_LIMIT} bytes go through the socket")
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[emit.id] = _Waiting(emit, settled)
        self._shed()
        if emit.id in self._waiting:
            await self.send(emit)
        await settled

    # ---- one connection ----

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # In one write: nothing may come between, `run` hears all of it before it asks, and no event is sent twice.
        greeting = [self._hello, *self._on_connect(), *(each.emit for each in self._waiting.values())]
        writer.write(b"".join(_line(message) for message in greeting))
        self._writer = writer
        messages: asyncio.Queue[FromRun] = asyncio.Queue(_MESSAGES)
        try:
            async with asyncio.TaskGroup() as group:
                handling = group.create_task(self._handle(messages))
                reporting = group.create_task(self._report_dropped())
                await self._read(reader, messages)
                handling.cancel()
                reporting.cancel()
        finally:
            self._writer = None
            writer.close()
        log.warning("flip-agent run has left")

    async def _read(self, reader: asyncio.StreamReader, messages: asyncio.Queue[FromRun]) -> None:
        decoder: msgspec.json.Decoder[FromRun] = msgspec.json.Decoder(FromRun)
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                if not line.endswith(b"\n"):
                    return
                message = decoder.decode(line)
                if isinstance(message, Committed):
                    self._settle(message.id)
                else:
                    await messages.put(message)

    async def _handle(self, messages: asyncio.Queue[FromRun]) -> None:
        while True:
            await self._on_message(await messages.get())

    # ---- events that wait ----

    def _settle(self, number: int) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None and not waiting.settled.done():
            waiting.settled.set_result(None)

    def _shed(self) -> None:
        while len(self._waiting) > WAITING:
            number, least = max(self._waiting.items(), key=lambda item: (item[1].emit.priority, -item[0]))
            self._dropped[least.emit.priority] = self._dropped.get(least.emit.priority, 0) + 1
            self._settle(number)

    async def _report_dropped(self) -> None:
        dropped, self._dropped = self._dropped, {}
        async with asyncio.TaskGroup() as group:
            for priority, count in dropped.items():
                reason = f"{self._hello.role} had no connection to flip-agent run"
                gap = Gap(priority=priority, first=Seq(0), last=Seq(0), count=count, reason=reason)
                group.create_task(self.emit(Priority.ALERT, "gap", gap))


def _line(message: ToRun) -> bytes:
    return msgspec.json.encode(message) + b"\n"
