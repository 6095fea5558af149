"""The session's line to `flip-agent run`: hears of work and of reasons to wait, says what the session is doing, hands
over its events, and draws the bytes that may pass today.

But for bytes, where there is a limit, nothing here waits for `run`: while it is away the session goes on with what it
heard last, and the events stay in `session.db` until `run` has committed them, or the `Gap` that counts them. A repeat,
after a power cut between the two, has no effect there.
"""

import asyncio
import contextlib
import itertools
import logging
from asyncio import to_thread
from collections.abc import Sequence
from pathlib import Path

from flip_agent.federation.session_events import REFUSED, KeptEvent, Loss
from flip_agent.federation.session_store import SessionStore
from flip_agent.local.client import LocalClient
from flip_agent.local.messages import Draw, Drawn, FromRun, GiveBack, Hold, ReceiptsKept, ToRun, Training, Work
from flip_agent.receipts import SHOWN, KeptReceipt
from flip_agent.watched import Watched
from flip_runtime.errors import Rejected, Unavailable
from flip_wire.spans import Spans
from flip_wire.telemetry import Gap, Priority, Seq

log = logging.getLogger(__name__)

_UNCOUNTED = 2**20
"""Bytes, after which it is asked again whether there is a limit."""
_AGAIN = 5.0
"""Seconds until the events are looked for once more, after the disk was full."""


class RunLink:
    def __init__(self, socket: Path, store: SessionStore, *, limited: bool = False) -> None:
        """`limited`: whether the settings limit the bytes of a day; `run` may say otherwise later."""
        self.work = Watched[frozenset[str] | None](None)
        """Runs that may send messages; None until `run` has said."""
        self.hold = Watched("")
        """Why training must wait now, in words; empty when it may run."""
        self._limited = limited
        self._draws = itertools.count(1)
        self._drawing: dict[int, asyncio.Future[Drawn]] = {}
        self._store = store
        self._training = "idle"
        self._written = asyncio.Event()
        self._waiting = Watched(True)
        """Whether events may wait."""
        self._client = LocalClient(socket, "train", self._greeting, self._hear)

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._client.run())
            group.create_task(self._hand_over())

    async def tell(self, training: str) -> None:
        """As `flip_agent.local.messages.Training`; sent on change."""
        if training != self._training:
            self._training = training
            await self._client.send(Training(state=training))

    async def tell_receipts(self, receipts: Sequence[KeptReceipt]) -> None:
        """What is not heard now is told with the next greeting."""
        await self._client.send(ReceiptsKept(receipts=[*receipts]))

    async def draw(self, wanted: int, beyond: int) -> Drawn:
        """As `Draw`. Raises `Unavailable` while `run` is away, where there is a limit."""
        if not self._client.connected:
            if self._limited:
                raise Unavailable("flip-agent run is away, which counts the bytes that may pass today")
            return Drawn(id=0, granted=max(wanted, _UNCOUNTED), because="", limited=False)
        number = next(self._draws)
        self._drawing[number] = asyncio.get_running_loop().create_future()
        try:
            await self._client.send(Draw(id=number, wanted=wanted, beyond=beyond))
            drawn = await self._drawing[number]
        finally:
            del self._drawing[number]
        self._limited = drawn.limited
        return drawn

    async def give_back(self, unused: int) -> None:
        await self._client.send(GiveBack(unused=unused))

    def written(self) -> None:
        """There is an event in the store."""
        self._waiting.set(True)
        self._written.set()

    async def handed_over(self, within: float) -> None:
        """Returns when `run` has all events, or that many seconds have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._waiting.until(lambda waiting: not waiting)

    async def _hand_over(self) -> None:
        while True:
            self._written.clear()
            try:
                events = await to_thread(self._store.events.oldest)
                losses = await to_thread(self._store.events.losses)
                if events or losses:
                    await self._declare(losses)
                    await self._commit(events)
                    continue
            except Unavailable:  # the disk is full
                await asyncio.sleep(_AGAIN)
                continue
            self._waiting.set(False)
            await self._written.wait()

    async def _declare(self, losses: Sequence[Loss]) -> None:
        """Before the events that came after: a name is remembered for a while only."""
        for loss in losses:
            gap = Gap(
                priority=Priority.FEDERATION,
                first=Seq(0),
                last=Seq(0),
                count=loss.count,
                reason=f"train: {loss.reason}",
            )
            await self._client.emit(Priority.ALERT, "gap", gap, once=loss.name)
            await to_thread(self._store.events.declared, loss)

    async def _commit(self, events: Sequence[KeptEvent]) -> None:
        async with asyncio.TaskGroup() as group:
            taken = [group.create_task(self._taken(event)) for event in events]
        numbers = {event.number for event, task in zip(events, taken, strict=True) if task.result()}
        if numbers:
            await to_thread(self._store.events.drop, numbers)
        if refused := {event.number for event in events} - numbers:
            await to_thread(self._store.events.lose, refused, REFUSED)

    async def _taken(self, kept: KeptEvent) -> bool:
        bulk = isinstance(kept.event, Spans)
        priority, kind = (Priority.LOG, "spans") if bulk else (Priority.FEDERATION, "session")
        try:
            await self._client.emit(priority, kind, kept.event, once=kept.once)
        except Rejected as error:
            log.error("event not sent", extra={"reason": str(error)})
            return False
        return True

    def _greeting(self) -> Sequence[ToRun]:
        return [Training(state=self._training), ReceiptsKept(receipts=self._store.receipts.newest(SHOWN))]

    async def _hear(self, message: FromRun) -> None:
        match message:
            case Work(run_ids=run_ids):
                self.work.set(frozenset(run_ids))
            case Hold(because=because):
                self.hold.set(because)
            case Drawn():
                if (waiting := self._drawing.get(message.id)) is not None and not waiting.done():
                    waiting.set_result(message)
            case _:
                pass
