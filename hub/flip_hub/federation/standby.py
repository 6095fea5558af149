"""Devices on standby: a run can count on each device that can be woken, from its first look at the fleet on.

No device is a node while it is idle. So when a run is submitted, the nodes of all that can be woken (`Absence` names
the others) are brought online at the SuperLink with a lease of `fleet.wakes_within`, and those of devices that come
back while it goes on, as soon as they are heard. The device takes its node over when it wakes. One that is heard but
slow is given thrice the time; one that is not heard any more goes offline by its lease, and what was sent to it is
answered with Flower's own error reply. Nothing here ever fails a run: devices also join by themselves.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.schemas import Absence
from flip_hub.devices.service import DeviceService
from flip_hub.federation.nodes import Nodes
from flip_hub.federation.schemas import Absent, Turnout
from flip_runtime.errors import Unavailable
from flip_wire.fleet import DeviceId

log = logging.getLogger(__name__)

_SLOW = 3
"""Leases in all for a device that is heard meanwhile."""
_OVERLAP = 2.0
"""Seconds of the last look that are looked at again: what was then being written down."""
_NAMED = 20
"""Absent devices at most that are told of a run."""


class Standby:
    def __init__(self, devices: DeviceService, nodes: Nodes, *, lease: float) -> None:
        self._devices = devices
        self._nodes = nodes
        self._lease = lease
        self._called: dict[DeviceId, _Call] = {}
        self._looked_at = 0.0
        self._calling = asyncio.Lock()
        self._failed = False

    async def call(self, *, first: bool) -> None:
        """Before a run is submitted; `first`: no other run is under way, so that no node has anything to deliver and
        those of devices that are gone can be taken offline, whatever lease they had."""
        async with self._calling:
            self._called.clear()
            self._looked_at = time.time()
            await self._apply(await self._devices.records(), dismiss_absent=first)

    async def look(self) -> None:
        """While runs are under way: calls devices that have come (back), lets go of those that were revoked."""
        async with self._calling:
            since, self._looked_at = self._looked_at - _OVERLAP, time.time()
            await self._apply(await self._devices.heard_or_revoked_since(since), dismiss_absent=False)

    async def turnout(self) -> Turnout:
        """Whom a run that is under way can count on now."""
        absent: list[Absent] = []
        able = 0
        for record in await self._devices.records():
            match self._devices.absence(record):
                case None:
                    able += 1
                case Absence.REVOKED:
                    pass
                case why:
                    absent.append(_absent(record, why))
        return Turnout(able=able, absent=absent[:_NAMED], others=max(0, len(absent) - _NAMED))

    async def _apply(self, records: Sequence[DeviceRecord], *, dismiss_absent: bool) -> None:
        absence = {record.id: self._devices.absence(record) for record in records}
        wanted = [record for record in records if absence[record.id] is None and self._is_to_wake(record)]
        gone = [record for record in records if _has_left(record, absence[record.id], others=dismiss_absent)]
        try:
            await self._nodes.offline([record.public_key for record in gone])
            ids = await self._nodes.online([record.public_key for record in wanted], self._lease)
        except Unavailable as error:
            if not self._failed:
                log.warning("idle devices are not counted in advance", extra={"reason": str(error)})
            self._failed = True
            self._looked_at = 0.0  # all of them, next time
            return
        self._failed = False
        news = {record.id: node for record, node in zip(wanted, ids, strict=True) if record.node_id != node}
        await self._devices.nodes_activated(news)

    def _is_to_wake(self, record: DeviceRecord) -> bool:
        """Whether it may still be waking; it has now been heard."""
        now, call = time.time(), self._called.get(record.id)
        heard = record.last_seen or now
        if call is None or self._devices.returned(record, call.heard):
            call = _Call(at=now, heard=heard)
        self._called[record.id] = replace(call, heard=heard)
        return now + self._lease < call.at + _SLOW * self._lease


class _Call(Struct, frozen=True, kw_only=True):
    at: float
    heard: float
    """When the device last was."""


def _has_left(record: DeviceRecord, absence: Absence | None, *, others: bool) -> bool:
    """Whether its node shall not be counted any more. A device that was never heard is a SuperNode of Flower's: it
    speaks with the gateway alone, for itself. One that is held joins, and trains when its governor lets it."""
    if absence is Absence.REVOKED:
        return True
    return others and record.last_seen is not None and absence in (Absence.UNKNOWN, Absence.SAFE_MODE)


def _absent(record: DeviceRecord, why: Absence) -> Absent:
    held = record.reported.held_because if why is Absence.HELD and record.reported is not None else ""
    return Absent(device_id=record.id, name=record.name, why=why, detail=held, last_seen=record.last_seen)
