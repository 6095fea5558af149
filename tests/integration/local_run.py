"""The part of `flip-agent run` behind its local socket: a real outbox, and the server that fills it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from flip_agent.inference_peers import InferencePeers
from flip_agent.local.client import LocalClient
from flip_agent.local.messages import FromRun, Prepare, Prepared, Status, ToRun
from flip_agent.local.server import LocalServer
from flip_agent.models.refused_file import RefusedFile
from flip_agent.models.rollback import Rollbacks
from flip_agent.models.store import ModelStore
from flip_agent.network.day_account import FILE, DayAccount
from flip_agent.network.day_budget import DayBudget, Limits
from flip_agent.outbox.outbox import Outbox
from flip_agent.receipts import ReceiptFile
from flip_agent.reported import Reported
from flip_agent.watched import Watched
from flip_runtime.errors import Unavailable
from flip_wire.fleet import DesiredState
from flip_wire.health import Repair
from flip_wire.models import RolledBack
from flip_wire.telemetry import Priority


class Run:
    def __init__(self, folder: Path, outbox: Outbox) -> None:
        self.socket = folder / "run" / "agent.sock"
        self.outbox = outbox
        self.desired = Watched(DesiredState(generation=1))
        self.reported = Reported(1)
        self.inference = InferencePeers(self.reported)
        self.store = ModelStore(folder / "models")
        self.store.create()
        self.refused = RefusedFile(folder / "models")
        self.rollbacks = Rollbacks(self.store, self.refused, self.inference, self.reported, self._tell)
        self.holding = Watched("")
        self.limits = Limits()
        self.budget = DayBudget(DayAccount(folder / FILE, time.time), lambda: self.limits)

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        ready = asyncio.Event()
        parts = (self.outbox, self.desired, self.reported, self.inference, self.rollbacks, self.budget)
        server = LocalServer(
            *(self.socket, *parts, ReceiptFile(self.socket.parent)),
            holding=self.holding,
            status=self._status,
            mend=self._mend,
            listening=ready.set,
        )
        tasks = [asyncio.create_task(server.run()), asyncio.create_task(self.rollbacks.run())]
        try:
            async with asyncio.timeout(10):
                await ready.wait()
            yield
        finally:
            for task in tasks:
                await ended(task)

    async def _tell(self, event: RolledBack, name: str) -> None:
        await self.outbox.append(Priority.ALERT, "rollback", event, once=name)

    async def _status(self) -> Status:
        raise Unavailable("this test asks for none")

    async def _mend(self) -> list[Repair]:
        return [Repair(code="disk-low", text="old logs removed")]


class Peer:
    """The other end: `serve` or `train`; no version passes its probe."""

    def __init__(self, run: Run, role: str, *greeting: ToRun) -> None:
        self.heard: list[FromRun] = []
        self.client = LocalClient(run.socket, role, lambda: greeting, self._hear)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Peer"]:
        task = asyncio.create_task(self.client.run())
        try:
            yield self
        finally:
            await ended(task)

    async def _hear(self, message: FromRun) -> None:
        self.heard.append(message)
        if isinstance(message, Prepare):
            await self.client.send(Prepared(model=message.model, version=message.version, reason="probe differs"))


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def run_parts(folder: Path, within: float = 30.0) -> AsyncGenerator[Run]:
    outbox = await Outbox.open(folder / "outbox.db")
    committer = asyncio.create_task(outbox.run())
    try:
        async with asyncio.timeout(within):
            yield Run(folder, outbox)
    finally:
        await ended(committer)
        await outbox.close()
