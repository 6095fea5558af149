"""The registry of devices: who is enrolled, what the fleet shall do, and what each device last said of itself.

Everything lasting is in the store; here are only the waiters of long polls and short memories of what was read.
One hub process is assumed: it hears of every change because it makes every change.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from flip_hub.api.pages import Page, Wanted
from flip_hub.devices.presence import Presence
from flip_hub.devices.record import SILENT_HEARTBEATS, DeviceRecord, Intake, having
from flip_hub.devices.remembered import Remembered
from flip_hub.devices.schemas import Absence, Device, DeviceStatus
from flip_hub.devices.store import DeviceStore
from flip_hub.live import DeviceChanged, LiveHub
from flip_hub.problem import Forbidden, NotFound, Unauthorized
from flip_hub.settings import Settings
from flip_wire.fleet import DesiredState, DeviceId, ReportedState, WorkNotice
from flip_wire.health import HealthReport
from flip_wire.models import ModelAssignment

REMEMBERED_FOR = 2.0
"""Seconds that a record may be used without reading it again; changes made here are forgotten at once."""


class DeviceService:
    """What the other parts of the hub ask about devices and tell them."""

    def __init__(self, store: DeviceStore, live: LiveHub, settings: Settings) -> None:
        self._store = store
        self._live = live
        self._heartbeat = settings.devices.heartbeat
        self._presence = Presence(self._heartbeat)
        self._records: Remembered[DeviceId, DeviceRecord] = Remembered(REMEMBERED_FOR)
        self._by_key: Remembered[str, DeviceRecord] = Remembered(REMEMBERED_FOR)
        self._desired: DesiredState | None = None
        self._desired_lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._closing = False

    # ---- who is enrolled ----------------------------------------------------------------------------------------

    async def list(self) -> list[Device]:
        desired = await self.desired()
        return [self._shown(record, desired) for record in await self._store.all()]

    async def page(self, wanted: Wanted, status: DeviceStatus | None = None, name: str | None = None) -> Page[Device]:
        """By name."""
        filter = {} if status is None else having(status, time.time(), self._heartbeat)
        found = await self._store.page(wanted, filter if name is None else {**filter, "name": name})
        desired = await self.desired()
        return Page([self._shown(record, desired) for record in found.items], found.next)

    async def get(self, device_id: DeviceId) -> Device:
        """Raises `NotFound`."""
        return self._shown(await self._read(device_id), await self.desired())

    async def by_key(self, fingerprint: str) -> Device | None:
        """The device with that key (`flip_hub.devices.keys`), revoked or not; may be two seconds old."""
        record = self._by_key.get(fingerprint)
        if record is None:
            record = await self._store.by_key(fingerprint)
            if record is None:
                return None
            self._remember(record)
        return self._shown(record, await self.desired())

    async def public_key(self, device_id: DeviceId) -> str:
        """PEM. Raises `NotFound`."""
        return (await self._read(device_id)).public_key

    async def device_of_node(self, node_id: str) -> DeviceId | None:
        """Which device Flower knows by that number."""
        record = await self._store.by_node(node_id)
        return None if record is None else record.id

    async def check_enrolled(self, device_id: DeviceId) -> DeviceRecord:
        """Raises `Unauthorized` for a device that is not known, `Forbidden` for one that is revoked."""
        record = self._records.get(device_id)
        if record is None:
            record = await self._store.get(device_id)
            if record is None:
                raise Unauthorized("this device is not known here", hint="enrol it: flip-agent enrol")
            self._remember(record)
        if record.revoked:
            raise Forbidden("this device is revoked", hint="delete its device.key, then flip-agent enrol --again")
        return record

    async def add(self, record: DeviceRecord) -> None:
        """Raises `Conflict` when its name or key is taken."""
        await self._store.add(record)
        await self._publish(record)

    async def revoke(self, device_id: DeviceId) -> Device:
        """From now on none of its calls is answered. Raises `NotFound`."""
        device = await self._publish(await self._store.revoke(device_id, time.time()))
        self._wake()  # its long poll shall end too
        return device

    # ---- what a device says of itself ---------------------------------------------------------------------------

    async def seen(self, device_id: DeviceId) -> None:
        """A sign of life; written down when the last one is a third of a heartbeat old."""
        record = await self.check_enrolled(device_id)
        now = time.time()
        if record.last_seen is not None and now - record.last_seen < self._heartbeat / 3:
            return
        changed = await self._store.seen(device_id, now)
        if changed is None:
            return
        self._remember(changed)
        if self._presence.changes(changed, now):
            await self._publish(changed)

    async def node_activated(self, device_id: DeviceId, node_id: str) -> None:
        """The device has joined Flower's fleet under that number."""
        if (await self._read(device_id)).node_id != node_id:
            await self._publish(await self._store.set_node(device_id, node_id))

    async def nodes_activated(self, nodes: Mapping[DeviceId, str]) -> None:
        """The hub has had these devices join Flower's fleet under those numbers."""
        for record in await self._store.set_nodes(nodes):
            await self._publish(record)

    async def intake(self, device_id: DeviceId) -> Intake:
        """Raises `NotFound`."""
        return (await self._read(device_id)).intake

    async def account(
        self, device_id: DeviceId, intake: Intake, health: HealthReport | None, reported: ReportedState | None
    ) -> bool:
        """Takes what a batch of telemetry changes; False when another batch was counted since `intake` was read."""
        counted = replace(intake, revision=intake.revision + 1)
        record = await self._store.account(
            device_id, revision=intake.revision, intake=counted, now=time.time(), health=health, reported=reported
        )
        if record is not None:
            await self._publish(record)
        return record is not None

    async def watch(self) -> None:
        """Tells the console when a device has fallen silent; runs until it is cancelled."""
        while True:
            await asyncio.sleep(self._presence.look_every)
            now = time.time()
            since, until = self._presence.window(now)
            for record in await self._store.last_seen_between(since, until):
                if self._presence.changes(record, now):
                    await self._publish(record)

    # ---- who can be woken ---------------------------------------------------------------------------------------

    async def records(self) -> Sequence[DeviceRecord]:
        """By name."""
        return await self._store.all()

    async def heard_or_revoked_since(self, since: float) -> Sequence[DeviceRecord]:
        return await self._store.heard_or_revoked_since(since)

    def absence(self, record: DeviceRecord) -> Absence | None:
        """None: it would begin to train if a run were announced now."""
        return record.absence(time.time(), self._heartbeat)

    def returned(self, record: DeviceRecord, heard: float) -> bool:
        """Whether it was silent so long, after it was `heard`, that its state was unknown."""
        return record.last_seen is not None and record.last_seen - heard > SILENT_HEARTBEATS * self._heartbeat

    # ---- what the fleet shall do --------------------------------------------------------------------------------

    async def desired(self) -> DesiredState:
        """The same for every device, so one that joins late wants what the others want."""
        if self._desired is None:
            self._desired = await self._store.desired()
        return self._desired

    async def assign_model(self, assignment: ModelAssignment) -> None:
        """Every device shall serve this version of that model."""
        async with self._desired_lock:
            desired = await self.desired()
            others = [held for held in desired.models if held.model != assignment.model]
            await self._want(replace(desired, models=[*others, assignment]))

    async def announce_work(self, run_ids: Sequence[str]) -> None:
        """These runs, and no others, may send messages."""
        async with self._desired_lock:
            await self._want(replace(await self.desired(), work=[WorkNotice(run_id=run_id) for run_id in run_ids]))

    async def wait_desired(self, device_id: DeviceId, after: int | None, wait: float) -> DesiredState | None:
        """Answers at once unless the generation is `after`; else waits that many seconds for another, or None."""
        deadline = asyncio.get_running_loop().time() + wait
        while True:
            changed = self._changed
            await self.check_enrolled(device_id)
            desired = await self.desired()
            if desired.generation != after:
                return desired
            if self._closing:
                return None
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError:
                return None

    def close(self) -> None:
        """Ends the long polls, so that the hub can stop."""
        self._closing = True
        self._wake()

    async def _want(self, wanted: DesiredState) -> None:
        if wanted == self._desired:
            return
        wanted = replace(wanted, generation=wanted.generation + 1)
        await self._store.save_desired(wanted)
        self._desired = wanted
        self._wake()
        for record in await self._store.all():
            await self._publish(record)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    # ---- reading and telling ------------------------------------------------------------------------------------

    async def _read(self, device_id: DeviceId) -> DeviceRecord:
        record = await self._store.get(device_id)
        if record is None:
            raise NotFound(f"no device {device_id!r}", hint="GET /api/v1/devices lists them")
        return record

    async def _publish(self, record: DeviceRecord | None) -> Device:
        if record is None:
            raise NotFound("no such device", hint="GET /api/v1/devices lists them")
        self._remember(record)
        device = self._shown(record, await self.desired())
        self._presence.told(device)
        self._live.publish(DeviceChanged(data=device))
        return device

    def _remember(self, record: DeviceRecord) -> None:
        self._records.put(record.id, record)
        self._by_key.put(record.fingerprint, record)

    def _shown(self, record: DeviceRecord, desired: DesiredState) -> Device:
        return record.shown(record.status(time.time(), self._heartbeat), desired)
