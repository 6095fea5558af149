"""Health over time, for charts: never more points than a screen has room for."""

import math

from flip_hub.devices.service import DeviceService
from flip_hub.problem import Refused
from flip_hub.vitals.schemas import HealthPoint
from flip_hub.vitals.store import HealthStore
from flip_wire.fleet import DeviceId

MOST_POINTS = 1500
LONGEST = 31 * 24 * 3600.0
"""Seconds that one call looks at."""
FINEST = 1.0
"""Seconds of a step."""


class Vitals:
    def __init__(self, store: HealthStore, devices: DeviceService) -> None:
        self._store = store
        self._devices = devices

    async def history(self, device_id: DeviceId, since: float, until: float, step: float | None) -> list[HealthPoint]:
        """`step` in seconds; without one the finest that fits. Raises `NotFound`, `Refused`."""
        span = until - since
        if not (math.isfinite(span) and since >= 0 and 0 < span <= LONGEST):
            hint = f"`until` is later than `since` by at most {LONGEST:.0f} s; both are seconds since 1970"
            raise Refused("this is no span of time that is kept", hint=hint)
        finest = max(FINEST, math.ceil(span / MOST_POINTS))
        if step is not None and step < finest:
            raise Refused(f"a step of {step:g} s is too short", hint=f"take {finest:g} s, or a shorter span")
        await self._devices.get(device_id)
        return await self._store.points(device_id, since, until, step or finest)
