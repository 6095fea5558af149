"""What the whole fleet shall do. The registry has it; here it is remembered for a moment, and changed only from what
it was when the change was made: of two hubs that change it at once, none undoes what the other did."""

import asyncio
import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from flip_hub.cluster.bus import Bus, Topic
from flip_hub.devices.fleet_state import WORK, FleetState, as_model
from flip_hub.devices.store import DeviceStore
from flip_wire.fleet import WorkNotice
from flip_wire.models import ModelAssignment

REMEMBERED_FOR = 2.0
"""Seconds; a change that is told of is read at once."""


class FleetDesired:
    def __init__(self, store: DeviceStore, bus: Bus, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._known: tuple[float, FleetState] | None = None
        self._forgotten = 0
        self._reading = asyncio.Lock()
        """Of thousands that want to know at once, one reads."""
        bus.on(Topic.DESIRED, lambda _: self.forget())
        bus.on_gap(self.forget)

    def forget(self) -> None:
        self._known = None
        self._forgotten += 1

    async def read(self) -> FleetState:
        if (known := self._remembered()) is not None:
            return known
        async with self._reading:
            known = self._remembered()
            return known if known is not None else await self.look()

    async def look(self) -> FleetState:
        """As it is in the registry now."""
        asked, forgotten = self._clock(), self._forgotten
        state = await self._store.fleet()
        if forgotten == self._forgotten:
            self._known = asked, state
        return state

    def _remembered(self) -> FleetState | None:
        fresh = self._known is not None and self._clock() - self._known[0] < REMEMBERED_FOR
        return self._known[1] if self._known is not None and fresh else None

    async def assign_model(self, assignment: ModelAssignment) -> bool:
        def assigned(state: FleetState) -> FleetState:
            if assignment in state.models:
                return state
            others = [held for held in state.models if held.model != assignment.model]
            since = {**state.since, as_model(assignment.model): time.time()}
            return replace(state, models=[*others, assignment], since=since)

        return await self._change(assigned)

    async def announce_work(self, run_ids: Sequence[str]) -> bool:
        def announced(state: FleetState) -> FleetState:
            work = [WorkNotice(run_id=run_id) for run_id in run_ids]
            return state if work == state.work else replace(state, work=work, since={**state.since, WORK: time.time()})

        return await self._change(announced)

    async def _change(self, change: Callable[[FleetState], FleetState]) -> bool:
        """Whether anything has changed."""
        while True:
            before = await self.look()
            wanted = change(before)
            if wanted is before:
                return False
            after = replace(wanted, generation=before.generation + 1)
            if await self._store.replace_fleet(after, before.generation):
                self._bus.tell(Topic.DESIRED, b"")
                return True
