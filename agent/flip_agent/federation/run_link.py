"""The session's line to `flip-agent run`: hears of work, says what the session is doing, hands over its events.

Nothing here waits for `run`: while it is away the session goes on with what it heard last, and `LocalClient` keeps the
events.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from flip_agent.local import FromRun, ToRun, Training, Work
from flip_agent.local_client import WAITING, LocalClient
from flip_agent.watched import Watched
from flip_wire.telemetry import Priority, SessionEvent


class RunLink:
    def __init__(self, socket: Path) -> None:
        self.work = Watched[frozenset[str] | None](None)
        """Runs that may send messages; None until `run` has said."""
        self._training = "idle"
        self._events: asyncio.Queue[SessionEvent] = asyncio.Queue(WAITING)
        self._client = LocalClient(socket, "train", self._greeting, self._hear)

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._client.run())
            while True:  # `LocalClient` bounds how many of these can wait
                group.create_task(self._client.emit(Priority.FEDERATION, "session", await self._events.get()))

    async def tell(self, training: str) -> None:
        """`idle`, `waiting`, `training` or `delivering`; sent on change."""
        if training != self._training:
            self._training = training
            await self._client.send(Training(state=training))

    async def report(self, event: SessionEvent) -> None:
        await self._events.put(event)

    def _greeting(self) -> Sequence[ToRun]:
        return [Training(state=self._training)]

    async def _hear(self, message: FromRun) -> None:
        if isinstance(message, Work):
            self.work.set(frozenset(message.run_ids))
