"""Telemetry: what is acknowledged is on disk, each event once, and counted once (`ingest`)."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from flip_hub.api.pages import Page, Wanted
from flip_hub.devices.lives import Call
from flip_hub.devices.service import DeviceService
from flip_hub.intake.delivery import Delivery
from flip_hub.live import ListGrew, Listing, LiveHub, More
from flip_hub.telemetry.allowance import Allowance
from flip_hub.telemetry.batch import CheckedBatch
from flip_hub.telemetry.group_commit import GroupCommit
from flip_hub.telemetry.hub_time import HubTime, earlier_boots
from flip_hub.telemetry.ingest import Ingest
from flip_hub.telemetry.schemas import DeclaredGap, StoredEvent
from flip_hub.telemetry.store import EventStore, GapStore
from flip_wire.actions import ActionResult
from flip_wire.fleet import DeviceId
from flip_wire.spans import Spans
from flip_wire.telemetry import BatchAccepted, Gap

_SHOWN = frozenset({"health", "state"})
"""Kinds of events that a frame of their device tells."""


class Results(Protocol):
    """Who keeps what came of actions."""

    async def take(self, device_id: DeviceId, results: Sequence[ActionResult]) -> None: ...


class TelemetryService:
    def __init__(
        self,
        events: EventStore,
        gaps: GapStore,
        ingest: Ingest,
        devices: DeviceService,
        results: Results,
        live: LiveHub,
        allowance: Allowance,
    ) -> None:
        self._events = events
        self._gaps = gaps
        self._devices = devices
        self._results = results
        self._live = live
        self._allowance = allowance
        self.commits: GroupCommit[Delivery] = GroupCommit(ingest.write)
        self.events = 0
        """That were acknowledged by this process."""

    async def run(self) -> None:
        """Writes what is accepted, until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.commits.run())
            group.create_task(self._devices.announce())

    def admit(self, device_id: DeviceId) -> None:
        """Before a batch is read. Raises `TooMany` for a device that sends too often."""
        self._allowance.take(device_id)

    async def accept(self, device_id: DeviceId, checked: CheckedBatch, call: Call | None = None) -> BatchAccepted:
        """Returns once it is on disk. `call`: that brought it, unless the device was looked at before.

        Raises `Unauthorized`, `Forbidden`, or `Unavailable` when it is not, as far as the hub knows; then the device
        sends it again.
        """
        batch, received = checked.batch, time.time()
        boots = earlier_boots(batch)
        times = HubTime(batch, received, await self._events.began(device_id, boots) if boots else {})
        delivery = Delivery(device_id=device_id, checked=checked, times=times, call=call)
        await self.commits.commit(delivery, checked.size)
        await self._results.take(device_id, [result for _, result in checked.of(ActionResult)])
        self._tell(device_id, checked)
        return self.accepted(checked)

    def bring(self, bring: Callable[[], None], size: int) -> None:
        """Calls it when the next batches are written, so that it may submit one; `size` is what waits, in bytes."""
        self.commits.bring(bring, size)

    def submit_heartbeat(self, device_id: DeviceId, checked: CheckedBatch, call: Call) -> "asyncio.Future[None]":
        """The same for the most frequent batch, without a task; `accepted` is then the answer. Raises as `accept`."""
        delivery = Delivery(
            device_id=device_id, checked=checked, times=HubTime(checked.batch, time.time(), {}), call=call
        )
        return self.commits.submit(delivery, checked.size)

    def accepted(self, checked: CheckedBatch) -> BatchAccepted:
        """What is said of a batch that is on disk."""
        events = checked.batch.events
        self.events += len(events)
        return BatchAccepted(priority=checked.batch.priority, up_to=max([event.seq for event in events]))

    def _tell(self, device_id: DeviceId, checked: CheckedBatch) -> None:
        if any(event.kind not in _SHOWN for event in checked.batch.events):
            self._live.publish(ListGrew(data=More(of=Listing.EVENTS, id=device_id)))
        if checked.of(Gap):
            self._live.publish(ListGrew(data=More(of=Listing.GAPS, id=device_id)))
        for run_id in {body.run_id for _, body in checked.of(Spans)} - {""}:
            self._live.publish(ListGrew(data=More(of=Listing.SPANS, id=run_id)))

    async def newest(self, device_id: DeviceId, wanted: Wanted, kind: str | None = None) -> Page[StoredEvent]:
        """Raises `NotFound` for an unknown device."""
        await self._devices.get(device_id)
        return await self._events.newest(device_id, wanted, kind)

    async def gaps(self, device_id: DeviceId, wanted: Wanted) -> Page[DeclaredGap]:
        """Raises `NotFound` for an unknown device."""
        await self._devices.get(device_id)
        return await self._gaps.newest(device_id, wanted)
