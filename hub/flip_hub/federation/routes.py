"""Apps and runs over HTTP, for people."""

from typing import Any

from litestar import Controller, MediaType, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from flip_hub.auth.guards import user_guard
from flip_hub.federation.fab import FAB_LIMIT
from flip_hub.federation.schemas import App, Run, RunDetail, RunRequest
from flip_hub.federation.service import RunService

_BODY_LIMIT = 64 * 2**20
"""Bytes; beyond Flower's own limit, so that a too large app gets an answer that names that limit."""
assert _BODY_LIMIT > FAB_LIMIT


class AppController(Controller):
    path = "/api/v1/apps"
    tags = ("runs",)
    guards = (user_guard,)

    @post(request_max_body_size=_BODY_LIMIT)
    async def upload_app(self, runs: NamedDependency[RunService], request: Request[Any, Any, Any]) -> App:
        """The body is the FAB itself, as `flwr build` makes it; the same file again is the same app."""
        return await runs.add_app(await request.body())

    @get()
    async def list_apps(self, runs: NamedDependency[RunService]) -> list[App]:
        """Newest first."""
        return await runs.apps()


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
