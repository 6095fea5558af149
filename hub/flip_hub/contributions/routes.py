"""Late contributions over HTTP, for people."""

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.contributions.late import Late
from flip_hub.contributions.schemas import LateContributions
from flip_hub.federation.service import RunService


class LateController(Controller):
    path = "/api/v1/runs/{run_id:str}/late"
    tags = ("runs",)
    guards = (needs(Permission.RUNS_READ),)

    @get()
    async def list_late(
        self, runs: NamedDependency[RunService], late: NamedDependency[Late], run_id: FromPath[str]
    ) -> LateContributions:
        """Replies of this run that came too late for their round, and were kept."""
        return await late.of_run((await runs.detail(run_id)).run.id)
