"""Runs over HTTP, for people."""

import time
from typing import Annotated, Any

from litestar import Controller, MediaType, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import ServerSentEvent

from flip_hub.api.describe import REFUSES
from flip_hub.api.pages import Page, Wanted
from flip_hub.apps.service import AppService
from flip_hub.auth.callers import Caller
from flip_hub.auth.guards import access_of, bearer, needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me
from flip_hub.federation.log_events import EVENTS, LogEvents, last_event
from flip_hub.federation.participants import Participants
from flip_hub.federation.plan import DeviceFilter
from flip_hub.federation.schemas import Candidates, Run, RunDetail, RunRequest, RunStatus
from flip_hub.federation.service import RunService
from flip_hub.problem import Unauthorized
from flip_wire.models import Sha256


class RunController(Controller):
    path = "/api/v1/runs"
    tags = ("runs",)

    @post(guards=[needs(Permission.RUNS_OPERATE)])
    async def start_run(
        self, runs: NamedDependency[RunService], me: NamedDependency[Me], data: JSONBody[RunRequest]
    ) -> Run:
        return await runs.start(data, me.username)

    @post("/check", guards=[needs(Permission.RUNS_OPERATE)], status_code=200)
    async def check_run(
        self, runs: NamedDependency[RunService], me: NamedDependency[Me], data: JSONBody[RunRequest]
    ) -> Run:
        """The run as it would be started, with what its privacy will cost (`privacy.planned`). Nothing is started."""
        return await runs.check(data, me.username)

    @get(guards=[needs(Permission.RUNS_READ)])
    async def list_runs(
        self,
        runs: NamedDependency[RunService],
        wanted: NamedDependency[Wanted],
        status: FromQuery[RunStatus | None] = None,
    ) -> Page[Run]:
        """Newest first."""
        return await runs.runs(wanted, status)

    @get("/candidates", guards=[needs(Permission.RUNS_READ)], opt={REFUSES: (404,)})
    async def list_candidates(
        self,
        participants: NamedDependency[Participants],
        apps: NamedDependency[AppService],
        app: FromQuery[str] = "",
        tags: FromQuery[list[str] | None] = None,
        sites: FromQuery[list[str] | None] = None,
        on_mains: FromQuery[bool] = False,
        unmetered: FromQuery[bool] = False,
        least_samples: Annotated[int, QueryParameter(ge=0, le=2**40)] = 0,
    ) -> Candidates:
        """Which devices a run with this filter (`plan.filter`) could count on now, and why not on the others. `app` is
        an app's `fab_hash`."""
        asked = DeviceFilter(
            tags=tags or [], sites=sites or [], on_mains=on_mains, unmetered=unmetered, least_samples=least_samples
        )
        found = await apps.get(Sha256(app)) if app else None
        return await participants.candidates(asked, "" if found is None else f"{found.name} {found.version}")

    @get("/{run_id:str}", guards=[needs(Permission.RUNS_READ)])
    async def get_run(self, runs: NamedDependency[RunService], run_id: FromPath[str]) -> RunDetail:
        return await runs.detail(run_id)

    @post("/{run_id:str}/stop", guards=[needs(Permission.RUNS_OPERATE)], status_code=200)
    async def stop_run(self, runs: NamedDependency[RunService], run_id: FromPath[str]) -> Run:
        return await runs.stop(run_id)

    @post("/{run_id:str}/pause", guards=[needs(Permission.RUNS_OPERATE)], status_code=200)
    async def pause_run(self, runs: NamedDependency[RunService], run_id: FromPath[str]) -> Run:
        """Ends its ServerApp now. Devices keep what they have finished, and do no finished round again."""
        return await runs.pause(run_id)

    @post("/{run_id:str}/resume", guards=[needs(Permission.RUNS_OPERATE)], status_code=200)
    async def resume_run(self, runs: NamedDependency[RunService], run_id: FromPath[str]) -> Run:
        """A paused run goes on from its last checkpoint."""
        return await runs.resume(run_id)

    @get("/{run_id:str}/logs", guards=[needs(Permission.RUNS_READ)], media_type=MediaType.TEXT)
    async def read_logs(
        self,
        runs: NamedDependency[RunService],
        log_events: NamedDependency[LogEvents],
        caller: NamedDependency[Caller],
        request: Request[Any, Any, Any],
        run_id: FromPath[str],
    ) -> Response[Any]:
        """What the ServerApp wrote; its end, when long. With `Accept: text/event-stream` it is followed as it is
        written: `Last-Event-ID` goes on after an event, the event `end` is the last."""
        if EVENTS not in request.headers.get("Accept", ""):
            return Response(await runs.logs(run_id), media_type=MediaType.TEXT)
        await runs.detail(run_id)  # a run that does not exist is no stream

        async def look() -> None:
            me = await access_of(request).callers.still(bearer(request), caller) if caller.session else caller.me
            if time.time() >= caller.expires_at or not me.may(Permission.RUNS_READ):
                raise Unauthorized("the session is over")

        after = last_event(request.headers.get("Last-Event-ID", ""))
        return ServerSentEvent(
            log_events.follow(run_id, after, look),
            headers={"Content-Type": EVENTS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
