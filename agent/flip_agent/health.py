"""The device's account of its health and of what it does, told to the hub at each heartbeat and on each change."""

import asyncio
import os
import shutil
import time
from pathlib import Path

from flip_agent.conditions import Conditions, Facts
from flip_agent.hub_link import HubLink
from flip_agent.inference_peer import InferencePeer
from flip_agent.memory import resident_bytes
from flip_agent.outbox import Outbox
from flip_agent.reported import Reported
from flip_agent.watched import Watched
from flip_wire.fleet import DesiredState
from flip_wire.health import HealthReport
from flip_wire.telemetry import Priority


class Health:
    def __init__(
        self,
        state: Path,
        heartbeat: float,
        outbox: Outbox,
        link: HubLink,
        desired: Watched[DesiredState],
        reported: Reported,
        inference: InferencePeer,
    ) -> None:
        self._state = state
        self._heartbeat = heartbeat
        self._outbox = outbox
        self._link = link
        self._desired = desired
        self._reported = reported
        self._inference = inference
        self._conditions = Conditions()
        self._started = time.monotonic()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            group.create_task(self._tell_changes())
            group.create_task(self._follow_generation())

    async def report(self) -> HealthReport:
        disk_free = shutil.disk_usage(self._state).free
        return HealthReport(
            uptime=time.monotonic() - self._started,
            rss=resident_bytes(),
            load=os.getloadavg()[0],
            disk_free=disk_free,
            outbox_depth=await self._outbox.depth(),
            outbox_oldest=await self._outbox.oldest(),
            dropped=await self._outbox.dropped(),
            conditions=self._conditions.update(self._facts(disk_free), time.time()),
        )

    async def _beat(self) -> None:
        while True:
            await self._outbox.append(Priority.HEALTH, "health", await self.report())
            await self._outbox.append(Priority.HEALTH, "state", self._reported.state.value)
            await asyncio.sleep(self._heartbeat)

    async def _tell_changes(self) -> None:
        told = self._reported.state.value  # by the heartbeat
        while True:
            told = await self._reported.state.other_than(told)
            await self._outbox.append(Priority.HEALTH, "state", told)

    async def _follow_generation(self) -> None:
        async for desired in self._desired.values():
            self._reported.generation(desired.generation)

    def _facts(self, disk_free: int) -> Facts:
        return Facts(
            disk_free=disk_free,
            hub_trouble=self._link.state.value.detail,
            clock_offset=self._link.clock_offset,
            inference_connected=self._inference.connected,
            failures=self._reported.state.value.failures,
        )
