"""Follows a version back to the devices that made it, and on through its rollouts to those that serve it."""

from collections.abc import Sequence

from flip_hub.contributions.schemas import Contributor
from flip_hub.contributions.store import ContributionStore
from flip_hub.deployments.schemas import Deployment
from flip_hub.deployments.store import DeploymentStore
from flip_hub.federation.schemas import Run
from flip_hub.federation.store import RunStore
from flip_hub.lineage.schemas import Lineage
from flip_hub.models.schemas import ModelVersion
from flip_hub.models.service import ModelService
from flip_hub.rollouts.schemas import Rollout
from flip_hub.rollouts.sightings import ring_name
from flip_hub.rollouts.store import RolloutStore
from flip_wire.fleet import DeviceId

MOST = 1000
"""Devices of one answer, of each kind."""


class LineageService:
    def __init__(
        self,
        models: ModelService,
        runs: RunStore,
        contributions: ContributionStore,
        deployments: DeploymentStore,
        rollouts: RolloutStore,
    ) -> None:
        self._models = models
        self._runs = runs
        self._contributions = contributions
        self._deployments = deployments
        self._rollouts = rollouts

    async def of_version(self, model: str, version: int) -> Lineage:
        """Raises `NotFound`."""
        found = await self._models.get(model, version)
        run = await self._runs.run(found.manifest.run_id) if found.manifest.run_id else None
        deployments = await self._deployments.of_version(model, version, MOST)
        rollouts = await self._rollouts.of_version(model, version)
        return Lineage(
            version=found,
            run=run,
            before=None if run is None else await self._before(found, run),
            contributors=[] if run is None else await self._contributors(found, run),
            deployments=deployments,
            deployed=await self._deployments.count(model, version),
            rollouts=rollouts,
            rings=await self._rings(rollouts[0], deployments) if rollouts else {},
        )

    async def _rings(self, rollout: Rollout, deployments: Sequence[Deployment]) -> dict[DeviceId, str]:
        devices = await self._rollouts.sightings(rollout.model, [each.device_id for each in deployments])
        return {device.id: ring_name(rollout, device) for device in devices}

    async def _before(self, version: ModelVersion, run: Run) -> int | None:
        of_run = [each for each in await self._models.of_run(run.id) if each.model == version.model]
        earlier = [each.version for each in of_run if each.manifest.round < version.manifest.round]
        return max(earlier, default=None)

    async def _contributors(self, version: ModelVersion, run: Run) -> list[Contributor]:
        if not run.numbers:
            return []
        return await self._contributions.contributors(run.numbers, version.manifest.round, MOST)
