"""The Control port before a hub whose SuperLink does what a test says, and Flower's own command line."""

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from flwr.proto.control_pb2 import StreamLogsResponse
from msgspec.structs import replace

from core_hub import CoreHub, running_core
from flip_demo.ports import free_port
from flip_hub.apps.keys import AppKeys
from flip_hub.apps.service import AppService
from flip_hub.apps.signatures import load_private_key, make_private_key
from flip_hub.apps.store import AppKeyStore, AppStore
from flip_hub.artifacts.folder import FolderArtifacts
from flip_hub.auth.permissions import Role
from flip_hub.contributions.receipts import Receipts
from flip_hub.contributions.store import ContributionStore
from flip_hub.credentials import CA
from flip_hub.federation.control_port.runs import RunCalls
from flip_hub.federation.control_port.server import ControlPort
from flip_hub.federation.control_port.sign_in import SignIn
from flip_hub.federation.journal import Journals
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.nodes import Nodes
from flip_hub.federation.runs import build_runs
from flip_hub.federation.service import RunService
from flip_hub.federation.standby import Standby
from flip_hub.federation.store import RunStore
from flip_hub.federation.upstream import Upstream
from flip_hub.models.service import ModelService
from flip_hub.models.store import ModelStore
from flip_hub.receipts.store import ChainStore
from flip_hub.receipts.writer import ReceiptChain
from flip_hub.rollouts.service import RolloutService
from flip_hub.rollouts.store import RolloutStore
from flip_hub.settings import ControlSection
from integration.fleet_rig import running
from integration.hub_parts import SIGNER
from integration.scripted_control import ScriptedControl

_FRAME_HEADER = 4


class ScriptedFlower(ScriptedControl):
    """Also writes what a test has the ServerApp write."""

    def __init__(self) -> None:
        super().__init__()
        self.log_lines: asyncio.Queue[str] = asyncio.Queue()
        """An empty one ends the run's log."""

    @asynccontextmanager
    async def follow_log(self, flower_run_id: str, after: float) -> AsyncGenerator[AsyncIterator[bytes] | None]:
        yield self._frames() if flower_run_id in self.runs else None

    async def _frames(self) -> AsyncGenerator[bytes]:
        while line := await self.log_lines.get():
            message = StreamLogsResponse(log_output=line, latest_timestamp=1.0).SerializeToString()
            yield len(message).to_bytes(_FRAME_HEADER, "big") + message


@dataclass(frozen=True, kw_only=True)
class ControlRig:
    hub: CoreHub
    flower: ScriptedFlower
    runs: RunService
    store: RunStore
    port: int
    homes: Path

    @property
    def ca(self) -> Path:
        return self.hub.settings.hub.state / CA

    def flwr(self, who: str, *arguments: str) -> "Flwr":
        """The stock command line of somebody who has a home folder of their own, with the connection `hub`."""
        return Flwr(flwr_home(self.homes / who, f"127.0.0.1:{self.port}", self.ca), arguments)

    async def log_in(self, role: Role) -> None:
        """With `flwr login`, as the user who is named as the role."""
        async with self.flwr(role, "login").running() as login:
            code = (await login.printed("/confirm/")).rpartition("/confirm/")[2].strip()
            await self.hub.core.people.terminal_logins.decide(code, role, confirmed=True)
            await login.printed("Login successful")
            assert await login.ended() == 0

    def client(self, role: Role | None = None, **headers: str) -> httpx.AsyncClient:
        """Calls as Flower's, by hand."""
        bearer = {} if role is None else self.hub.as_user(role)
        return httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{self.port}/v1/control/",
            verify=ssl.create_default_context(cafile=self.ca),
            headers={"content-type": "application/protobuf", **bearer, **headers},
            trust_env=False,
            timeout=30.0,
        )


def flwr_home(folder: Path, address: str, ca: Path) -> Path:
    """The configuration of somebody's command line, with the connection `hub`, as Flower documents it."""
    if not folder.exists():
        folder.mkdir(parents=True)
        hub = f'[superlink.hub]\naddress = "{address}"\nroot-certificates = "{ca.resolve()}"\n'
        (folder / "config.toml").write_text(f'[superlink]\ndefault = "hub"\n\n{hub}')
    return folder


class Flwr:
    """One call of `flwr`."""

    def __init__(self, home: Path, arguments: tuple[str, ...]) -> None:
        self._home = home
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self._output = ""

    async def says(self, status: int = 0) -> str:
        """All that it prints, by the time it has ended with that status."""
        async with self.running():
            assert await self.ended() == status, self._output
            return self._output

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Flwr"]:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "PYTHONPATH")}
        quiet = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "BROWSER": "true", "COLUMNS": "200"}
        program = Path(sys.executable).with_name("flwr")
        self._process = await asyncio.create_subprocess_exec(
            program,
            *self._arguments,
            env={**kept, **quiet, "FLWR_HOME": str(self._home), "HOME": str(self._home), "PYTHONUNBUFFERED": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield self
        finally:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()

    async def printed(self, text: str, within: float = 90.0) -> str:
        """The first line with the text."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            while line := (await self._process.stdout.readline()).decode():
                self._output += line
                if text in line:
                    return line
        raise AssertionError(f"{text!r} is not in {self._output}")

    async def ended(self, within: float = 90.0) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            self._output += (await self._process.stdout.read()).decode()
            return await self._process.wait()


@asynccontextmanager
async def control_rig(folder: Path, mongo_url: str, **core: Any) -> AsyncGenerator[ControlRig]:
    async with running_core(folder, mongo_url, **core) as hub:
        flower = ScriptedFlower()
        store = RunStore(hub.mongo.database)
        runs, apps = _runs_and_apps(hub, flower, store, folder)
        control = ControlSection(port=free_port())
        people, console = hub.core.people, hub.url
        sign_in = SignIn(people.terminal_logins, people.auth, people.users, console)
        calls = RunCalls(runs, store, apps, flower, hub.core.devices, console)
        port = ControlPort(replace(hub.settings, control=control), people.callers, sign_in, calls, hub.core.audit)
        async with running(port.run(), control.port):
            yield ControlRig(hub=hub, flower=flower, runs=runs, store=store, port=control.port, homes=folder / "homes")


def _runs_and_apps(
    hub: CoreHub, flower: ScriptedFlower, run_store: RunStore, folder: Path
) -> tuple[RunService, AppService]:
    database, live, devices = hub.mongo.database, hub.core.live, hub.core.devices
    artifacts, mailboxes = FolderArtifacts(folder / "artifacts"), Mailboxes()
    keys = AppKeys(AppKeyStore(database), load_private_key(make_private_key()), hub_signs=True)
    apps = AppService(AppStore(database), artifacts, keys)
    models = ModelService(ModelStore(database), artifacts, devices, live, SIGNER)
    contributions = ContributionStore(database)
    chain = ReceiptChain(ChainStore(database), contributions, SIGNER)
    receipts = Receipts(contributions, run_store, mailboxes, Journals(folder / "runs"), chain)
    standby = Standby(devices, Nodes(Upstream("http://127.0.0.1:1")), lease=60.0)  # without a SuperLink
    rollouts = RolloutService(RolloutStore(database), devices, models, live, hub.core.shared.bus, hub.settings)
    runs = build_runs(
        *(run_store, flower, devices, models, rollouts, live, mailboxes, apps, receipts, standby), hub.core.datasets
    )
    return runs.service, apps
