"""An event accepted here is delivered at least once, in order, or counted as dropped.

`append` returns when the event is on the disk; all that wait at the same time share one commit. Events leave by `ack`,
after the hub has stored them. When the file is full, the lowest priority goes first, oldest first, alerts never. Each
loss (full, damaged on the disk, refused by the hub) becomes a `Gap`: an event that is itself delivered, as an alert.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from flip_agent.outbox_file import Full, OutboxFile, move_aside
from flip_agent.progress import Progress
from flip_runtime.errors import Corrupt, Unavailable
from flip_wire.telemetry import Batch, Event, Gap, Priority, Seq, Stamp

log = logging.getLogger(__name__)

FULL = "outbox full"
DAMAGED = "damaged on disk"

_WAITING = 1024
"""Appends that may wait for a commit; one more waits for a place."""
_COMMIT_BYTES = 64 * 2**10
"""Of one commit, so that making room for it never empties a small file."""
_SHED = 256
"""Events that make room at once."""
_COMMIT_WITHIN = 60.0
"""Seconds: a worn SD card takes ten."""
_BATCH_BYTES = 512 * 2**10
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True, eq=False)
class _Waiting:
    priority: Priority
    kind: str
    at: Stamp
    body: Raw
    accepted: asyncio.Future[Seq]


class Outbox:
    """`run` is the committer, a service: without it nothing is accepted."""

    def __init__(self, path: Path, max_bytes: int, file: OutboxFile) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._file = file
        self._boot_id = _boot_id()
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(_WAITING)
        self._arrived = asyncio.Event()
        self._damage: Corrupt | None = None
        """Seen by a reader; the committer starts over."""
        self.progress = Progress("committer", within=_COMMIT_WITHIN)

    @classmethod
    async def open(cls, path: Path, *, max_bytes: int = 64 * 2**20) -> "Outbox":
        """An unreadable file is moved aside, and its loss is the first event of the new one."""
        try:
            return cls(path, max_bytes, await OutboxFile.open(path, max_bytes))
        except Corrupt as error:
            aside = move_aside(path)
            outbox = cls(path, max_bytes, await OutboxFile.open(path, max_bytes))
            await outbox._report_lost_file(aside, error)
            return outbox

    async def close(self) -> None:
        await self._file.close()

    # ---- accepting ----

    async def append(self, priority: Priority, kind: str, body: Struct | Raw) -> Seq:
        """Raises `Unavailable` when the event is not accepted: the disk fails, or it is full of alerts."""
        accepted: asyncio.Future[Seq] = asyncio.get_running_loop().create_future()
        content = Raw(msgspec.json.encode(body))
        await self._queue.put(_Waiting(priority, kind, self._stamp(), content, accepted))
        return await accepted

    async def run(self) -> None:
        while True:
            batch = await self._next_commit()
            try:
                with self.progress.step():
                    if self._damage is not None:
                        await self._start_over(self._damage)
                    await self._commit(batch)
            except Unavailable as error:
                _refuse(batch, error)
            finally:
                _refuse(batch, Unavailable("the outbox stopped"))

    async def _next_commit(self) -> list[_Waiting]:
        batch = [await self._queue.get()]
        size = len(bytes(batch[0].body))
        while size < _COMMIT_BYTES and not self._queue.empty():
            batch.append(self._queue.get_nowait())
            size += len(bytes(batch[-1].body))
        return batch

    async def _commit(self, batch: list[_Waiting]) -> None:
        while batch:
            try:
                first = await self._file.insert([(each.priority, _encode(each)) for each in batch])
            except Full as full:
                batch = await self._make_room(batch, full)
            except Corrupt as error:
                await self._start_over(error)
            else:
                _accept(batch, first)
                self._arrived.set()
                return

    async def _make_room(self, batch: list[_Waiting], full: Full) -> list[_Waiting]:
        """Drops the least urgent, stored or coming in; gives what is still to be stored."""
        least = max(each.priority for each in batch)
        for priority in (Priority.LOG, Priority.HEALTH, Priority.FEDERATION):
            if seqs := await self._file.oldest(priority, _SHED):
                await self._file.drop(priority, seqs, FULL)
                return batch
            if priority == least:
                return await self._turn_away(batch, priority)
        raise full

    async def _turn_away(self, batch: list[_Waiting], priority: Priority) -> list[_Waiting]:
        turned = [each for each in batch if each.priority == priority]
        _accept(turned, await self._file.skip(priority, len(turned), FULL))
        return [each for each in batch if each.priority != priority]

    async def _start_over(self, error: Corrupt) -> None:
        await self._file.close()
        self._damage = None
        aside = move_aside(self._path)
        self._file = await OutboxFile.open(self._path, self._max_bytes)
        await self._report_lost_file(aside, error)

    async def _report_lost_file(self, aside: Path, error: Corrupt) -> None:
        log.error("outbox was damaged, its events are lost", extra={"moved_to": str(aside), "error": str(error)})
        reason = f"outbox file unreadable, number of lost events unknown; kept as {aside.name}: {error}"
        await self._declare([Gap(priority=Priority.ALERT, first=Seq(0), last=Seq(0), count=0, reason=reason)])

    # ---- delivering ----

    async def arrival(self) -> None:
        """Waits for an event that came since the last call; one reader only."""
        await self._arrived.wait()
        self._arrived.clear()

    async def next_batch(self, limit: int) -> Batch | None:
        """The oldest events of the highest priority that has any."""
        for priority in Priority:
            if events := await self.peek(priority, limit):
                return Batch(epoch=self._file.epoch, priority=priority, events=events)
        return None

    async def peek(self, priority: Priority, limit: int) -> list[Event]:
        """At most `limit` events and about half a MiB; damaged rows are dropped on the way."""
        with self._noticing_damage():
            while rows := await self._file.peek(priority, limit, _BATCH_BYTES):
                if damaged := [row.seq for row in rows if not row.intact]:
                    await self._file.drop(priority, damaged, DAMAGED)
                if intact := [row for row in rows if row.intact]:
                    return [msgspec.json.decode(row.event, type=_Stored).event(row.seq) for row in intact]
        return []

    async def ack(self, priority: Priority, up_to: Seq) -> None:
        """The hub has stored everything of that priority up to this number: it is deleted."""
        with self._noticing_damage():
            await self._file.ack(priority, up_to)
        await self._declare_gaps()

    async def reject(self, priority: Priority, seq: Seq, reason: str) -> None:
        """The hub will never take this event: it becomes a dead letter, and is declared as a gap."""
        await self._file.drop(priority, [seq], f"refused by the hub: {reason}", keep_letter=True)
        await self._declare_gaps()

    @contextlib.contextmanager
    def _noticing_damage(self) -> Generator[None]:
        try:
            yield
        except Corrupt as error:
            self._damage = error
            raise Unavailable("the outbox is damaged, it starts over with the next event") from error

    async def _declare_gaps(self) -> None:
        """Called when the hub is known to listen, so that a long outage makes one gap record instead of hundreds."""
        if gaps := await self._file.gaps():
            with contextlib.suppress(Full):  # they stay counted, and are declared after the next ack
                await self._declare(gaps)

    async def _declare(self, gaps: Sequence[Gap]) -> None:
        at = self._stamp()
        events = [_Stored(kind="gap", at=at, body=Raw(msgspec.json.encode(gap))) for gap in gaps]
        await self._file.declare(gaps, [msgspec.json.encode(event) for event in events])
        self._arrived.set()

    # ---- telling ----

    async def depth(self) -> int:
        """Events that wait for the hub."""
        with self._noticing_damage():
            return sum([await self._file.depth(priority) for priority in Priority])

    async def oldest(self) -> float | None:
        """When the oldest of them happened."""
        heads = [event for priority in Priority for event in await self.peek(priority, 1)]
        return min((event.at.wall for event in heads), default=None)

    async def dropped(self) -> int:
        """Since the file was made."""
        with self._noticing_damage():
            return await self._file.dropped()

    def _stamp(self) -> Stamp:
        return Stamp(wall=time.time(), monotonic=time.monotonic(), boot_id=self._boot_id)


class _Stored(Struct, frozen=True, kw_only=True):
    """An event without its number, which is the row's."""

    kind: str
    at: Stamp
    body: Raw

    def event(self, seq: Seq) -> Event:
        return Event(seq=seq, kind=self.kind, at=self.at, body=self.body)


def _encode(each: _Waiting) -> bytes:
    return msgspec.json.encode(_Stored(kind=each.kind, at=each.at, body=each.body))


def _accept(batch: Sequence[_Waiting], first: Seq) -> None:
    for seq, each in enumerate(batch, first):
        if not each.accepted.done():
            each.accepted.set_result(Seq(seq))


def _refuse(batch: Sequence[_Waiting], error: Unavailable) -> None:
    for each in batch:
        if not each.accepted.done():
            each.accepted.set_exception(error)


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:  # not Linux: this process's life stands in for the machine's
        return str(uuid.uuid4())
