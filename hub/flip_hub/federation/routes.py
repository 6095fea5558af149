"""Runs over HTTP, for people."""

from litestar import Controller, MediaType, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from flip_hub.auth.guards import user_guard
from flip_hub.federation.schemas import Run, RunDetail, RunRequest
from flip_hub.federation.service import RunService


class RunController(Controller):
    path = "/api/v1/runs"
    tags = ("runs",)
    guards = (user_guard,)

    @post()
    async def start_run(self, runs: NamedDependency[RunService], data: JSONBody[RunRequest]) -> Run:
        return await runs.start(data)

    @get()
    async def list_runs(self, runs: NamedDependency[RunService]) -> list[Run]:
        """Newest first."""
        return await runs.runs()

    @get("/{run_id:str}")
    async def get_run(self, runs: NamedDependency[RunService], run_id: FromPath[str]) -> RunDetail:
        return await runs.detail(run_id)

    @post("/{run_id:str}/stop", status_code=200)
    async def stop_run(self, runs: NamedDependency[RunService], run_id: FromPath[str]) -> Run:
        return await runs.stop(run_id)

    @get("/{run_id:str}/logs", media_type=MediaType.TEXT)
    async def read_logs(self, runs: NamedDependency[RunService], run_id: FromPath[str]) -> str:
        """What the ServerApp wrote; its end, when long."""
        return await runs.logs(run_id)
