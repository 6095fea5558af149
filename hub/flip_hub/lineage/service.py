"""Follows a version back to the devices that made it, and on to those that serve it."""

from flip_hub.contributions.schemas import Contributor
from flip_hub.contributions.store import ContributionStore
from flip_hub.deployments.store import DeploymentStore
from flip_hub.federation.schemas import Run
from flip_hub.federation.store import RunStore
from flip_hub.lineage.schemas import Lineage
from flip_hub.models.schemas import ModelVersion
from flip_hub.models.service import ModelService

MOST = 1000
"""Devices of one answer, of each kind."""


class LineageService:
    def __init__(
        self, models: ModelService, runs: RunStore, contributions: ContributionStore, deployments: DeploymentStore
    ) -> None:
        self._models = models
        self._runs = runs
        self._contributions = contributions
        self._deployments = deployments

    async def of_version(self, model: str, version: int) -> Lineage:
        """Raises `NotFound`."""
        found = await self._models.get(model, version)
        run = await self._runs.run(found.manifest.run_id) if found.manifest.run_id else None
        return Lineage(
            version=found,
            run=run,
            before=None if run is None else await self._before(found, run),
            contributors=[] if run is None else await self._contributors(found, run),
            deployments=await self._deployments.of_version(model, version, MOST),
            deployed=await self._deployments.count(model, version),
        )

    async def _before(self, version: ModelVersion, run: Run) -> int | None:
        of_run = [each for each in await self._models.of_run(run.id) if each.model == version.model]
        earlier = [each.version for each in of_run if each.manifest.round < version.manifest.round]
        return max(earlier, default=None)

    async def _contributors(self, version: ModelVersion, run: Run) -> list[Contributor]:
        if not run.numbers:
            return []
        return await self._contributions.contributors(run.numbers, version.manifest.round, MOST)
