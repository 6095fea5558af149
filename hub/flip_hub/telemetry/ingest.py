"""Writes batches of many devices at once: each event once, each counted once, with any number of hubs.

The order makes it safe. What is new is inserted under unique keys; then one update of each device's record counts the
batch and keeps its health samples; where there are other hubs, it is made only if none of them has counted since the
record was read. A crash in between leaves events that are not counted: the device was not answered, sends the batch
again, and finds them there.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from flip_hub.deployments.store import DeploymentStore
from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.service import DeviceService, admitted
from flip_hub.intake.delivery import Account, Delivery, account
from flip_hub.intake.store import IntakeStore
from flip_hub.telemetry.store import EventStore, GapStore, SpanStore
from flip_hub.vitals.store import HealthStore
from flip_runtime.errors import FlipError, Unavailable
from flip_wire.fleet import DeviceId, ServingModel

ATTEMPTS = 5
"""A device has at most a batch of each priority on the way."""

Records = Mapping[DeviceId, DeviceRecord]


class Ingest:
    def __init__(
        self,
        events: EventStore,
        gaps: GapStore,
        spans: SpanStore,
        health: HealthStore,
        accounts: IntakeStore,
        deployments: DeploymentStore,
        devices: DeviceService,
    ) -> None:
        self._events = events
        self._gaps = gaps
        self._spans = spans
        self._health = health
        self._accounts = accounts
        self._deployments = deployments
        self._devices = devices
        self._doubted: set[DeviceId] = set()
        """Devices of a write that failed: some of it may be done, so their records are read."""

    async def write(self, deliveries: Sequence[Delivery]) -> list[FlipError | None]:
        """Says of each why it is not on disk, or None. Raises what the registry raises: then none is acknowledged."""
        told: dict[int, FlipError | None] = {}
        for attempt in range(ATTEMPTS):
            left = [number for number in range(len(deliveries)) if number not in told]
            records = await self._records({deliveries[number].device_id for number in left}, anew=attempt > 0)
            for number in left:
                record = records.get(deliveries[number].device_id)
                if refusal := _refusal(record):
                    told[number] = refusal
                elif attempt and record is not None and deliveries[number].counted(record.intake):
                    told[number] = None
            taken = [deliveries[number] for number in left if number not in told]
            for each in taken if not attempt else []:
                if each.call is not None:
                    await self._devices.heard_from(records[each.device_id], each.call)
            try:
                done = await self._take(taken, records)
            except BaseException:
                self._doubted |= {each.device_id for each in taken}
                raise
            if done:
                return [told.get(number) for number in range(len(deliveries))]
        return [told.get(number, _TOO_MANY) for number in range(len(deliveries))]

    async def _records(self, device_ids: AbstractSet[DeviceId], *, anew: bool) -> Records:
        """At first those that are known here: where one is out of date its update is not made, and it is read."""
        known = {} if anew else self._devices.known.of_any_age(device_ids - self._doubted)
        missing = device_ids - known.keys()
        return known | await self._accounts.records(missing) if missing else known

    async def _take(self, deliveries: Sequence[Delivery], records: Records) -> bool:
        """False when some of them are not counted, because a record is no longer as it was read."""
        if not deliveries:
            return True
        accounts = _accounts(deliveries, records)
        await self._insert(deliveries, records)
        await self._deployments.report(_newly_serving(accounts), time.time())
        await self._health.save({each.before.id: each.save for each in accounts if each.save is not None})
        if not await self._accounts.write(accounts):
            return False
        self._doubted -= {each.before.id for each in accounts}
        await self._devices.accounted([(each.before, each.record) for each in accounts])
        return True

    async def _insert(self, deliveries: Sequence[Delivery], records: Records) -> None:
        """What is there already stays as it is."""
        news = [(each, event) for each in deliveries for event in each.checked.news(records[each.device_id].reported)]
        if not news:
            return
        others = [each for each in deliveries if not each.checked.heartbeat]
        async with asyncio.TaskGroup() as group:
            for inserting in (self._events.insert(news), self._gaps.insert(others), self._spans.insert(others)):
                group.create_task(inserting)


_TOO_MANY = Unavailable("too many batches of this device at once", hint="send them one after the other")


def _refusal(record: DeviceRecord | None) -> FlipError | None:
    try:
        admitted(record)
    except FlipError as refusal:
        return refusal
    return None


def _newly_serving(accounts: Sequence[Account]) -> dict[DeviceId, list[ServingModel]]:
    """Of the devices that now say something else than before."""
    return {each.before.id: each.record.serving for each in accounts if each.record.serving != each.before.serving}


def _accounts(deliveries: Sequence[Delivery], records: Records) -> list[Account]:
    """One for each device."""
    of: dict[DeviceId, list[Delivery]] = defaultdict(list)
    for each in deliveries:
        of[each.device_id].append(each)
    now = time.time()
    return [account(records[device_id], its, now) for device_id, its in of.items()]
