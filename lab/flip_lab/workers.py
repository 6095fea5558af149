"""A few warm workers that run the ClientApps of all devices of the lab, in turn."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from flip_agent.federation.app_store import App
from flip_agent.federation.flower import Item
from flip_agent.federation.frames import Answered, Call, Failed, Sign
from flip_agent.federation.worker import Worker
from flip_lab.worker_process import ROLE, Role
from flip_wire.statements import Signed

_PROGRAM = "flip_lab.worker_process"


class Workers:
    def __init__(self, count: int, time_limit: float, folder: Path) -> None:
        """`time_limit`: seconds of one call; `folder`: where there are no sockets of an agent's."""
        self._time_limit = time_limit
        self._folder = folder
        self._free: asyncio.LifoQueue[Worker | None] = asyncio.LifoQueue()
        for _ in range(count):
            self._free.put_nowait(None)
        self._all: list[Worker] = []

    @asynccontextmanager
    async def one(self, app: App) -> AsyncGenerator[Worker]:
        """That has the app, as soon as one is free."""
        worker = await self._free.get()
        try:
            if worker is None or worker.app.folder.name != app.folder.name:  # named by the hash of its content
                if worker is not None:
                    await worker.stop()
                worker = Worker(app, time_limit=self._time_limit, sockets=self._folder, program=_PROGRAM)
                self._all.append(worker)
            yield worker
        finally:
            self._free.put_nowait(worker)

    async def stop(self) -> None:
        for worker in self._all:
            await worker.stop()


class LabWorker:
    """What a device takes for its own worker."""

    held = 0.0

    def __init__(self, app: App, workers: Workers, role: Callable[[], Role]) -> None:
        """`role`: of the next call."""
        self.app = app
        self._workers = workers
        self._role = role

    async def call(
        self,
        call: Call,
        objects: AsyncIterator[Item],
        keep: Callable[[Item], Awaitable[None]],
        sign: Callable[[Sign], Awaitable[Signed]] | None = None,
    ) -> Answered | Failed:
        role = msgspec.json.encode(self._role()).decode()
        async with self._workers.one(self.app) as worker:
            call = msgspec.structs.replace(call, node_config={**call.node_config, ROLE: role})
            return await worker.call(call, objects, keep, sign)

    def pause(self) -> None:
        """Never: nothing holds training in a lab."""

    def resume(self) -> bool:
        return False

    async def stop(self) -> None:
        """It belongs to all."""
