"""The Unix socket on which `serve`, `train` and the command line speak to `run` (`flip_agent.local.messages`).

An `Emit` is answered by `Committed` when the event is in the outbox, and by nothing when it could not be taken: then
the connection is closed, and the other side sends it again on the next one.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec

from flip_agent.inference_peers import InferencePeers
from flip_agent.local.listening import listening_socket
from flip_agent.local.messages import (
    LINE_LIMIT,
    Committed,
    Declined,
    Draw,
    Drawn,
    Emit,
    FromRun,
    GiveBack,
    Hello,
    Hold,
    Mend,
    Mended,
    Models,
    ModelsRequest,
    Prepared,
    Receipts,
    ReceiptsKept,
    ReceiptsRequest,
    Retry,
    RetryDone,
    Rollback,
    RollbackKept,
    RolledBack,
    Serving,
    Status,
    StatusRequest,
    ToRun,
    Traffic,
    Training,
    Tried,
    Work,
)
from flip_agent.models.rollback import Rollbacks
from flip_agent.network.day_budget import DayBudget
from flip_agent.outbox.outbox import Outbox
from flip_agent.receipts import ReceiptFile
from flip_agent.reported import Reported
from flip_agent.watched import Watched
from flip_runtime.errors import Corrupt, Rejected, Unavailable
from flip_wire.fleet import DesiredState
from flip_wire.health import Repair

log = logging.getLogger(__name__)

_CONNECTIONS = 32
_EMITS_AT_ONCE = 64
"""Of one connection, so that they share a commit."""
_TAKEN_WITHIN = 10.0
"""Seconds; a process that does not read for so long is cut off."""


class LocalServer:
    def __init__(
        self,
        path: Path,
        outbox: Outbox,
        desired: Watched[DesiredState],
        reported: Reported,
        inference: InferencePeers,
        rollbacks: Rollbacks,
        budget: DayBudget,
        receipts: ReceiptFile,
        holding: Watched[str],
        status: Callable[[], Awaitable[Status]],
        mend: Callable[[], Awaitable[list[Repair]]],
        listening: Callable[[], None],
    ) -> None:
        self._path = path
        self._outbox = outbox
        self._desired = desired
        self._reported = reported
        self._inference = inference
        self._rollbacks = rollbacks
        self._budget = budget
        self._receipts = receipts
        self._holding = holding
        self._status = status
        self._mend = mend
        self._listening = listening
        self._connections = 0

    async def run(self) -> None:
        """Raises as `listening_socket`."""
        with listening_socket(self._path) as listener:
            async with asyncio.TaskGroup() as group:

                def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                    group.create_task(self._serve(reader, writer), name="local connection")

                async with await asyncio.start_unix_server(connected, sock=listener, limit=LINE_LIMIT) as server:
                    self._listening()
                    await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        peer = _Peer(reader, writer)
        try:
            if self._connections <= _CONNECTIONS:
                async with asyncio.TaskGroup() as group:
                    await self._converse(peer, group)
        except* (OSError, ValueError, msgspec.DecodeError, Unavailable, Rejected) as errors:
            log.warning("local connection cut", extra={"role": peer.role, "reason": str(errors.exceptions[0])})
        finally:
            self._connections -= 1
            self._leave(peer)
            writer.close()

    async def _converse(self, peer: "_Peer", group: asyncio.TaskGroup) -> None:
        """Until the other side leaves; what it asked for is finished."""
        places = asyncio.Semaphore(_EMITS_AT_ONCE)
        pushing: list[asyncio.Task[None]] = []
        async for message in peer.messages():
            match message:
                case Emit():
                    await places.acquire()
                    group.create_task(self._commit(message, peer, places))
                case Hello():
                    peer.role, peer.instance = message.role, message.instance
                    if peer.role == "serve":
                        self._inference.attach(peer.instance, peer.send)
                    elif peer.role == "train" and not pushing:
                        self._reported.in_session.set(True)
                        pushing = [group.create_task(each(peer)) for each in (self._push_hold, self._push_work)]
                case Prepared() | Tried() | Serving():
                    self._inference.instance(peer.instance).received(message)
                case RolledBack():
                    self._rollbacks.verdict(message)
                    await peer.send(RollbackKept(manifest=message.manifest))
                case Traffic():
                    self._inference.instance(peer.instance).answered(message)
                case Training():
                    self._reported.training(message.state)
                case ReceiptsKept():
                    await asyncio.to_thread(self._receipts.heard, message.receipts)
                case ReceiptsRequest():
                    await peer.send(Receipts(receipts=self._receipts.newest()))
                case Draw():
                    drawn = await asyncio.to_thread(self._budget.draw, message.wanted, message.beyond)
                    granted, because, limited = drawn
                    await peer.send(Drawn(id=message.id, granted=granted, because=because, limited=limited))
                case GiveBack():
                    await asyncio.to_thread(self._budget.give_back, message.unused)
                case Rollback() | Retry() | ModelsRequest():
                    await peer.send(await self._about_models(message))
                case StatusRequest():
                    await peer.send(await self._status())
                case Mend():
                    await peer.send(Mended(repairs=await self._mend()))
        for task in pushing:
            task.cancel()

    def _leave(self, peer: "_Peer") -> None:
        if peer.role == "serve":
            self._inference.instance(peer.instance).detach(peer.send)
        elif peer.role == "train":
            self._reported.training("idle")
            self._reported.in_session.set(False)

    async def _about_models(self, asked: Rollback | Retry | ModelsRequest) -> FromRun:
        try:
            match asked:
                case Rollback():
                    return await self._rollbacks.by_hand(asked.model, asked.reason)
                case Retry():
                    return RetryDone(versions=self._rollbacks.retry(asked.model))
                case ModelsRequest():
                    return Models(models=await self._rollbacks.listing(self._desired.value.models))
        except (Rejected, Corrupt, Unavailable) as error:
            return Declined(reason=error.args[0], hint=error.hint)

    async def _commit(self, emit: Emit, peer: "_Peer", places: asyncio.Semaphore) -> None:
        try:
            await self._outbox.append(emit.priority, emit.kind, emit.body, once=emit.once)
            await peer.send(Committed(id=emit.id))
        finally:
            places.release()

    async def _push_hold(self, peer: "_Peer") -> None:
        async for because in self._holding.values():
            await peer.send(Hold(because=because))

    async def _push_work(self, peer: "_Peer") -> None:
        async for desired in self._desired.values():
            await peer.send(Work(run_ids=[work.run_id for work in desired.work]))


class _Peer:
    """One connection: lines in, lines out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder: msgspec.json.Decoder[ToRun] = msgspec.json.Decoder(ToRun)
        self.role = ""
        """As its `Hello` says, like `instance`."""
        self.instance = ""

    async def messages(self) -> AsyncIterator[ToRun]:
        """Raises `ValueError` for a line that is too long or no message."""
        while line := await self._reader.readline():
            if line.endswith(b"\n"):
                yield self._decoder.decode(line)

    async def send(self, message: FromRun) -> None:
        self._writer.write(msgspec.json.encode(message) + b"\n")
        async with asyncio.timeout(_TAKEN_WITHIN):
            await self._writer.drain()
