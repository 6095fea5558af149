"""A stand-in for `flip-agent run`, at the other end of a session's local socket."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec

from flip_agent.local.messages import (
    LINE_LIMIT,
    Committed,
    Draw,
    Drawn,
    Emit,
    FromRun,
    Hold,
    ReceiptsKept,
    ToRun,
    Training,
    Work,
)
from flip_agent.receipts import KeptReceipt
from flip_wire.spans import Spans
from flip_wire.telemetry import Gap, SessionEvent


class StandIn:
    """Speaks the local protocol: announces work, commits events, notes what it hears."""

    def __init__(self) -> None:
        self.events: list[SessionEvent] = []
        self.gaps: list[Gap] = []
        self.spans: list[Spans] = []
        self.once: set[str] = set()
        self.states: list[str] = []
        self.receipts: dict[str, KeptReceipt] = {}
        self._work = Work(run_ids=[])
        self._hold = Hold(because="")
        self._writers: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def at(self, socket: Path, *run_ids: str) -> AsyncGenerator["StandIn"]:
        self._work = Work(run_ids=list(run_ids))
        server = await asyncio.start_unix_server(self._converse, socket, limit=LINE_LIMIT)
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.close()
            async with asyncio.timeout(10):
                while self._writers:  # each conversation ends by itself
                    await asyncio.sleep(0.01)

    async def announce(self, *run_ids: str) -> None:
        self._work = Work(run_ids=list(run_ids))
        for writer in self._writers:
            await _say(writer, self._work)

    async def hold(self, because: str) -> None:
        self._hold = Hold(because=because)
        for writer in self._writers:
            await _say(writer, self._hold)

    async def training(self, state: str, within: float = 120.0) -> None:
        """Waits until the session says that it is doing that."""
        async with asyncio.timeout(within):
            while self.states[-1:] != [state]:
                await asyncio.sleep(0.02)

    async def told(self, step: str, count: int = 1, within: float = 120.0) -> None:
        """Waits until that step is among its events so often."""
        async with asyncio.timeout(within):
            while self.steps().count(step) < count:
                await asyncio.sleep(0.02)

    def steps(self) -> list[str]:
        return [event.step for event in self.events]

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        decoder: msgspec.json.Decoder[ToRun] = msgspec.json.Decoder(ToRun)
        with contextlib.suppress(OSError):
            await _say(writer, self._work)
            await _say(writer, self._hold)
            while line := await reader.readline():
                match decoder.decode(line):
                    case Emit(id=number, kind=kind, body=body, once=once):
                        if once not in self.once:
                            self.once.add(once)
                            self._note(kind, body)
                        await _say(writer, Committed(id=number))
                    case Training(state=state):
                        self.states.append(state)
                    case ReceiptsKept(receipts=receipts):
                        self.receipts |= {each.message_id: each for each in receipts}
                    case Draw(id=number, wanted=wanted):
                        await _say(writer, Drawn(id=number, granted=max(wanted, 2**30), because="", limited=False))
                    case _:
                        pass
        self._writers.discard(writer)
        writer.close()

    def _note(self, kind: str, body: msgspec.Raw) -> None:
        match kind:
            case "spans":
                self.spans.append(msgspec.json.decode(body, type=Spans))
            case "gap":
                self.gaps.append(msgspec.json.decode(body, type=Gap))
            case _:
                self.events.append(msgspec.json.decode(body, type=SessionEvent))


async def _say(writer: asyncio.StreamWriter, message: FromRun) -> None:
    writer.write(msgspec.json.encode(message) + b"\n")
    await writer.drain()
