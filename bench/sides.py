"""The two sides of a race on this machine: a whole FLIP federation, and Flower's own SuperLink with its SuperNodes."""

import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

from bench.progress import say
from flip_demo.federation import Federation
from flip_demo.layout import Layout, Ports
from flip_demo.ports import free_port
from flip_hub.federation.control import FlowerStatus, RunControl
from flip_hub.federation.plan import Plan
from flip_hub.federation.schemas import RunRequest, Value
from flip_runtime.child import Child, port_open
from flip_runtime.errors import Unavailable

PROGRAMS = Path(sys.executable).parent
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "OMP_NUM_THREADS": "1"}


class Side(Protocol):
    name: str

    def devices(self) -> list[int]:
        """Pids, one a device: everything that runs on it is below."""
        ...

    async def start(self, fab: bytes, config: Mapping[str, Value], plan: Plan | None = None) -> str:
        """`plan`: of our side's runs alone."""
        ...

    async def ended(self, run: str) -> str:
        """How the run ended; empty while it goes on."""
        ...


class Ours:
    name = "flip"

    def __init__(self, federation: Federation) -> None:
        self._federation = federation

    @property
    def federation(self) -> Federation:
        return self._federation

    def devices(self) -> list[int]:
        pids = [process.child.pid for process in self._federation.devices.values()]
        return [pid for pid in pids if pid is not None]

    async def start(self, fab: bytes, config: Mapping[str, Value], plan: Plan | None = None) -> str:
        app = self._federation.api.upload_app(fab)
        request = RunRequest(fab_hash=app.fab_hash, config=dict(config), promote="none", plan=plan or Plan())
        return self._federation.api.start_run(request).id

    async def ended(self, run: str) -> str:
        found = self._federation.api.run(run).run
        return "" if found.finished_at is None else f"{found.status} {found.reason}".strip()


class Stock:
    def __init__(self, name: str, address: str, link: int, nodes: list[Child]) -> None:
        """`link` is the SuperLink's pid."""
        self.name = name
        self.address = address
        self.link = link
        self._control = RunControl(address)
        self._nodes = nodes

    def devices(self) -> list[int]:
        return [node.pid for node in self._nodes if node.pid is not None]

    async def start(self, fab: bytes, config: Mapping[str, Value], plan: Plan | None = None) -> str:
        assert plan is None
        return await self._control.start(fab, config)

    async def ended(self, run: str) -> str:
        status: FlowerStatus | None = await self._control.status(run)
        if status is None:
            raise Unavailable("Flower's SuperLink has forgotten the run")
        return ("finished" if status.sub_status == "completed" else status.sub_status) if status.finished else ""


@asynccontextmanager
async def ours(folder: Path, devices: int) -> AsyncGenerator[Ours]:
    """As the demo starts it: through the gateway with TLS, signed, with everything that the hub does beside."""
    folder.mkdir()
    names = [f"{number}" for number in range(devices)]
    federation = Federation(Layout(folder), Ports.free(devices=devices), names)
    async with federation.running(lambda text: say(f"flip: {text}")):
        yield Ours(federation)


@asynccontextmanager
async def stock(folder: Path, devices: int, *, database: bool = False) -> AsyncGenerator[Stock]:
    """As Flower's guide starts it on one machine, without TLS, its state in memory or in a file."""
    folder.mkdir()
    say(f"flower: starting a SuperLink and {devices} SuperNodes")
    port = free_port()
    async with AsyncExitStack() as stack:
        command = ["--insecure", "--disable-runtime-dependency-installation", "--port", str(port)]
        command += ["--host", "127.0.0.1", *(["--database", str(folder / "state.db")] if database else [])]
        link = await _started(stack, "flower-superlink", command, folder, "superlink")
        await link.wait_until(lambda: port_open(port), within=90.0)
        nodes: list[Child] = []
        for number in range(devices):
            command = ["--insecure", "--superlink", f"127.0.0.1:{port}", "--port", str(free_port())]
            nodes.append(await _started(stack, "flower-supernode", command, folder, f"supernode-{number}"))
        assert link.pid is not None
        yield Stock(folder.name, f"127.0.0.1:{port}", link.pid, nodes)


async def _started(stack: AsyncExitStack, program: str, options: list[str], folder: Path, name: str) -> Child:
    environment = {
        **QUIET,
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",  # it starts flower-superexec by name
        "FLWR_HOME": str(folder / f"{name}-home"),
    }
    child = Child(name, [str(PROGRAMS / program), *options], log_file=folder / f"{name}.log", environment=environment)
    await child.start()
    stack.push_async_callback(child.stop)
    return child
