"""An event accepted here is delivered at least once, in order, or counted as dropped and declared.

`append` returns when the event is on the disk; all that wait at the same time share one commit. Events leave by `ack`,
after the hub has stored them. When the file is full, the lowest priority goes first, oldest first, alerts never, and
never what may be on its way to the hub: so nothing is both delivered and declared dropped. Each loss (full, damaged on
the disk, refused by the hub) becomes a `Gap`: an event that is itself delivered, as an alert.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Collection
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from flip_agent.device_clock import DeviceClock
from flip_agent.outbox.aside import accounts_of_the_missing, give_way, heir_of, heirs_accounts, is_missing, settle
from flip_agent.outbox.ballast import SIZE, Ballast
from flip_agent.outbox.file import OutboxFile
from flip_agent.outbox.intake import Intake, Waiting, bounded, refuse
from flip_agent.outbox.ledger import Ledger
from flip_agent.outbox.stored_event import decode_event, encode_event
from flip_agent.progress import Progress
from flip_agent.sqlite_errors import Full
from flip_runtime.errors import Corrupt, Unavailable
from flip_wire.telemetry import Batch, Event, Priority, Seq, Stamp

log = logging.getLogger(__name__)

FULL = "outbox full"
DAMAGED = "damaged on disk"
BATCH_EVENTS = 256
"""Of one batch at most."""

_COMMIT_BYTES = 64 * 2**10
"""Of one commit, so that making room for it never empties a small file."""
_COMMIT_WITHIN = 60.0
"""Seconds until a commit counts as stuck: a worn SD card takes ten."""
_BATCH_BYTES = 512 * 2**10
_BATCH_SHARE = 8
"""Part of a small file that a batch may be: what is on its way is not dropped."""


class Outbox:
    """`run` is the committer, a service: without it nothing is accepted."""

    def __init__(self, path: Path, max_bytes: int, ballast: Ballast, file: OutboxFile) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._ballast = ballast
        self._file = file
        self._batch_bytes = min(_BATCH_BYTES, max_bytes // _BATCH_SHARE)
        self._clock = DeviceClock()
        self._intake = Intake()
        self._arrived = asyncio.Event()
        self._sent: dict[Priority, Seq] = {}
        """Up to here the hub may have them, whether it said so or not."""
        self._damage: Corrupt | None = None
        """Seen by a reader; the committer starts over."""
        self._turn = asyncio.Lock()
        """Nobody reads while it starts over."""
        self.progress = Progress("committer", within=_COMMIT_WITHIN)
        """Of the committer, for the watchdog."""

    @classmethod
    async def open(cls, path: Path, *, max_bytes: int = 64 * 2**20, ballast: int = SIZE) -> "Outbox":
        """The first event of a new file tells of the loss of one before it: unreadable, and moved aside, or missing.

        `ballast` in bytes. Raises `Unavailable` when the disk has no room for a new file.
        """
        reserve = Ballast(path.with_suffix(".ballast"), ballast)
        settle(path)
        missing = reserve.held and is_missing(path)  # the reserve is only made beside a whole file
        try:
            accounts = accounts_of_the_missing() if missing else None
            outbox = cls(path, max_bytes, reserve, await OutboxFile.open(path, max_bytes, reserve, accounts))
            await outbox._suspect_sent()
        except Corrupt as error:
            missing = True
            outbox = cls(path, max_bytes, reserve, await _begin_anew(path, max_bytes, reserve, error, None))
        await reserve.remake()
        if missing:
            await outbox._declare(outbox._file)
        return outbox

    async def close(self) -> None:
        await self._file.close()

    async def _suspect_sent(self) -> None:
        """The process before this one may have sent the oldest batch of each class."""
        for priority in Priority:
            if events := await self.peek(priority, BATCH_EVENTS):
                self._sent[priority] = events[-1].seq

    # ---- accepting ----

    async def append(self, priority: Priority, kind: str, body: Struct | Raw, *, once: str = "") -> Seq:
        """Of two events with the same name (`once`) the first is kept, and both get its number.

        Raises `Unavailable` when the event is not accepted: the disk fails, or it is full of alerts.
        """
        event = encode_event(kind, self._clock.stamp(), body)
        return await self._intake.put(priority, event, bounded(once))

    async def run(self) -> None:
        while True:
            batch = await self._intake.take(_COMMIT_BYTES)
            try:
                with self.progress.step():
                    if self._damage is not None:
                        await self._start_over(self._damage)
                    await self._commit(await self._without_known(batch))
            except Unavailable as error:
                refuse(batch, error)
            finally:
                refuse(batch, Unavailable("the outbox stopped"))

    async def _without_known(self, batch: list[Waiting]) -> list[Waiting]:
        """Accepts those whose name was accepted before; gives the others, each name once."""
        names = {each.once for each in batch if each.once}
        if not names:
            return batch
        async with self._reading() as file:
            known = await file.known(list(names))
        fresh: list[Waiting] = []
        last: dict[str, Waiting] = {}
        for each in batch:
            name = each.once
            if name in known:
                each.accept(known[name])
            elif name in last:
                last[name].repeat, last[name] = each, each
            else:
                fresh.append(each)
                if name:
                    last[name] = each
        return fresh

    async def _commit(self, batch: list[Waiting]) -> None:
        while batch:
            try:
                await self._file.insert(batch)
            except Full as full:
                batch = await self._make_room(batch, full)
            except Corrupt as error:
                await self._start_over(error)
            else:
                for each in batch:
                    each.accept(each.seq)
                self._arrived.set()
                return

    async def _make_room(self, batch: list[Waiting], full: Full) -> list[Waiting]:
        """Drops the least urgent, stored or coming in; gives what is still to be stored."""
        least = max(each.priority for each in batch)
        async with self._reading() as file:
            for priority in (Priority.LOG, Priority.HEALTH, Priority.FEDERATION):
                after = self._sent.get(priority, Seq(0))
                if await file.shed(priority, after, _COMMIT_BYTES, FULL):
                    return batch
                if priority == least:
                    return await self._turn_away(file, batch, priority)
        raise full

    async def _turn_away(self, file: OutboxFile, batch: list[Waiting], priority: Priority) -> list[Waiting]:
        turned = [each for each in batch if each.priority == priority]
        first = await file.skip(priority, [each.once for each in turned], FULL)
        for seq, each in enumerate(turned, first):
            each.accept(Seq(seq))
        return [each for each in batch if each.priority != priority]

    async def _start_over(self, error: Corrupt) -> None:
        """Without room for a new file it is tried again with the next event; readers get `Unavailable` until then."""
        self._damage = error
        async with self._turn:
            known = self._file
            await known.close()
            self._file = await _begin_anew(self._path, self._max_bytes, self._ballast, error, known.ledger)
            self._damage = None
            self._sent.clear()
            await self._declare(self._file)

    # ---- delivering ----

    async def arrival(self) -> None:
        """Waits for an event that came since the last call; one reader only."""
        await self._arrived.wait()
        self._arrived.clear()

    async def next_batch(
        self, limit: int = BATCH_EVENTS, among: Collection[Priority] = tuple(Priority)
    ) -> Batch | None:
        """The oldest events of the highest priority that has any, `among` these; the caller is about to send them."""
        async with self._reading() as file:
            for priority in sorted(among):
                if events := await self._oldest(file, priority, min(limit, BATCH_EVENTS)):
                    self._sent[priority] = max(self._sent.get(priority, Seq(0)), events[-1].seq)
                    return Batch(epoch=file.ledger.epoch, priority=priority, events=events)
        return None

    async def peek(self, priority: Priority, limit: int) -> list[Event]:
        """At most `limit` events and about half a MiB; damaged rows are dropped on the way."""
        async with self._reading() as file:
            return await self._oldest(file, priority, limit)

    async def _oldest(self, file: OutboxFile, priority: Priority, limit: int) -> list[Event]:
        blocks = await file.peek(priority, limit, self._batch_bytes, DAMAGED)
        acked = file.ledger.of(priority).acked
        stored = [(seq, line) for block in blocks for seq, line in enumerate(block.events or (), block.first)]
        return [decode_event(Seq(seq), line) for seq, line in stored if seq > acked][:limit]

    async def ack(self, priority: Priority, up_to: Seq) -> None:
        """The hub has stored everything of that priority up to this number: it is deleted."""
        async with self._reading() as file:
            await file.ack(priority, up_to)
            await self._declare(file)

    async def reject(self, priority: Priority, seq: Seq, reason: str) -> None:
        """The hub will never take this event, the oldest of its priority: it becomes a dead letter and a gap."""
        async with self._reading() as file:
            oldest = await self._oldest(file, priority, 1)
            if not oldest or oldest[0].seq != seq:
                return
            content = msgspec.json.encode(oldest[0])
            await file.reject(priority, seq, content, f"refused by the hub: {reason}")
            await self._declare(file)

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncGenerator[OutboxFile]:
        async with self._turn:
            try:
                yield self._file
            except Corrupt as error:
                self._damage = error
                raise Unavailable("the outbox is damaged, it starts over with the next event") from error

    async def _declare(self, file: OutboxFile) -> None:
        """Called when the hub is known to listen, so that a long outage makes one gap record instead of hundreds."""
        if not file.ledger.gaps:
            return
        at = self._clock.stamp()
        with contextlib.suppress(Full):  # they stay counted, and are declared after the next ack
            await file.declare(lambda gap: encode_event("gap", at, gap))
            self._arrived.set()

    # ---- telling ----

    async def depth(self) -> int:
        """Events that wait for the hub."""
        return self._file.ledger.waiting

    async def oldest(self) -> float | None:
        """When the oldest of them happened."""
        heads = [event for priority in Priority for event in await self.peek(priority, 1)]
        return min((event.at.wall for event in heads), default=None)

    async def dropped(self) -> int:
        """Over all files of this outbox, as far as they could be read."""
        return self._file.ledger.dropped

    async def damage(self) -> str:
        """Reads the whole file; what is wrong with it, or empty. A damaged one is begun anew with the next event."""
        async with self._turn:
            try:
                found = await self._file.check()
            except Corrupt as error:
                found = str(error)
            if found:
                self._damage = Corrupt(found)
            return found

    def stamp(self) -> Stamp:
        """Now, by this device's clocks."""
        return self._clock.stamp()


async def _begin_anew(path: Path, max_bytes: int, ballast: Ballast, error: Corrupt, known: Ledger | None) -> OutboxFile:
    """In the place of a damaged file; `known`: its accounts."""
    settle(path)
    heir = await OutboxFile.open(heir_of(path), max_bytes, ballast, heirs_accounts(path, error, known))
    await heir.close()
    aside = give_way(path)
    log.error("outbox was damaged, its events are lost", extra={"moved_to": str(aside)})
    return await OutboxFile.open(path, max_bytes, ballast)
