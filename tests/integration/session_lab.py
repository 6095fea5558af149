"""What tests of the training session stand on: a real SuperLink, real `train` processes, a stand-in for `run`."""

import asyncio
import contextlib
import hashlib
import json
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import AsyncGenerator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flip_agent.federation.session_store import SessionStore
from flip_agent.federation.steps import Step
from flip_agent.identity import KEY_FILE, Identity, save_identity
from flip_agent.local import LINE_LIMIT, Committed, Emit, FromRun, ToRun, Training, Work
from flip_agent.settings import AgentSection, FederationSection, Settings
from flip_demo.ports import free_port
from flip_hub.apps.signatures import public_line, sign_app, verifications
from flip_runtime.logs import configure_logs
from flip_wire.apps import app_key_id
from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256
from flip_wire.telemetry import SessionEvent
from integration.fleet_rig import hub_settings, running

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # typer's use of click, when flwr is imported
    from flwr.cli.build import build_fab_from_disk
    from flwr.common.serde import fab_to_proto, user_config_to_proto
    from flwr.proto.control_pb2 import ListRunsRequest, StartRunRequest
    from flwr.supercore.control.control_http_client import ControlHttpClient
    from flwr.supercore.fab import Fab

    from flip_agent.federation.fleet_client import FleetClient
    from flip_agent.federation.flower import Fab as AgentFab
    from flip_agent.federation.flower import Instruction
    from flip_hub.federation.superlink import Superlink
    from integration.recording_hub import RecordingHub, serving

APP_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
APPS = Path(__file__).parent / "apps"
EXAMPLES = Path(__file__).parents[2] / "examples"


def fab_of(app: Path) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # flwr's use of pathspec
        return build_fab_from_disk(app)


# ---- the SuperLink ----


class SuperLink:
    """The hub's own, so that nothing of Flower's is left behind; its ServerApps report to a hub that only records."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._settings = hub_settings(folder, fleet=free_port(), superlink=free_port(), api=free_port())
        self.address = f"127.0.0.1:{self._settings.superlink.port}"
        self._running = contextlib.AsyncExitStack()

    async def start(self) -> None:
        superlink = Superlink(self._settings)
        await self._running.enter_async_context(serving(RecordingHub(), self._settings.hub.port))
        await self._running.enter_async_context(running(superlink.run(), self._settings.superlink.port))
        await superlink.wait_ready()

    async def kill(self) -> None:
        """It forgets everything; `start` begins anew on the same port."""
        await self._running.aclose()

    def submit(self, app: Path, **config: bool | float | str) -> int:
        """`num_server_rounds=3` sets `num-server-rounds`. Gives Flower's number of the run."""
        fab = fab_of(app)
        overrides = {name.replace("_", "-"): value for name, value in config.items()}
        request = StartRunRequest(
            fab=fab_to_proto(Fab(hashlib.sha256(fab).hexdigest(), fab, {})),
            override_config=user_config_to_proto(overrides),
        )
        with contextlib.closing(ControlHttpClient.from_server_address(self.address, True, None, [])) as control:
            return control.StartRun(request).run_id

    async def finished(self, run_id: int, within: float = 240.0) -> str:
        """Waits for the end of the run: `completed`, `failed` or `stopped`."""
        with contextlib.closing(ControlHttpClient.from_server_address(self.address, True, None, [])) as control:
            async with asyncio.timeout(within):
                while True:
                    runs = await asyncio.to_thread(control.ListRuns, ListRunsRequest(run_id=run_id))
                    status = runs.run_dict[run_id].status
                    if status.status == "finished":
                        return status.sub_status
                    await asyncio.sleep(0.5)


# ---- devices ----


class Device:
    """An enrolled device's state folder and its `train` process, which is really killed."""

    def __init__(self, state: Path, fleet_address: str, **federation: Any) -> None:
        state.mkdir(parents=True)
        key = ec.generate_private_key(ec.SECP384R1())
        pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (state / KEY_FILE).write_bytes(key.private_bytes(*pem))
        identity = Identity(
            device_id=DeviceId("dev-000000000000"),
            name="lab",
            hub_url="",
            fleet_address=fleet_address,
            ca="",
            app_keys={app_key_id(public_line(APP_KEY)): public_line(APP_KEY)},
        )
        save_identity(state, identity)
        (state / "run").mkdir()
        self.settings = Settings(agent=AgentSection(state=state), federation=FederationSection(**federation))
        self._process: BaseProcess | None = None

    def start(self, die: str = "") -> None:
        """`die` names a moment: `before:STEP` or `after:STEP` of writing a message's next step to the disk."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["session_lab_process"])
        settings = msgspec.json.encode(self.settings, enc_hook=str)
        self._process = context.Process(target=train_process, args=(settings, die))
        self._process.start()

    async def ended(self, within: float = 120.0) -> int:
        """The exit status; negative for a signal."""
        assert self._process is not None
        await asyncio.to_thread(self._process.join, within)
        assert self._process.exitcode is not None, f"train runs on after {within:g} s"
        return self._process.exitcode

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()


def train_process(settings: bytes, die: str) -> None:
    from flip_agent.federation.session_process import train

    configure_logs()
    _sign_apps()
    if die:
        _die_at(*die.split(":"))
    train(msgspec.json.decode(settings, type=Settings, dec_hook=lambda kind, value: kind(value)))


def _sign_apps() -> None:
    """In the gateway's place, which this lab does without."""
    given = FleetClient.fab

    def signed(client: FleetClient, instruction: Instruction, fab_hash: str) -> AgentFab:
        signature = sign_app(APP_KEY, Sha256(fab_hash), time.time())
        return AgentFab(content=given(client, instruction, fab_hash).content, verifications=verifications([signature]))

    setattr(FleetClient, "fab", signed)  # noqa: B010  as above


def _die_at(when: str, step: str) -> None:
    """As a power cut: between two instructions, with nothing flushed."""
    methods = {Step.PULLED: "accept", Step.READY: "make_ready"}
    name = methods.get(Step(step), "advance")
    original = getattr(SessionStore, name)

    def dying(store: SessionStore, *args: Any, **kwargs: Any) -> None:
        meant = name != "advance" or args[1] == step
        if meant and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        original(store, *args, **kwargs)
        if meant:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(SessionStore, name, dying)


# ---- `flip-agent run` ----


class StandIn:
    """Speaks the local protocol: announces work, commits events, notes what it hears."""

    def __init__(self) -> None:
        self.events: list[SessionEvent] = []
        self.states: list[str] = []
        self._work = Work(run_ids=[])
        self._writers: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def at(self, socket: Path, *run_ids: str) -> AsyncGenerator["StandIn"]:
        self._work = Work(run_ids=list(run_ids))
        server = await asyncio.start_unix_server(self._converse, socket, limit=LINE_LIMIT)
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.close()
            async with asyncio.timeout(10):
                while self._writers:  # each conversation ends by itself
                    await asyncio.sleep(0.01)

    async def announce(self, *run_ids: str) -> None:
        self._work = Work(run_ids=list(run_ids))
        for writer in self._writers:
            await _say(writer, self._work)

    def steps(self) -> list[str]:
        return [event.step for event in self.events]

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        decoder: msgspec.json.Decoder[ToRun] = msgspec.json.Decoder(ToRun)
        with contextlib.suppress(OSError):
            await _say(writer, self._work)
            while line := await reader.readline():
                match decoder.decode(line):
                    case Emit(id=number, body=body):
                        self.events.append(msgspec.json.decode(body, type=SessionEvent))
                        await _say(writer, Committed(id=number))
                    case Training(state=state):
                        self.states.append(state)
                    case _:
                        pass
        self._writers.discard(writer)
        writer.close()


async def _say(writer: asyncio.StreamWriter, message: FromRun) -> None:
    writer.write(msgspec.json.encode(message) + b"\n")
    await writer.drain()


def rounds(out: Path) -> list[dict[str, Any]]:
    """What the counting app's ServerApp noted."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
