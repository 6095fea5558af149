"""Ingest: what is acknowledged is on disk, each event once, and counted once.

The events are inserted first, then the device's record is brought up to date, then the batch is acknowledged. A crash
in between is mended by the device, which sends the batch again.
"""

import time

from flip_hub.api.pages import Page, Wanted
from flip_hub.devices.service import DeviceService
from flip_hub.live import ListGrew, Listing, LiveHub, More
from flip_hub.telemetry.batch import CheckedBatch
from flip_hub.telemetry.hub_time import HubTime, earlier_boots
from flip_hub.telemetry.schemas import DeclaredGap, StoredEvent
from flip_hub.telemetry.store import EventStore, GapStore, SpanStore
from flip_runtime.errors import Unavailable
from flip_wire.fleet import DeviceId
from flip_wire.telemetry import BatchAccepted

ATTEMPTS = 5
"""A device has at most a batch of each priority on the way."""


class TelemetryService:
    def __init__(
        self, store: EventStore, gaps: GapStore, spans: SpanStore, devices: DeviceService, live: LiveHub
    ) -> None:
        self._store = store
        self._gaps = gaps
        self._spans = spans
        self._devices = devices
        self._live = live

    async def accept(self, device_id: DeviceId, checked: CheckedBatch) -> BatchAccepted:
        """Raises `Unavailable` when other batches of the same device were always quicker."""
        batch, received = checked.batch, time.time()
        boots = earlier_boots(batch)
        times = HubTime(batch, received, await self._store.began(device_id, boots) if boots else {})
        await self._store.insert(device_id, batch, times)
        await self._gaps.insert(device_id, batch, checked.gaps(), times)
        await self._spans.insert(device_id, batch, checked.spans(), times)
        for _ in range(ATTEMPTS):
            before = await self._devices.intake(device_id)
            health, state = checked.newest_health(before), checked.newest_state(before)
            if await self._devices.account(device_id, checked.counted_in(before), health, state):
                self._tell(device_id, checked)
                return BatchAccepted(priority=batch.priority, up_to=max(event.seq for event in batch.events))
        raise Unavailable("too many batches of this device at once", hint="send them one after the other")

    def _tell(self, device_id: DeviceId, checked: CheckedBatch) -> None:
        if checked.gaps():
            self._live.publish(ListGrew(data=More(of=Listing.GAPS, id=device_id)))
        for run_id in {body.run_id for _, body in checked.spans()} - {""}:
            self._live.publish(ListGrew(data=More(of=Listing.SPANS, id=run_id)))

    async def newest(self, device_id: DeviceId, wanted: Wanted, kind: str | None = None) -> Page[StoredEvent]:
        """Raises `NotFound` for an unknown device."""
        await self._devices.get(device_id)
        return await self._store.newest(device_id, wanted, kind)

    async def gaps(self, device_id: DeviceId, wanted: Wanted) -> Page[DeclaredGap]:
        """Raises `NotFound` for an unknown device."""
        await self._devices.get(device_id)
        return await self._gaps.newest(device_id, wanted)
