"""`flwr run`, `list`, `log`, `stop` and `supernode list`, answered from the hub's registry.

A run that comes in here is a run like any other: its app is kept and must be signed as the policy says, it is announced
to the devices, followed, and its best version promoted. The registry knows it for ever, the SuperLink only while its
process lives: so only the log of a run that goes on is the SuperLink's to tell.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

from flwr.common.serde import user_config_from_proto
from flwr.proto.control_pb2 import (
    ListNodesResponse,
    ListRunsRequest,
    ListRunsResponse,
    StartRunRequest,
    StartRunResponse,
    StopRunRequest,
    StopRunResponse,
    StreamLogsRequest,
    StreamLogsResponse,
)

from flip_hub.apps.service import AppService
from flip_hub.auth.schemas import Me
from flip_hub.devices.service import DeviceService
from flip_hub.federation.control_port.call import Elsewhere, NoSuchRun, RunHasEnded
from flip_hub.federation.control_port.flower_run import flower_node, flower_run, own_id
from flip_hub.federation.schemas import Run, RunRequest, Value
from flip_hub.federation.service import RunService
from flip_hub.federation.store import ACTIVE, RunStore
from flip_hub.problem import Unprocessable

LISTED = 20
"""Runs, when nobody says how many; Flower's own number."""
MOST = 1000
_INT32 = 2**31 - 1  # MongoDB skips no more
_FEDERATIONS = ("", "@none/default")
"""What the stock command line sends for a connection that names none, and Flower's name for the only one."""
_FRAME_HEADER = 4  # bytes, big endian: the length of the message that follows


class LiveLogs(Protocol):
    """The SuperLink's (`RunControl`)."""

    def follow_log(
        self, flower_run_id: str, after: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes] | None]: ...


class RunCalls:
    def __init__(
        self,
        runs: RunService,
        store: RunStore,
        apps: AppService,
        control: LiveLogs,
        devices: DeviceService,
        console: str,
    ) -> None:
        """`console` is its URL, for people."""
        self._runs = runs
        self._store = store
        self._apps = apps
        self._control = control
        self._devices = devices
        self._console = console

    async def start(self, request: StartRunRequest, me: Me) -> tuple[Run, StartRunResponse]:
        """Raises `Rejected`, or `Unavailable`."""
        _refuse_what_is_elsewhere(request)
        app = await self._apps.add(request.fab.content)
        run = await self._runs.start(RunRequest(fab_hash=app.fab_hash, config=_config(request)), me.username)
        note = f"{run.id}, see {self._console}/runs/{run.id}"
        return run, StartRunResponse(run_id=int(run.flower_run_id), note=note)

    async def stop(self, request: StopRunRequest) -> tuple[Run, StopRunResponse]:
        """Raises `NoSuchRun`, `RunHasEnded`, `Conflict` or `Unavailable`."""
        run = await self.find(request.run_id)
        if run.status not in ACTIVE:
            raise RunHasEnded(f"run {request.run_id} has ended: {run.status}")
        await self._runs.stop(run.id)
        return run, StopRunResponse(success=True)

    async def list(self, request: ListRunsRequest) -> ListRunsResponse:
        """Everybody's; newest first. Raises `NoSuchRun`."""
        if request.HasField("run_id"):
            runs = [await self.find(request.run_id)]
        else:
            limit = min(int(request.limit) or LISTED, MOST)
            runs = await self._store.newest(min(int(request.skip), _INT32), limit)
        found = [flower_run(run) for run in runs]
        return ListRunsResponse(run_dict={run.run_id: run for run in found}, now=_now())

    async def nodes(self) -> ListNodesResponse:
        """Every device that was ever enrolled."""
        return ListNodesResponse(nodes_info=[flower_node(each) for each in await self._devices.list()], now=_now())

    @asynccontextmanager
    async def log(self, request: StreamLogsRequest, run: Run) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Frames of Flower's stream, until the run ends. Raises `Unavailable`."""
        if run.status in ACTIVE and run.flower_run_id:
            async with self._control.follow_log(run.flower_run_id, request.after_timestamp) as frames:
                if frames is not None:
                    yield frames
                    return
        yield self._kept_log(request, run)

    async def find(self, number: int) -> Run:
        """Raises `NoSuchRun`."""
        run = await self._store.run_of_flower(str(number)) or await self._store.run(own_id(number))
        if run is None:
            raise NoSuchRun(f"this hub knows no run {number}", hint="flwr list shows the newest")
        return run

    async def _kept_log(self, request: StreamLogsRequest, run: Run) -> AsyncGenerator[bytes]:
        ended = run.finished_at or run.started_at
        text = await self._runs.logs(run.id) if request.after_timestamp < ended else ""
        if text:
            message = StreamLogsResponse(log_output=text, latest_timestamp=ended).SerializeToString()
            yield len(message).to_bytes(_FRAME_HEADER, "big") + message


def _refuse_what_is_elsewhere(request: StartRunRequest) -> None:
    if request.app_spec:
        hint = "fetch it (flwr new @ACCOUNT/APP), look at it, and run the folder"
        raise Elsewhere(f"this hub takes no apps from Flower Hub: {request.app_spec[:80]!r}", hint=hint)
    if request.federation not in _FEDERATIONS:
        hint = "leave `federation` out of the connection, and --federation"
        raise Elsewhere(f"this hub is one federation, and not {request.federation[:80]!r}", hint=hint)
    if request.HasField("override_federation_config"):
        raise Elsewhere("this hub's devices are real: it simulates none", hint="leave --federation-config out")
    if request.user_prompt or request.connector_ids or request.connector_refs:
        raise Elsewhere("this hub runs no agents", hint="it runs apps with a ServerApp and a ClientApp")


def _config(request: StartRunRequest) -> dict[str, Value]:
    try:
        return dict(user_config_from_proto(request.override_config))
    except TypeError as error:  # a value that is none
        raise Unprocessable("a value of --run-config is empty") from error


def _now() -> str:
    return datetime.now(UTC).isoformat()
