"""Runs as the registry has them, told to consoles when they change, and announced to the devices."""

import asyncio
from collections.abc import Callable, Sequence

from flip_hub.devices.service import DeviceService
from flip_hub.federation.schemas import Round, Run
from flip_hub.federation.store import RunStore
from flip_hub.live import LiveHub, RoundChanged, RunChanged
from flip_hub.problem import NotFound


class RunBook:
    def __init__(self, store: RunStore, live: LiveHub, devices: DeviceService) -> None:
        self.store = store
        self._live = live
        self._devices = devices
        self.changing = asyncio.Lock()
        """Held from reading runs to acting on what was read: reports, people and the watch do so at once."""
        self.submitting: set[str] = set()
        """Runs that are on their way to the SuperLink."""

    async def get(self, run_id: str) -> Run:
        """Raises `NotFound`."""
        run = await self.store.run(run_id)
        if run is None:
            raise NotFound(f"no run {run_id[:80]!r}", hint="GET /api/v1/runs lists them")
        return run

    async def save(self, run: Run) -> None:
        await self.store.save_run(run)
        self._live.publish(RunChanged(data=run))

    async def change(self, run_id: str, change: Callable[[Run], Run]) -> Run:
        """Of the run as it is now. Raises `NotFound`, and whatever `change` raises."""
        async with self.changing:
            run = await self.get(run_id)
            changed = change(run)
            if changed != run:
                await self.save(changed)
        return changed

    async def save_round(self, round: Round) -> None:
        await self.store.save_round(round)
        self._live.publish(RoundChanged(data=round))

    async def announce(self) -> Sequence[Run]:
        """Tells the devices which runs may send them messages; gives these runs, oldest first."""
        async with self.changing:  # or an older list could be announced after a newer one
            active = await self.store.active()
            await self._devices.announce_work([run.id for run in active if run.flower_run_id])
        return active
