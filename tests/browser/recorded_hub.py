"""A hub that answers from memory: the same Structs and paths as the real one, and a test decides what happens next."""

import asyncio
import secrets
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import fleet
import msgspec
import recorded_actions
import recorded_alerts
import recorded_events
import recorded_late
import recorded_rollouts
import recorded_spans
import recorded_vitals
import uvicorn
from litestar import Litestar, Request, Response, WebSocket, get, post, websocket
from litestar.datastructures import Cookie
from litestar.di import Provide
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath, JSONBody
from recorded_alerts import RecordedAlerts
from recorded_fleet import RecordedFleet
from recorded_refusals import REFUSALS, Refused
from recorded_rollouts import RecordedRollouts
from recorded_server import RecordedServer

from flip_demo.ports import free_port
from flip_hub.auth.cookies import NAME
from flip_hub.auth.permissions import Role
from flip_hub.auth.schemas import Ended, Login, Me, Session, Ways
from flip_hub.console.routes import serve_console
from flip_hub.console.site import STATIC, Site
from flip_hub.contributions.schemas import Contribution, LateContribution, LateCounts
from flip_hub.federation.schemas import Round, Run, RunDetail, RunStatus, Turnout
from flip_hub.live import (
    DeviceChanged,
    Frame,
    Lagged,
    ListGrew,
    ModelVersionChanged,
    RolloutChanged,
    RoundChanged,
    RunChanged,
)
from flip_hub.models.schemas import Model, ModelVersion
from flip_hub.receipts.chain import ReceiptSeal
from flip_hub.telemetry.schemas import MessageSpans

PASSWORD = "correct horse"


class RecordedHub:
    """State that tests change from their own thread; every change goes to the open consoles as a frame."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.rounds: dict[tuple[str, int], Round] = {}
        self.versions: dict[tuple[str, int], ModelVersion] = {}
        self.late: dict[str, list[LateContribution]] = {}
        self.contributions: dict[str, list[Contribution]] = {}
        self.seals: dict[str, ReceiptSeal] = {}
        self.spans: dict[str, list[MessageSpans]] = {}
        self.turnout: dict[str, Turnout] = {}
        self.fleet = RecordedFleet(self._guard, self.tell)
        self.rollouts = RecordedRollouts(self._guard, self.tell)
        self.alerts = RecordedAlerts(self._guard)
        self.role = Role.ADMIN
        self.url = ""
        self.token = secrets.token_hex(8)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refusing = False
        self._sockets: set[WebSocket[Any, Any, Any]] = set()

    def fill(self) -> None:
        self.fleet.known = {device.id: device for device in fleet.devices()}
        self.runs = {run.id: run for run in fleet.runs()}
        for each in [*fleet.rounds(fleet.RUNNING, 2), *fleet.rounds(fleet.FINISHED, 5)]:
            self.rounds[each.run_id, each.round] = each
        running = fleet.round_of(fleet.RUNNING, 3, finished=False)
        self.rounds[running.run_id, running.round] = running
        self.versions = {(each.model, each.version): each for each in fleet.versions()}
        self.fleet.events = {fleet.AILING: recorded_events.events()}
        self.fleet.gaps = {fleet.AILING: recorded_events.gaps()}
        self.fleet.health = {fleet.AILING: recorded_vitals.vitals()}
        self.fleet.actions = {fleet.AILING: recorded_actions.actions()}
        self.fleet.contributions = {fleet.AILING: recorded_late.contributions()}
        self.late = {fleet.RUNNING: recorded_late.late_contributions()}
        self.seals = {fleet.RUNNING: recorded_late.seal(fleet.RUNNING, 12)}
        self.spans = {fleet.RUNNING: recorded_spans.spans()}
        self.alerts.known = recorded_alerts.alerts()
        self.rollouts.known = {each.id: each for each in recorded_rollouts.rollouts()}

    def tell(self, *frames: Frame) -> None:
        """Takes the changes over and sends them to every console."""
        for frame in frames:
            self._take(frame)
            self._send(msgspec.json.encode([frame]).decode())

    def expire_tokens(self) -> None:
        self.token = secrets.token_hex(8)

    @property
    def session(self) -> Session:
        return Session(token=self.token, expires_at=fleet.NOW + 12 * 3600, username="admin", role=self.role)

    def drop_links(self, *, refuse: bool = False) -> None:
        """As a restart does; with `refuse`, new ones are turned away until `accept_links`."""
        self._refusing = refuse
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._close_all(), self._loop).result(5)

    def accept_links(self) -> None:
        self._refusing = False

    def promote(self, name: str, number: int) -> ModelVersion:
        chosen = self.versions.get((name, number))
        if chosen is None:
            raise Refused(404, "Not found", f"There is no version {number} of {name}.")
        if not chosen.deployable:
            raise Refused(409, "Not deployable", f"{name} {number} holds weights only.", "Name an export entry point.")
        for key, version in self.versions.items():
            if version.model == name and version.promoted:
                self.versions[key] = msgspec.structs.replace(version, promoted=False)
        chosen = msgspec.structs.replace(chosen, promoted=True)
        self.tell(ModelVersionChanged(data=chosen))
        return chosen

    def stop(self, run_id: str) -> Run:
        stopped = msgspec.structs.replace(self.runs[run_id], status=RunStatus.STOPPED, eta=None, finished_at=fleet.NOW)
        self.tell(RunChanged(data=stopped))
        return stopped

    def models(self) -> list[Model]:
        return [self._model(name) for name in sorted({model for model, _ in self.versions})]

    def _model(self, name: str) -> Model:
        versions = [version for version in self.versions.values() if version.model == name]
        return Model(
            name=name,
            versions=len(versions),
            latest=max(version.version for version in versions),
            promoted=next((version.version for version in versions if version.promoted), None),
            updated_at=max(version.manifest.created_at for version in versions),
        )

    def _take(self, frame: Frame) -> None:
        match frame:
            case DeviceChanged(data=device):
                self.fleet.known[device.id] = device
            case RunChanged(data=run):
                self.runs[run.id] = run
            case RoundChanged(data=round):
                self.rounds[round.run_id, round.round] = round
            case ModelVersionChanged(data=version):
                self.versions[version.model, version.version] = version
            case RolloutChanged(data=rollout):
                self.rollouts.known[rollout.id] = rollout
            case ListGrew() | Lagged():
                pass

    def _send(self, text: str) -> None:
        assert self._loop is not None
        for console in list(self._sockets):
            asyncio.run_coroutine_threadsafe(console.send_text(text), self._loop).result(5)

    async def _close_all(self) -> None:
        for console in list(self._sockets):
            await console.close(code=1012, reason="restart")

    # ---- the server ------------------------------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Generator["RecordedHub"]:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        server = RecordedServer(uvicorn.Config(self._app(), port=port, log_level="warning", ws="websockets-sansio"))
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(server)))
        thread.start()
        try:
            assert server.is_up.wait(20), "the recorded hub did not start"
            yield self
        finally:
            server.should_exit = True
            thread.join(10)

    async def _serve(self, server: uvicorn.Server) -> None:
        self._loop = asyncio.get_running_loop()
        await server.serve()

    def _guard(self, request: Request[Any, Any, Any]) -> None:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            raise Refused(401, "Not signed in", "The session is over.", "Sign in again.")

    def _app(self) -> Litestar:
        hub, site = self, Site(STATIC)

        @post("/api/v1/auth/login", status_code=200)
        async def login(data: JSONBody[Login]) -> Response[Session]:
            if data.password != PASSWORD:
                raise Refused(401, "Wrong login", "User name or password is wrong.", "flip-hub init prints the login.")
            return Response(
                hub.session, cookies=[Cookie(key=NAME, value=hub.token, path="/api/v1/auth", httponly=True)]
            )

        @get("/api/v1/auth/ways")
        async def ways(request: Request[Any, Any, Any]) -> Ways:
            return Ways(setup=False, session=NAME in request.cookies, oidc="")

        @post("/api/v1/auth/refresh", status_code=200)
        async def refresh(request: Request[Any, Any, Any]) -> Session:
            if request.cookies.get(NAME) != hub.token or "Flip-Console" not in request.headers:
                raise Refused(401, "Not signed in", "The session is over.", "Sign in again.")
            return hub.session

        @post("/api/v1/auth/logout", status_code=200)
        async def logout() -> Response[Ended]:
            return Response(
                Ended(username="admin"), cookies=[Cookie(key=NAME, value="", max_age=0, path="/api/v1/auth")]
            )

        @get("/api/v1/auth/me")
        async def me(request: Request[Any, Any, Any]) -> Me:
            hub._guard(request)
            return Me.of("admin", hub.role)

        @get("/api/v1/runs")
        async def runs(request: Request[Any, Any, Any]) -> list[Run]:
            hub._guard(request)
            return list(hub.runs.values())

        @get("/api/v1/runs/{run_id:str}")
        async def run(request: Request[Any, Any, Any], run_id: FromPath[str]) -> RunDetail:
            hub._guard(request)
            if run_id not in hub.runs:
                raise Refused(404, "Not found", f"There is no run {run_id}.", "flip-hub runs list shows them.")
            rounds = [round for (id, _), round in hub.rounds.items() if id == run_id]
            return RunDetail(run=hub.runs[run_id], rounds=rounds, turnout=hub.turnout.get(run_id))

        @get("/api/v1/runs/{run_id:str}/late")
        async def late(request: Request[Any, Any, Any], run_id: FromPath[str]) -> list[LateContribution]:
            hub._guard(request)
            return hub.late.get(run_id, [])

        @get("/api/v1/runs/{run_id:str}/contributions")
        async def contributions(request: Request[Any, Any, Any], run_id: FromPath[str]) -> list[Contribution]:
            hub._guard(request)
            return hub.contributions.get(run_id, [])

        @get("/api/v1/runs/{run_id:str}/receipts/seal")
        async def seal(request: Request[Any, Any, Any], run_id: FromPath[str]) -> ReceiptSeal:
            hub._guard(request)
            return hub.seals.get(run_id, recorded_late.seal(run_id))

        @get("/api/v1/runs/{run_id:str}/late/counts")
        async def late_counts(request: Request[Any, Any, Any], run_id: FromPath[str]) -> LateCounts:
            hub._guard(request)
            return recorded_late.SOME if run_id in hub.late else recorded_late.NONE

        @get("/api/v1/runs/{run_id:str}/spans")
        async def spans(request: Request[Any, Any, Any], run_id: FromPath[str]) -> list[MessageSpans]:
            hub._guard(request)
            return hub.spans.get(run_id, [])

        @post("/api/v1/runs/{run_id:str}/stop", status_code=200, sync_to_thread=True)
        def stop(request: Request[Any, Any, Any], run_id: FromPath[str]) -> Run:
            hub._guard(request)
            return hub.stop(run_id)

        @get("/api/v1/models")
        async def models(request: Request[Any, Any, Any]) -> list[Model]:
            hub._guard(request)
            return hub.models()

        @get("/api/v1/models/{name:str}/versions")
        async def versions(request: Request[Any, Any, Any], name: FromPath[str]) -> list[ModelVersion]:
            hub._guard(request)
            return [version for version in hub.versions.values() if version.model == name]

        @post("/api/v1/models/{name:str}/versions/{version:int}/promote", status_code=200, sync_to_thread=True)
        def promote(request: Request[Any, Any, Any], name: FromPath[str], version: FromPath[int]) -> ModelVersion:
            hub._guard(request)
            return hub.promote(name, version)

        @websocket("/api/v1/live")
        async def live(socket: WebSocket[Any, Any, Any]) -> None:
            await socket.accept()
            if hub._refusing:
                await socket.close(code=1013, reason="try again later")
                return
            hello = await socket.receive_json()
            if hello.get("token") != hub.token:
                await socket.close(code=4401, reason="the session is over")
                return
            hub._sockets.add(socket)
            await socket.send_text(msgspec.json.encode([Lagged()]).decode())
            with suppress(WebSocketDisconnect):
                while True:
                    await socket.receive_text()
            hub._sockets.discard(socket)

        people = [login, ways, refresh, logout, me]
        of_runs = [runs, run, late, late_counts, contributions, seal, spans, stop]
        handlers = [*people, *of_runs, models, versions, promote, live]
        handlers += [*hub.fleet.handlers(), *hub.rollouts.handlers(), *hub.alerts.handlers()]
        return Litestar(
            [*handlers, serve_console],
            dependencies={"console": Provide(lambda: site, sync_to_thread=False)},
            exception_handlers=REFUSALS,
        )
