"""What somebody wants to run, checked against what there is: the app, the plan, the model or run to start from."""

from msgspec.structs import replace

from flip_hub.apps.service import AppService
from flip_hub.federation.plan import Start
from flip_hub.federation.run_book import RunBook
from flip_hub.federation.run_request import new_run, new_run_id
from flip_hub.federation.schemas import Run, RunRequest, RunStatus
from flip_hub.federation.store import ACTIVE
from flip_hub.models.service import ModelService
from flip_hub.problem import Conflict, Unprocessable
from flip_wire.models import Sha256


class WantedRun:
    def __init__(self, book: RunBook, apps: AppService, models: ModelService) -> None:
        self._book = book
        self._apps = apps
        self._models = models

    async def run(self, request: RunRequest, at: float, by: str, traceparent: str) -> Run:
        """Not kept yet. Raises `NotFound`, `Conflict`, or `Unprocessable` that names the field."""
        app = await self._apps.get(request.fab_hash)
        run = new_run(new_run_id(), app, request, at, by, traceparent)
        return run if request.plan.start is None else replace(run, weights=await self._weights(request.plan.start))

    async def _weights(self, start: Start) -> Sha256:
        """Of the model that the plan starts from; empty when it starts from a run."""
        if bool(start.model) == bool(start.run_id):
            raise Unprocessable(
                "plan.start must name either a model and its version, or a run", hint="give one of them"
            )
        if start.model:
            return (await self._models.get(start.model, start.version)).manifest.weights.sha256
        other = await self._book.get(start.run_id)
        if other.status in (*ACTIVE, RunStatus.PAUSED):
            hint = f"stop it first: flip-hub runs stop {other.id}"
            raise Conflict(f"plan.start: run {other.id} is {other.status}", hint=hint)
        return Sha256("")
