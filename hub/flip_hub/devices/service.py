"""The registry of devices: who is enrolled, what the fleet shall do, and what each device last said of itself.

Everything lasting is in the store; here are only the waiters of long polls, what is under way, and short memories of
what was read. Any number of hubs may do this with one registry: what one of them changes, the others hear of at once
over the bus, and without one within a second (`changes`).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

import msgspec

from flip_hub.api.pages import Page, Wanted
from flip_hub.audit.changes import changed
from flip_hub.cluster.bus import Bus, Topic
from flip_hub.devices.announcements import Announcements
from flip_hub.devices.brief import DeviceBrief
from flip_hub.devices.callers import Callers
from flip_hub.devices.changes import Changes
from flip_hub.devices.fleet_desired import FleetDesired
from flip_hub.devices.fleet_state import FleetState
from flip_hub.devices.known_records import KnownRecords
from flip_hub.devices.leash import Leashes, revoked
from flip_hub.devices.lives import Call
from flip_hub.devices.long_polls import LongPolls
from flip_hub.devices.polls import Polls
from flip_hub.devices.presence import Presence
from flip_hub.devices.record import DeviceRecord, OpenAction, matching
from flip_hub.devices.schemas import Absence, Device, DevicePatch, Sought
from flip_hub.devices.status import SILENT_HEARTBEATS
from flip_hub.devices.store import DeviceStore
from flip_hub.live import DeviceChanged, LiveHub
from flip_hub.mongo import DatabaseDown
from flip_hub.problem import NotFound, Unauthorized
from flip_hub.settings import Settings
from flip_wire.actions import ActionId
from flip_wire.fleet import DesiredState, DeviceId
from flip_wire.models import ModelAssignment


class DeviceService:
    """What the other parts of the hub ask about devices and tell them."""

    def __init__(self, store: DeviceStore, live: LiveHub, bus: Bus, settings: Settings) -> None:
        self._store = store
        self._live = live
        self._bus = bus
        self._heartbeat = settings.devices.heartbeat
        self._presence = Presence(self._heartbeat)
        self._announcements = Announcements(self._publish, lambda: live.watched)
        self.known = KnownRecords(lambda: self._changes.watched)
        self.fleet = FleetDesired(store, bus, self._publish_all)
        self.polls = Polls()
        self.leashes = Leashes()
        self._callers = Callers(store, self.known, self._change)
        self._long_polls = LongPolls(self.fleet, self.polls, self.check_enrolled, self._read_enrolled)
        self._changes = Changes(store, self.fleet, self._take, self.polls.wake_all)
        bus.on(Topic.DEVICE, self._heard_of)
        bus.on(Topic.DESIRED, lambda _: self.polls.wake_all())
        bus.on_gap(self._forget_all)

    # ---- who is enrolled ----------------------------------------------------------------------------------------

    async def list(self) -> list[Device]:
        fleet = await self.fleet.read()
        return [self._shown(record, fleet) for record in await self._store.all()]

    async def page(self, wanted: Wanted, sought: Sought) -> Page[Device]:
        """By name."""
        found = await self._store.page(wanted, matching(sought, time.time(), self._heartbeat))
        fleet = await self.fleet.read()
        return Page([self._shown(record, fleet) for record in found.items], found.next)

    async def briefs(self) -> Sequence[DeviceBrief]:
        """Of every device, by name."""
        now = time.time()
        return [sketch.brief(now, self._heartbeat) for sketch in await self._store.sketches()]

    async def get(self, device_id: DeviceId) -> Device:
        """Raises `NotFound`."""
        return self._shown(await self._read(device_id), await self.fleet.read())

    async def by_key(self, fingerprint: str) -> Device | None:
        """The device with that key (`flip_hub.devices.keys`), revoked or not; may be two seconds old."""
        record = self.known.by_key(fingerprint)
        if record is None and (record := await self._store.by_key(fingerprint)) is not None:
            self.known.put(record)
        return None if record is None else self._shown(record, await self.fleet.read())

    async def public_key(self, device_id: DeviceId) -> str:
        """PEM. Raises `NotFound`."""
        return (await self._read(device_id)).public_key

    async def device_of_node(self, node_id: str) -> DeviceId | None:
        """Which device Flower knows by that number."""
        record = await self._store.by_node(node_id)
        return None if record is None else record.id

    async def check_enrolled(self, device_id: DeviceId) -> DeviceRecord:
        """Raises `Unauthorized` for a device that is not known, `Forbidden` for one that is revoked."""
        record = self.known.get(device_id)
        return await self._read_enrolled(device_id) if record is None else admitted(record)

    async def add(self, record: DeviceRecord) -> None:
        """Raises `Conflict` when its name or key is taken."""
        await self._store.add(record)
        await self._publish(record)

    async def revoke(self, device_id: DeviceId) -> Device:
        """From now on none of its calls is answered, and what it has under way is cut. Raises `NotFound`."""
        return await self._change(await self._store.revoke(device_id, time.time()))

    async def patch(self, device_id: DeviceId, patch: DevicePatch) -> Device:
        """Raises `NotFound`."""
        before = await self._read(device_id)
        device = await self._change(await self._store.patch(device_id, patch))
        for name in msgspec.to_builtins(patch):
            changed(name, getattr(before, name), getattr(device, name))
        return device

    async def clear_clone(self, device_id: DeviceId) -> Device:
        """An operator has stopped one of the two; it is flagged again if that is not so. Raises `NotFound`."""
        return await self._change(await self._store.forget_lives(device_id))

    # ---- what is asked of one device ----------------------------------------------------------------------------

    async def open_action(self, device_id: DeviceId, asked: OpenAction, most: int) -> bool:
        """From now on its desired state has it; False when so many are open already."""
        record = await self._store.open_action(device_id, asked, most)
        if record is not None:
            await self._change(record)
        return record is not None

    async def close_action(self, device_id: DeviceId, action_id: ActionId) -> None:
        """Nothing changes when it is not open."""
        record = await self._store.close_action(device_id, action_id)
        if record is not None:
            await self._change(record)

    # ---- what a device says of itself ---------------------------------------------------------------------------

    async def called(self, device_id: DeviceId, call: Call) -> None:
        """Takes what a request tells beside what it asks. Raises as `check_enrolled` does."""
        await self.heard_from(await self.check_enrolled(device_id), call)

    async def heard_from(self, record: DeviceRecord, call: Call) -> None:
        """The same, of a device whose record has just been read."""
        if self._callers.is_news(record, call):
            await self._callers.take(record, call)

    async def seen(self, device_id: DeviceId) -> None:
        """A sign of life; written down when the last one is a heartbeat old, for telemetry brings one with each."""
        record = await self.check_enrolled(device_id)
        now = time.time()
        if record.last_seen is not None and now - record.last_seen < self._heartbeat:
            return
        changed = await self._store.seen(device_id, now)
        if changed is None:
            return
        self.known.put(changed)
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

    async def accounted(self, changes: Sequence[tuple[DeviceRecord, DeviceRecord]]) -> None:
        """Telemetry has been counted: each record as it was, and as it is now."""
        now = time.time()
        for before, after in changes:
            self.known.put(after)
            await self._announcements.heard(before, after, news=self._presence.changes(after, now))

    async def announce(self) -> None:
        """Tells the consoles who was heard, as far as they can follow; runs until it is cancelled."""
        await self._announcements.run()

    async def watch(self) -> None:
        """Notices what other hubs have changed, and which devices have fallen silent; runs until it is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._changes.watch())
                group.create_task(self._watch_presence())
        except* DatabaseDown as errors:
            raise errors.exceptions[0] from None

    async def _watch_presence(self) -> None:
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
        """Of every device that no rollout has reached; one that joins late wants what the others want."""
        return (await self.fleet.read()).desired

    async def desired_of(self, device_id: DeviceId) -> DesiredState:
        """Raises as `check_enrolled` does."""
        return (await self.check_enrolled(device_id)).desired(await self.fleet.read())

    async def assign_model(self, assignment: ModelAssignment) -> None:
        """Every device shall serve this version of that model."""
        await self.fleet.assign_model(assignment)

    async def announce_work(self, run_ids: Sequence[str]) -> None:
        """These runs, and no others, may send messages."""
        await self.fleet.announce_work(run_ids)

    async def wait_desired(self, device_id: DeviceId, after: int | None, wait: float) -> DesiredState | None:
        """Answers at once unless the generation is `after`; else waits that many seconds for another, or None."""
        return await self._long_polls.wait(device_id, after, wait)

    def close(self) -> None:
        """Ends the long polls, so that the hub can stop."""
        self._long_polls.close()

    # ---- reading and telling ------------------------------------------------------------------------------------

    async def _read(self, device_id: DeviceId) -> DeviceRecord:
        record = await self._store.get(device_id)
        if record is None:
            raise NotFound(f"no device {device_id!r}", hint="GET /api/v1/devices lists them")
        return record

    async def _read_enrolled(self, device_id: DeviceId) -> DeviceRecord:
        record = await self._store.get(device_id)
        if record is not None:
            self.known.put(record)
        return admitted(record)

    async def _change(self, record: DeviceRecord | None) -> Device:
        """Publishes it, here and at the other hubs. Raises `NotFound` when there is none."""
        device = await self._publish(record)
        assert record is not None
        self._bus.tell(Topic.DEVICE, device.id.encode())
        self._take(record)
        return device

    async def _publish(self, record: DeviceRecord | None) -> Device:
        if record is None:
            raise NotFound("no such device", hint="GET /api/v1/devices lists them")
        self.known.put(record)
        device = self._shown(record, await self.fleet.read())
        self._presence.told(device)
        self._live.publish(DeviceChanged(data=device))
        return device

    async def _publish_all(self) -> None:
        for record in await self._store.all():
            await self._publish(record)

    def _take(self, record: DeviceRecord) -> None:
        """It has changed, whoever changed it."""
        self.known.put(record)
        if record.revoked:
            self.leashes.cut(record.id)
        self.polls.wake(record.id)

    def _heard_of(self, payload: bytes) -> None:
        """A hub has changed this device's record: nothing that is remembered of it is trusted any more."""
        self.known.forget(DeviceId(payload.decode()))
        self._changes.hint()

    def _forget_all(self) -> None:
        self.known.clear()
        self.polls.wake_all()
        self._changes.hint()

    def _shown(self, record: DeviceRecord, fleet: FleetState) -> Device:
        return record.shown(record.status(time.time(), self._heartbeat), fleet)


def admitted(record: DeviceRecord | None) -> DeviceRecord:
    """Of a device that calls. Raises `Unauthorized` when there is none, `Forbidden` when it is revoked."""
    if record is None:
        raise Unauthorized("this device is not known here", hint="enrol it: flip-agent enrol")
    if record.revoked:
        raise revoked()
    return record
