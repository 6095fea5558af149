"""Late contributions: replies that no round took, kept whole, each once, for strategies that can use them.

A device announces one, is told which objects are lacking, sends those, and announces it again until none is: so an
upload that was cut goes on where it stopped. Bounded for each run and in all; when there is no more room the oldest
go, first of the same run, and are counted.
"""

import asyncio
import time
from collections.abc import AsyncIterable

import msgspec
from msgspec.structs import replace

from flip_hub.contributions.schemas import LateContribution, LateContributions, LateRecord
from flip_hub.contributions.store import ContributionStore
from flip_hub.federation.store import RunStore
from flip_hub.live import ListGrew, Listing, LiveHub, More
from flip_hub.models.artifacts import ArtifactStore
from flip_hub.problem import Conflict, NotFound
from flip_runtime.errors import Rejected
from flip_wire.contributions import LateNeeds, LateReply
from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256

OBJECT_LIMIT = 64 * 2**20
"""Bytes: arrays come in chunks of 5 MiB, but a ConfigRecord's bytes in one piece."""
PER_RUN = 200
IN_ALL = 1000
MOST_BYTES = 8 * 2**30


class Late:
    def __init__(
        self,
        store: ContributionStore,
        runs: RunStore,
        objects: ArtifactStore,
        live: LiveHub,
        *,
        per_run: int = PER_RUN,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """`objects` holds theirs alone."""
        self._store = store
        self._runs = runs
        self._objects = objects
        self._live = live
        self._per_run = per_run
        self._most_bytes = most_bytes
        self._changing = asyncio.Lock()

    async def announce(self, device_id: DeviceId, late: LateReply, objects: list[Sha256]) -> LateNeeds:
        """Which of `objects` (that it consists of) are lacking; none means that it is kept."""
        content = msgspec.msgpack.encode(late)
        async with self._changing:
            record = await self._record(device_id, late, content, objects)
            lacking = [sha256 for sha256 in record.objects if not self._objects.holds(sha256)]
            if not lacking and not record.whole:
                await self._keep(record)
        return LateNeeds(objects=lacking)

    async def put(self, sha256: str, content: AsyncIterable[bytes]) -> None:
        """Raises `NotFound` for an object of no late contribution, `Rejected` when it is not that hash."""
        if not await self._store.wants(Sha256(sha256)):
            raise NotFound("no late contribution consists of this object", hint="announce it first")
        await self._objects.put_stream(sha256, content)

    async def of_run(self, run_id: str) -> LateContributions:
        kept = [record.contribution for record in await self._store.late_of_run(run_id) if record.whole]
        return LateContributions(kept=kept, dropped=await self._store.dropped(run_id))

    async def _record(self, device_id: DeviceId, late: LateReply, content: bytes, objects: list[Sha256]) -> LateRecord:
        known = await self._store.late(late.message_id)
        if known is None:
            run = await self._runs.run_of_flower(late.run_id)
            sent = await self._store.instruction(late.message_id)
            contribution = LateContribution(
                message_id=late.message_id,
                device_id=device_id,
                round=0 if sent is None else sent.round,
                phase="" if sent is None else sent.phase,
                reason=late.reason,
                seconds=late.seconds,
                size=len(content),
                kept_at=time.time(),
            )
            run_id = "" if run is None else run.id
            reply = await self._objects.put(content)
            record = LateRecord(contribution=contribution, run_id=run_id, whole=False, reply=reply, objects=objects)
            known = await self._store.keep(record)
        if known.contribution.device_id != device_id:
            raise Conflict("another device has answered this message")
        return known

    async def _keep(self, record: LateRecord) -> None:
        size = record.contribution.size + sum(self._objects.size(sha256) for sha256 in record.objects)
        record = replace(record, whole=True, contribution=replace(record.contribution, size=size))
        if size > self._most_bytes:
            raise Rejected(f"{size:,} bytes are more than the hub keeps of late contributions")
        await self._store.replace(record)
        self._live.publish(ListGrew(data=More(of=Listing.LATE, id=record.run_id)))
        for old in (await self._store.late_of_run(record.run_id))[self._per_run :]:
            await self._drop(old)
        while await self._store.late_bytes() > self._most_bytes or await self._store.late_count() > IN_ALL:
            oldest = await self._store.oldest_late()
            if oldest is None:
                return
            await self._drop(oldest)

    async def _drop(self, record: LateRecord) -> None:
        await self._store.drop(record)
        for sha256 in [record.reply, *record.objects]:
            if not await self._store.wants(sha256):
                self._objects.remove(sha256)
