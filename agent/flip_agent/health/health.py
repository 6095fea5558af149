"""The device's account of its health and of what it does, told to the hub at each heartbeat and on each change."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from flip_agent.health.checks.disk import free_bytes
from flip_agent.health.hardware import Hardware
from flip_agent.health.inspection import Inspection
from flip_agent.hub.link import HubLink
from flip_agent.memory import resident_bytes
from flip_agent.outbox.outbox import Outbox
from flip_agent.reported import Reported
from flip_agent.watched import Watched
from flip_wire.fleet import DesiredState
from flip_wire.health import HealthReport, NetworkUse
from flip_wire.inference import ModelTraffic
from flip_wire.telemetry import Priority


class Health:
    def __init__(
        self,
        state: Path,
        heartbeat: Watched[float],
        hardware: Hardware,
        outbox: Outbox,
        link: HubLink,
        desired: Watched[DesiredState],
        reported: Reported,
        inspection: Inspection,
        traffic: Callable[[], list[ModelTraffic]],
        samples_lost: Callable[[], dict[str, int]],
        network: Callable[[], NetworkUse | None],
    ) -> None:
        self._state = state
        self._heartbeat = heartbeat
        self._hardware = hardware
        self._outbox = outbox
        self._link = link
        self._desired = desired
        self._reported = reported
        self._inspection = inspection
        self._traffic = traffic
        self._samples_lost = samples_lost
        self._network = network
        self._started = time.monotonic()
        self._told: frozenset[str] = frozenset()
        """Codes of the conditions in the latest event."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            group.create_task(self._tell_changes())
            group.create_task(self._tell_conditions())
            group.create_task(self._follow_generation())

    async def report(self) -> HealthReport:
        memory = self._hardware.memory()
        return HealthReport(
            uptime=time.monotonic() - self._started,
            rss=resident_bytes(),
            load=self._hardware.load() or 0.0,
            disk_free=free_bytes(self._state),
            outbox_depth=await self._outbox.depth(),
            outbox_oldest=await self._outbox.oldest(),
            dropped=await self._outbox.dropped(),
            conditions=self._inspection.look(),
            temperature=self._hardware.temperature(),
            memory_available=None if memory is None else memory[0],
            clock_offset=self._link.clock_offset,
            inference=self._traffic(),
            samples_lost=self._samples_lost(),
            network=self._network(),
        )

    async def _beat(self) -> None:
        while True:
            await self._tell_health()
            await self._outbox.append(Priority.HEALTH, "state", self._reported.state.value)
            await self._pause()

    async def _pause(self) -> None:
        """Until the next heartbeat, or until its pace is changed."""
        pace = self._heartbeat.value
        try:
            async with asyncio.timeout(pace):
                await self._heartbeat.other_than(pace)
        except TimeoutError:
            return

    async def _tell_changes(self) -> None:
        told = self._reported.state.value  # by the heartbeat
        while True:
            told = await self._reported.state.other_than(told)
            await self._outbox.append(Priority.HEALTH, "state", told)

    async def _tell_conditions(self) -> None:
        """Texts change all the time: only what begins and what ends is worth an event before the heartbeat."""
        while True:
            codes = await self._inspection.codes.other_than(self._told)
            if codes != self._told:  # a heartbeat may have told meanwhile
                await self._tell_health()

    async def _tell_health(self) -> None:
        report = await self.report()
        self._told = frozenset(condition.code for condition in report.conditions)
        await self._outbox.append(Priority.HEALTH, "health", report)

    async def _follow_generation(self) -> None:
        async for desired in self._desired.values():
            self._reported.generation(desired.generation)
