"""What tests of the training session stand on: a real SuperLink, real `train` processes, a stand-in for `run`."""

import asyncio
import contextlib
import json
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import AsyncGenerator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx
import msgspec
from session_deaths import alone, die_at, set_clock
from stand_in import StandIn

from configuration import toml_of
from federation import process
from flip_agent.identity import load_identity, save_identity
from flip_agent.settings import AgentSection, FederationSection, Settings
from flip_demo.ports import free_port
from flip_hub.client import HubApi
from flip_hub.contributions.schemas import LateContribution
from flip_hub.devices.schemas import DeviceStatus
from flip_hub.federation.schemas import RunDetail, RunRequest
from flip_hub.settings import AppsSection, ControlSection, FleetSection, HubSection, MongoSection, SuperlinkSection
from flip_hub.settings import Settings as HubSettings
from flip_runtime.backoff import Backoff
from flip_runtime.child import Child
from flip_runtime.errors import Rejected, Unavailable
from flip_runtime.logs import configure_logs
from flip_wire.fleet import DeviceId
from flip_wire.telemetry import SessionEvent

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # typer's use of click, when flwr is imported
    from flwr.cli.build import build_fab_from_disk

APPS = Path(__file__).parents[1] / "apps"
EXAMPLES = Path(__file__).parents[2] / "examples"


def fab_of(app: Path) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # flwr's use of pathspec
        return build_fab_from_disk(app)


# ---- the hub ----


class Hub:
    """A whole one, `flip-hub serve`: registry, SuperLink, launcher, Grid, gateway."""

    def __init__(self, folder: Path, mongo_url: str) -> None:
        folder.mkdir()
        self._password = folder / "password"
        self.settings = HubSettings(
            hub=HubSection(state=folder / "state", port=free_port(), tls=False),
            mongo=MongoSection(url=mongo_url, database=f"test-{secrets.token_hex(6)}"),
            fleet=FleetSection(port=free_port()),
            superlink=SuperlinkSection(port=free_port()),
            control=ControlSection(port=free_port()),
            apps=AppsSection(hub_signs=True),
        )
        self.url = f"http://127.0.0.1:{self.settings.hub.port}"
        self.api = HubApi(self.url)
        config = folder / "hub.toml"
        config.write_text(toml_of(self.settings))
        program, self._config = str(Path(sys.executable).with_name("flip-hub")), ["--config", str(config)]
        self._init = [program, "init", *self._config, "--admin", "admin", "--password-file", str(self._password)]
        self._log = folder / "log"
        self._process = Child("hub", [program, "serve", *self._config], log_file=self._log)

    async def start(self) -> None:
        await asyncio.to_thread(subprocess.run, self._init, check=True, capture_output=True)
        await self._process.start()
        with HubApi(self.url) as api:
            try:
                await self._process.wait_until(lambda: asyncio.to_thread(api.ready), within=120)
            except Unavailable as error:
                error.add_note(self._log.read_text()[-4000:])  # the folder goes with the test
                raise
        self.api.close()
        password = self._password.read_text().strip()
        self.api = await asyncio.to_thread(HubApi.logged_in, self.url, "admin", password)

    async def stop(self) -> None:
        """Flower forgets everything, the registry nothing; `start` begins anew on the same ports."""
        self.api.close()
        await self._process.stop()

    async def killed(self) -> None:
        """By the kernel, with all its children; then it begins anew."""
        self.api.close()
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()
        await self._process.stop()
        await self.start()

    async def forget(self) -> None:
        """Its devices and its runs: nothing counts on them any more."""
        async with asyncio.timeout(60):
            while under_way := [run for run in await asyncio.to_thread(self.api.runs) if run.finished_at is None]:
                for run in under_way:
                    with contextlib.suppress(Rejected):  # it ended meanwhile, or is still being submitted
                        await asyncio.to_thread(self.api.stop_run, run.id)
                await asyncio.sleep(0.2)
        for device in await self._enrolled():
            await asyncio.to_thread(self.api.revoke, device)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def kill_superlink(self) -> None:
        process(self.pid, "superlink_process").kill()

    async def enrol(self, state: Path, name: str) -> None:
        token = await asyncio.to_thread(self.api.create_enrolment_token)
        command = [sys.executable, "-m", "flip_agent", "enrol", self.url, "--token", token.token, "--name", name]
        where = {**os.environ, "FLIP_AGENT__STATE": str(state)}
        await asyncio.to_thread(subprocess.run, command, check=True, env=where, capture_output=True)

    async def submit(self, app: Path, **config: bool | int | float | str) -> str:
        """`num_server_rounds=3` sets `num-server-rounds`. Gives the hub's number of the run."""
        uploaded = await asyncio.to_thread(self.api.upload_app, fab_of(app))
        overrides = {name.replace("_", "-"): value for name, value in config.items()}
        request = RunRequest(fab_hash=uploaded.fab_hash, config=overrides)
        return (await asyncio.to_thread(self.api.start_run, request)).id

    async def finished(self, run_id: str, within: float = 240.0) -> RunDetail:
        async with asyncio.timeout(within):
            while (detail := await asyncio.to_thread(self.api.run, run_id)).run.finished_at is None:
                await asyncio.sleep(0.2)
        return detail

    async def told(self, step: str, count: int = 1, within: float = 60.0) -> list[SessionEvent]:
        """All that devices have told of their sessions, newest first, once that step is among it so often."""
        async with asyncio.timeout(within):
            while True:
                devices = await self._enrolled()
                found = [event for each in devices for event in await asyncio.to_thread(self.api.events, each, 1000)]
                told = [msgspec.json.decode(each.body, type=SessionEvent) for each in found if each.kind == "session"]
                if sum(event.step == step for event in told) >= count:
                    return told
                await asyncio.sleep(0.2)

    async def _enrolled(self) -> list[DeviceId]:
        """And not revoked since."""
        devices = await asyncio.to_thread(self.api.devices)
        return [device.id for device in devices if device.status is not DeviceStatus.REVOKED]

    async def late(self, run_id: str) -> list[LateContribution]:
        return await asyncio.to_thread(self.api.late, run_id)


# ---- devices ----


class Device:
    """A device's state folder and its `train` process, which is really killed."""

    def __init__(self, state: Path, **federation: Any) -> None:
        state.mkdir(parents=True)
        (state / "run").mkdir()
        self.settings = Settings(agent=AgentSection(state=state), federation=FederationSection(**federation))
        self._process: BaseProcess | None = None

    @classmethod
    async def enrolled(cls, hub: Hub, state: Path, **federation: Any) -> "Device":
        device = cls(state, **federation)
        await hub.enrol(state, state.name)
        return device

    def reach(self, address: str) -> None:
        reach(self.settings.agent.state, address)

    def start(self, die: str = "", clock_ahead: float = 0.0) -> None:
        """`clock_ahead` seconds is the device's clock wrong; `die` names a moment as in `session_deaths`."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["session_lab_process"])
        settings = msgspec.json.encode(self.settings, enc_hook=str)
        self._process = context.Process(target=train_process, args=(settings, die, clock_ahead))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

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


def reach(state: Path, address: str) -> None:
    """From now on by way of a proxy there."""
    identity = load_identity(state)
    assert identity is not None
    save_identity(state, msgspec.structs.replace(identity, fleet_address=address))


def train_process(settings: bytes, die: str, clock_ahead: float) -> None:
    from flip_agent.federation import contribution_client, fleet_client, session, settlement
    from flip_agent.federation.session_process import train

    configure_logs()
    setattr(fleet_client, "HOLD", 2)  # noqa: B010  seconds: a session leaves when its last pull has come back
    for module in (fleet_client, contribution_client):
        setattr(module, "TIMEOUT", httpx.Timeout(4.0))  # noqa: B010  seconds that a silent hub is listened to
    for module in (session, settlement):
        setattr(module, "_BACKOFF", Backoff(first=0.2, most=1.0))  # noqa: B010  a test does not wait for half a minute
    if clock_ahead:
        set_clock(clock_ahead, Path(tempfile.mkdtemp()))
    if die:
        die_at(die, alone)
    train(msgspec.json.decode(settings, type=Settings, dec_hook=lambda kind, value: kind(value)))


# ---- `flip-agent run` ----


def rounds(out: Path) -> list[dict[str, Any]]:
    """What the counting app's ServerApp noted."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


@contextlib.asynccontextmanager
async def training(*devices: Device, die: str = "", clock_ahead: float = 0.0) -> AsyncGenerator[list[StandIn]]:
    """The devices' `train` processes, each with a `run` that has announced work; `die` as in `Device.start`."""
    async with contextlib.AsyncExitStack() as stack:
        runs = [await stack.enter_async_context(StandIn().at(d.settings.agent.run_socket, "run-1")) for d in devices]
        for device in devices:
            stack.callback(device.kill)
            device.start(die, clock_ahead)
        yield runs
