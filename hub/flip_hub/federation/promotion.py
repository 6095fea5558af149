"""What becomes of a finished run's versions: the best is promoted, or brought to the fleet ring by ring where the hub's
settings say so, unless the run was asked not to."""

from collections.abc import Sequence

from msgspec.structs import replace

from flip_hub.federation.progress import with_warning
from flip_hub.federation.schemas import Round, Run
from flip_hub.federation.selection import best_version
from flip_hub.models.service import ModelService
from flip_hub.rollouts.service import RolloutService
from flip_runtime.errors import Rejected


class Promotion:
    def __init__(self, models: ModelService, rollouts: RolloutService) -> None:
        self._models = models
        self._rollouts = rollouts

    async def of(self, run: Run, rounds: Sequence[Round]) -> Run:
        """The run, with what was promoted, or why nothing was."""
        if run.promote != "best":
            return run
        choice = best_version(await self._models.of_run(run.id), rounds, run.metric)
        run = with_warning(run, choice.note)
        if choice.version is None:
            return run
        try:
            rollout = await self._rollouts.bring(choice.version.model, choice.version.version, run.id)
        except Rejected as error:
            return with_warning(run, error.args[0])
        if rollout is not None:
            return replace(run, rollout=rollout.id)
        return replace(run, promoted_version=choice.version.version)
