"""Late contributions: replies that no round took, kept whole, each once, for strategies that can use them.

A device announces one, is told which objects are lacking, sends those, and announces it again until none is: so an
upload that was cut goes on where it stopped. Bounded twice: uploads that are not whole by `Room`, beyond which devices
are asked to wait (429), and never at the cost of what is whole; whole ones for each run and in all, where the oldest
make room for newer whole ones and are counted. One that has made room stays known: when its device, which never heard
that it was kept, announces it again, it is not kept a second time, so no two devices push each other out for ever.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable

import msgspec
from msgspec.structs import replace

from flip_hub.api.pages import Page, Wanted
from flip_hub.artifacts.artifacts import Artifacts
from flip_hub.contributions.room import Room
from flip_hub.contributions.schemas import LateContribution, LateCounts, LateRecord
from flip_hub.contributions.store import ContributionStore
from flip_hub.federation.schemas import Phase
from flip_hub.federation.store import RunStore
from flip_hub.live import ListGrew, Listing, LiveHub, More
from flip_hub.problem import Conflict, NotFound, TooLarge, TooMany
from flip_runtime.errors import Rejected
from flip_wire.contributions import LateNeeds, LateReply
from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256

log = logging.getLogger(__name__)

OBJECT_LIMIT = 64 * 2**20
"""Bytes: arrays come in chunks of 5 MiB, but a ConfigRecord's bytes in one piece."""
PER_RUN = 200
IN_ALL = 1000
MOST_BYTES = 8 * 2**30
ASK_AGAIN = 5.0
"""Seconds that a device is asked to wait for room."""
TIDY_EVERY = 600.0


class Late:
    def __init__(
        self,
        store: ContributionStore,
        runs: RunStore,
        objects: Artifacts,
        live: LiveHub,
        *,
        per_run: int = PER_RUN,
        most_bytes: int = MOST_BYTES,
        room: Room = Room(),  # noqa: B008  frozen
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`objects` holds theirs alone."""
        self._store = store
        self._runs = runs
        self._objects = objects
        self._live = live
        self._per_run = per_run
        self._most_bytes = most_bytes
        self._room = room
        self._clock = clock
        self._changing = asyncio.Lock()
        self._arriving: dict[Sha256, float] = {}
        """When the last piece of an object came that is being received."""

    # ---- for devices ----

    async def announce(self, device_id: DeviceId, late: LateReply, objects: list[Sha256]) -> LateNeeds:
        """Which of `objects` (that it consists of) are lacking; none means that it is kept.

        Raises `TooMany` while there is no room, `TooLarge` when there never will be, `Conflict` for another's message,
        `Rejected` for what is masked (`plan.secure`): alone it is of use to nobody.
        """
        async with self._changing:
            record = await self._store.late(late.message_id)
            if record is None:
                if await self._store.made_room(late.message_id):
                    return LateNeeds(objects=[])
                record = await self._begin(device_id, late, objects)
            if record.contribution.device_id != device_id:
                raise Conflict("another device has answered this message")
            if record.whole:
                return LateNeeds(objects=[])
            lacking = [sha256 for sha256 in record.objects if not await self._objects.holds(sha256)]
            if not lacking:
                await self._keep(record)
        return LateNeeds(objects=lacking)

    async def put(self, device_id: DeviceId, sha256: str, content: AsyncIterable[bytes]) -> None:
        """Raises `NotFound` for an object of no upload of that device, `Rejected` when it is not that hash, or when
        more comes than was declared."""
        upload = await self._store.uploading(device_id, Sha256(sha256))
        if upload is None:
            raise NotFound("no late contribution of this device consists of this object", hint="announce it first")
        if await self._objects.holds(sha256):  # the answer was lost, or the call came twice
            await _hear_out(content)
            return
        left = upload.declared - await self._here(upload)
        await self._objects.put_stream(sha256, self._received(Sha256(sha256), content, left))
        async with self._changing:
            if not await self._store.progress(upload.contribution.message_id, self._clock()):
                await self._remove([Sha256(sha256)])
                raise NotFound("the upload was given up meanwhile", hint="announce it again")

    # ---- for people ----

    async def of_run(self, run_id: str, wanted: Wanted) -> Page[LateContribution]:
        """Newest first."""
        return await self._store.late_page(run_id, wanted)

    async def counts(self, run_id: str) -> LateCounts:
        uploads = [upload for upload in await self._store.uploads() if upload.run_id == run_id]
        return LateCounts(uploading=len(uploads), dropped=await self._store.dropped(run_id))

    # ---- keeping house ----

    async def keep_tidy(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.tidy()
            await asyncio.sleep(TIDY_EVERY)

    async def tidy(self) -> None:
        """Gives up uploads that stand still, and removes objects that a crash has left without a record."""
        async with self._changing:
            await self._give_up_stalled()
            wanted = await self._store.wanted()
            orphans = [sha256 for sha256 in await self._objects.all() if sha256 not in wanted]
            for sha256 in orphans:
                if sha256 not in self._arriving:
                    await self._objects.remove(sha256)
        if orphans:
            log.info("objects of no late contribution removed", extra={"count": len(orphans)})

    # ---- parts ----

    async def _begin(self, device_id: DeviceId, late: LateReply, objects: list[Sha256]) -> LateRecord:
        sent = await self._store.instruction(late.message_id)
        if sent is not None and sent.device_id not in ("", device_id):
            raise Conflict("this message was written to another device")
        run, now = await self._runs.run_of_flower(late.run_id), self._clock()
        if run is not None and run.plan.secure and (sent is None or sent.phase != Phase.EVALUATE):
            raise Rejected("it is masked for a round that is over, and nothing takes those masks off any more")
        content = msgspec.msgpack.encode(late)
        declared = len(content) + max(late.size, 0)
        await self._need_room(device_id, declared)
        contribution = LateContribution(
            message_id=late.message_id,
            device_id=device_id,
            round=0 if sent is None else sent.round,
            phase="" if sent is None else sent.phase,
            reason=late.reason,
            seconds=late.seconds,
            size=declared,
            kept_at=now,
        )
        record = LateRecord(
            contribution=contribution,
            run_id="" if run is None else run.id,
            whole=False,
            reply=await self._objects.put(content),
            objects=objects,
            declared=declared,
            progress_at=now,
        )
        await self._store.add(record)
        return record

    async def _need_room(self, device_id: DeviceId, declared: int) -> None:
        if declared > self._most_bytes:
            raise TooLarge(f"{declared:,} bytes are more than the hub keeps of late contributions")
        await self._give_up_stalled()
        lacking = self._room.lacks(await self._store.uploads(), device_id, declared)
        if lacking:
            raise TooMany(lacking, hint="this one is taken when one of them is whole", retry_after=ASK_AGAIN)

    async def _here(self, record: LateRecord) -> int:
        """Bytes of it."""
        here = [each for each in [record.reply, *record.objects] if await self._objects.holds(each)]
        return sum([await self._objects.size(each) for each in here])

    async def _received(self, sha256: Sha256, content: AsyncIterable[bytes], left: int) -> AsyncIterator[bytes]:
        try:
            async for chunk in content:
                self._arriving[sha256] = self._clock()
                left -= len(chunk)
                if left < 0:
                    raise Rejected("more bytes than the device declared for this reply")
                yield chunk
        finally:
            self._arriving.pop(sha256, None)

    async def _give_up_stalled(self) -> None:
        now = self._clock()
        for upload in self._room.stalled(await self._store.uploads(), now):
            record = await self._store.late(upload.message_id)
            if record is None or any(
                now - self._arriving.get(sha256, 0.0) <= self._room.idle for sha256 in record.objects
            ):
                continue
            await self._store.forget(record)
            await self._remove([record.reply, *record.objects])
            extra = {"device": upload.device_id, "message_id": upload.message_id}
            log.info("upload of a late reply stood still, given up until it is announced again", extra=extra)

    async def _keep(self, record: LateRecord) -> None:
        size = await self._here(record)
        contribution = replace(record.contribution, size=size, kept_at=self._clock())
        await self._store.replace(replace(record, whole=True, contribution=contribution))
        self._live.publish(ListGrew(data=More(of=Listing.LATE, id=record.run_id)))
        own = record.contribution.message_id
        older = [old for old in await self._store.late_of_run(record.run_id) if old.contribution.message_id != own]
        for old in older[self._per_run - 1 :]:
            await self._make_room(old)
        while await self._store.late_bytes() > self._most_bytes or await self._store.late_count() > IN_ALL:
            oldest = await self._store.oldest_late(but=own)
            if oldest is None:
                return
            await self._make_room(oldest)

    async def _make_room(self, record: LateRecord) -> None:
        await self._store.drop(record)
        await self._remove([record.reply, *record.objects])

    async def _remove(self, objects: list[Sha256]) -> None:
        """Those that belong to no other; a crash in between leaves them to `tidy`."""
        for sha256 in objects:
            if not await self._store.wants(sha256):
                await self._objects.remove(sha256)


async def _hear_out(content: AsyncIterable[bytes]) -> None:
    """A connection that is closed on it would look like a failure."""
    async for _ in content:
        pass
