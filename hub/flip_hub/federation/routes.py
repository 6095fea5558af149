"""Runs over HTTP, for people."""

from litestar import Controller, MediaType, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from flip_hub.api.pages import Page, Wanted
from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me
from flip_hub.federation.schemas import Run, RunDetail, RunRequest, RunStatus
from flip_hub.federation.service import RunService


class RunController(Controller):
    path = "/api/v1/runs"
    tags = ("runs",)

    @post(guards=[needs(Permission.RUNS_OPERATE)])
    async def start_run(
        self, runs: NamedDependency[RunService], me: NamedDependency[Me], data: JSONBody[RunRequest]
    ) -> Run:
        return await runs.start(data, me.username)

    @get(guards=[needs(Permission.RUNS_READ)])
    async def list_runs(
        self,
        runs: NamedDependency[RunService],
        wanted: NamedDependency[Wanted],
        status: FromQuery[RunStatus | None] = None,
    ) -> Page[Run]:
        """Newest first."""
        return await runs.runs(wanted, status)

    @get("/{run_id:str}", guards=[needs(Permission.RUNS_READ)])
    async def get_run(self, runs: NamedDependency[RunService], run_id: FromPath[str]) -> RunDetail:
        return await runs.detail(run_id)

    @post("/{run_id:str}/stop", guards=[needs(Permission.RUNS_OPERATE)], status_code=200)
    async def stop_run(self, runs: NamedDependency[RunService], run_id: FromPath[str]) -> Run:
        return await runs.stop(run_id)

    @get("/{run_id:str}/logs", guards=[needs(Permission.RUNS_READ)], media_type=MediaType.TEXT)
    async def read_logs(self, runs: NamedDependency[RunService], run_id: FromPath[str]) -> str:
        """What the ServerApp wrote; its end, when long."""
        return await runs.logs(run_id)
