"""What the whole fleet shall do. The registry has it; here it is remembered for a moment, and changed only from what
it was when the change was made: of two hubs that change it at once, none undoes what the other did."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from flip_hub.cluster.bus import Bus, Topic
from flip_hub.devices.fleet_state import WORK, FleetState, Staged, as_model
from flip_hub.devices.store import DeviceStore
from flip_hub.problem import Conflict
from flip_wire.fleet import WorkNotice
from flip_wire.models import ModelAssignment

REMEMBERED_FOR = 2.0
"""Seconds; a change that is told of is read at once."""


class FleetDesired:
    def __init__(
        self,
        store: DeviceStore,
        bus: Bus,
        changed: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`changed` is called when something else is wanted since a call of this object."""
        self._store = store
        self._bus = bus
        self._changed = changed
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

    async def assign_model(self, assignment: ModelAssignment, ends: str = "") -> None:
        """Every device shall serve this version of that model; the rollout `ends` is thereby over. Raises `Conflict`
        while another rollout brings a version of that model."""

        def assigned(state: FleetState) -> FleetState:
            _check_free(state, assignment.model, ends)
            staged = [each for each in state.staged if each.rollout != ends]
            if assignment in state.models:
                return state if staged == state.staged else replace(state, staged=staged)
            others = [held for held in state.models if held.model != assignment.model]
            since = {**state.since, as_model(assignment.model): time.time()}
            return replace(state, models=[*others, assignment], since=since, staged=staged)

        await self._change(assigned)

    async def take_back(self, brought: ModelAssignment, before: ModelAssignment) -> bool:
        """Every device shall serve `before` again in the place of `brought`; False, and nothing is changed, when
        another version has that place. Raises `Conflict` while a rollout brings a version of that model."""

        def taken_back(state: FleetState) -> FleetState:
            if brought not in state.models:
                return state
            _check_free(state, before.model, "")
            models = [before if each == brought else each for each in state.models]
            return replace(state, models=models, since={**state.since, as_model(before.model): time.time()})

        await self._change(taken_back)
        return before in (await self.look()).models

    async def stage(self, wanted: Staged) -> int:
        """That part of the fleet shall serve it, and the others what they served so far; gives a generation in which it
        is so. Raises `Conflict` as `assign_model` does."""

        def with_it(state: FleetState) -> FleetState:
            _check_free(state, wanted.assignment.model, wanted.rollout)
            others = [each for each in state.staged if each.rollout != wanted.rollout]
            return state if wanted in state.staged else replace(state, staged=[*others, wanted])

        return await self._change(with_it)

    async def unstage(self, rollout: str) -> None:
        """Every device shall serve again what is wanted of all."""

        def without(state: FleetState) -> FleetState:
            left = [each for each in state.staged if each.rollout != rollout]
            return state if left == state.staged else replace(state, staged=left)

        await self._change(without)

    async def announce_work(self, run_ids: Sequence[str]) -> None:
        def announced(state: FleetState) -> FleetState:
            work = [WorkNotice(run_id=run_id) for run_id in run_ids]
            return state if work == state.work else replace(state, work=work, since={**state.since, WORK: time.time()})

        await self._change(announced)

    async def _change(self, change: Callable[[FleetState], FleetState]) -> int:
        """The generation that is so."""
        while True:
            before = await self.look()
            wanted = change(before)
            if wanted is before:
                return before.generation
            after = replace(wanted, generation=before.generation + 1)
            if await self._store.replace_fleet(after, before.generation):
                self._bus.tell(Topic.DESIRED, b"")
                await self._changed()
                return after.generation


def _check_free(state: FleetState, model: str, rollout: str) -> None:
    for each in state.staged:
        if each.assignment.model == model and each.rollout != rollout:
            raise Conflict(
                f"{each.rollout} is bringing version {each.assignment.version} of {model} to the fleet",
                hint=f"wait for its end, or: flip-hub rollouts rollback {each.rollout}",
            )
