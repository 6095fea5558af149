"""What somebody wants to run, checked against what there is: the app, the plan, the model or run to start from."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from flip_hub.api.pages import Wanted
from flip_hub.apps.service import AppService
from flip_hub.datasets.service import DatasetService
from flip_hub.devices.service import DeviceService
from flip_hub.federation.aggregator.versions import model_name
from flip_hub.federation.fleet_rules import check_fleet, unmeasured
from flip_hub.federation.journal import Journals
from flip_hub.federation.memory_rules import Machine, memory_said
from flip_hub.federation.participants import placed
from flip_hub.federation.plan import Plan, Start
from flip_hub.federation.privacy.rules import carried_over, priced
from flip_hub.federation.privacy.schemas import PrivacySpent, Release
from flip_hub.federation.run_book import RunBook
from flip_hub.federation.run_request import ROUNDS, new_run, new_run_id, planned_rounds
from flip_hub.federation.schemas import Run, RunRequest, RunStatus
from flip_hub.federation.secure.rules import check_secure
from flip_hub.federation.store import ACTIVE
from flip_hub.federation.strategy_rules import check_strategy
from flip_hub.models.service import ModelService
from flip_hub.problem import Conflict, NotFound, Unprocessable
from flip_runtime.errors import Rejected
from flip_wire.models import Manifest, Sha256


class Begin(Struct, frozen=True, kw_only=True):
    """What a run starts from."""

    weights: Sha256 = Sha256("")
    """Of a model."""
    round: int = 0
    """Of an earlier run, after which this one goes on."""
    releases: list[Release] = []
    """What became known of devices in that run."""


class WantedRun:
    def __init__(
        self,
        book: RunBook,
        apps: AppService,
        models: ModelService,
        datasets: DatasetService,
        devices: DeviceService,
        journals: Journals,
    ) -> None:
        self._book = book
        self._apps = apps
        self._models = models
        self._datasets = datasets
        self._devices = devices
        self._journals = journals

    async def run(self, request: RunRequest, at: float, by: str, traceparent: str) -> Run:
        """Not kept yet. Raises `NotFound`, `Conflict`, or `Unprocessable` that names the field."""
        app = await self._apps.get(request.fab_hash)
        run = new_run(new_run_id(), app, request, at, by, traceparent)
        _check(request.plan, await self._eligible(request.plan))
        if request.plan.dataset:
            await self._datasets.get(request.plan.dataset)
        rounds = planned_rounds(run)
        begin = Begin() if request.plan.start is None else await self._begin(request.plan, request.plan.start, rounds)
        said = (run.warning, unmeasured(request), await self._memory(request.plan, app.name))
        run = replace(run, warning="; ".join(filter(None, said)))
        if request.plan.privacy is None:
            return replace(run, weights=begin.weights)
        left = None if rounds is None else max(0, rounds - begin.round)
        return replace(run, weights=begin.weights, privacy=await self._price(request.plan, left, begin.releases))

    async def _eligible(self, plan: Plan) -> int:
        """Devices that the plan does not leave out for good: what they say of power and links may change."""
        return sum(not placed(record, plan.filter) for record in await self._devices.records())

    async def _memory(self, plan: Plan, app: str) -> str:
        """What the strategy needs, by the newest model of the app, or the one to start from."""
        if not plan.strategy:
            return ""
        if plan.start is not None and plan.start.model:
            manifest = await self._named(plan.start)
        else:
            manifest = await self._newest(model_name(app))
        enrolled = [record for record in await self._devices.records() if not record.revoked]
        update = 0 if manifest is None else manifest.weights.size
        try:
            return memory_said(plan, update, len(enrolled), Machine.this())
        except Rejected as error:
            raise Unprocessable(error.args[0], hint=error.hint) from error

    async def _named(self, start: Start) -> Manifest:
        """Raises `NotFound`."""
        if start.version:
            return (await self._models.get(start.model, start.version)).manifest
        newest = await self._newest(start.model)
        if newest is None:
            raise NotFound(f"no version of a model {start.model!r}", hint="GET /api/v1/models lists them")
        return newest

    async def _newest(self, model: str) -> Manifest | None:
        with suppress(NotFound):
            newest = (await self._models.versions(model, Wanted(limit=1))).items
            return newest[0].manifest if newest else None
        return None

    async def _price(self, plan: Plan, rounds: int | None, before: Sequence[Release]) -> PrivacySpent | None:
        """In a thread: the first one of a hub's life imports SciPy."""
        try:
            return await asyncio.to_thread(priced, plan, rounds, before)
        except Rejected as error:
            raise Unprocessable(error.args[0], hint=error.hint) from error

    async def _begin(self, plan: Plan, start: Start, rounds: int | None) -> Begin:
        if bool(start.model) == bool(start.run_id):
            raise Unprocessable(
                "plan.start must name either a model and its version, or a run", hint="give one of them"
            )
        if start.model:
            return await self._begin_with(plan, await self._named(start))
        other = await self._book.get(start.run_id)
        if other.status in (*ACTIVE, RunStatus.PAUSED):
            hint = f"stop it first: flip-hub runs stop {other.id}"
            raise Conflict(f"plan.start: run {other.id} is {other.status}", hint=hint)
        try:
            place = self._journals.checkpoints(other.id).after(start.round)
        except Rejected as error:
            raise Unprocessable(f"plan.start.round: {error.args[0]}", hint=error.hint) from error
        if rounds is not None and place.round >= rounds:
            hint = f"rounds count from the first one of {other.id}: {place.round + 1} is the least"
            raise Unprocessable(f"{ROUNDS} is {rounds}, and the run goes on after round {place.round}", hint=hint)
        return Begin(round=place.round, releases=_releases(plan, other))

    async def _begin_with(self, plan: Plan, manifest: Manifest) -> Begin:
        """What is in a version of a run, that run has spent; one from elsewhere is nobody's."""
        made_by = await self._book.store.run(manifest.run_id) if plan.privacy and manifest.run_id else None
        releases = [] if made_by is None else _releases(plan, made_by)
        return Begin(weights=manifest.weights.sha256, releases=releases)


def _releases(plan: Plan, earlier: Run) -> list[Release]:
    """Raises `Unprocessable`."""
    if plan.privacy is None:
        return []
    try:
        return carried_over(earlier)
    except Rejected as error:
        raise Unprocessable(error.args[0], hint=error.hint) from error


def _check(plan: Plan, devices: int) -> None:
    """Raises `Unprocessable` that names the field."""
    try:
        check_strategy(plan)
        check_secure(plan)
        check_fleet(plan, devices)
    except Rejected as error:
        raise Unprocessable(error.args[0], hint=error.hint) from error
