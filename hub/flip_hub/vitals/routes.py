"""Health over time over HTTP."""

import time
from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.vitals.schemas import HealthPoint
from flip_hub.vitals.service import Vitals
from flip_wire.fleet import DeviceId

DAY = 24 * 3600.0


class VitalsController(Controller):
    path = "/api/v1/devices/{device:str}/health"
    tags = ("telemetry",)
    guards = (needs(Permission.DEVICES_READ),)

    @get()
    async def list_health(
        self,
        vitals: NamedDependency[Vitals],
        device: FromPath[str],
        since: Annotated[float | None, QueryParameter(ge=0, le=1e11)] = None,
        until: Annotated[float | None, QueryParameter(ge=0, le=1e11)] = None,
        step: Annotated[float | None, QueryParameter(gt=0, le=1e7)] = None,
    ) -> list[HealthPoint]:
        """What the device said of its health in the last 30 days, the oldest first: of the day before `until` (now)
        unless `since` is given. Times are seconds since the epoch; a step lasts `step` seconds, else the shortest that
        makes at most 1,500 of them."""
        end = time.time() if until is None else until
        return await vitals.history(DeviceId(device), max(0.0, end - DAY) if since is None else since, end, step)
