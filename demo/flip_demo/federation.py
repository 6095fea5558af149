"""A hub with its MongoDB and some devices: configured, started, supervised and stopped as one."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from flip_agent.identity import load_identity
from flip_demo.layout import DEVICES, Layout, Ports
from flip_demo.mongod import mongod_command
from flip_demo.processes import Process, run_to_end
from flip_hub.client import HubApi
from flip_hub.enrolment.schemas import EnrolmentTokenRequest
from flip_runtime.child import port_open
from flip_runtime.errors import FlipError, Unavailable
from flip_runtime.supervisor import supervise

ADMIN = "admin"
SOURCES = [Path(__file__).parents[2] / name for name in ("hub/flip_hub", "common")]
READY_WITHIN = 90.0
"""Seconds: a cold disk reads 500 MB of libraries before the SuperLink answers."""


class Federation:
    """Use `running()`; then `api` is logged in and every device is enrolled and has been heard of."""

    def __init__(self, layout: Layout, ports: Ports, names: Sequence[str] = DEVICES, admin: str | None = ADMIN) -> None:
        """As many devices, by these names, as `ports` has for inference. Without an `admin` somebody has to make the
        first one, and to enrol and start the devices."""
        self._admin = admin
        self.layout = layout
        self.ports = ports
        self.mongod = Process("mongod", mongod_command(ports.mongo, layout.mongo), layout.root)
        self.hub = Process("hub", _flip("hub", "serve", "--config", str(layout.hub_config)), layout.root)
        self.devices = {
            name: Process(f"agent-{name}", self.agent(name, "run"), layout.root)
            for name, _ in zip(names, ports.inference, strict=False)
        }
        self.api = HubApi(self.url)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.hub}"

    @property
    def inference_urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports.inference]

    @asynccontextmanager
    async def running(self, say: Callable[[str], None]) -> AsyncGenerator[None]:
        """Starts everything; leaving stops everything. A process that cannot be configured ends it with its reason."""
        self._write_configuration()
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[None]] = []

            def start(*processes: Process) -> None:
                services = [process.service() for process in processes]
                tasks.append(group.create_task(supervise(services)))

            try:
                say("starting MongoDB")
                start(self.mongod)
                await _until(lambda: port_open(self.ports.mongo), "MongoDB", self.mongod)
                await run_to_end("hub-init", self._hub_init(), self.layout.root)
                say("starting the hub and Flower's SuperLink")
                start(self.hub)
                await _until(self._hub_ready, "the hub", self.hub)
                if self._admin is not None:
                    await self._log_in()
                    await self._start_devices(start, say)
                yield
            finally:
                await self._stop(tasks)
                self.api.close()

    async def _start_devices(self, start: Callable[..., None], say: Callable[[str], None]) -> None:
        for name in self.devices:
            await self._enrol(name, say)
        if self.devices:
            say(f"starting {len(self.devices)} agents")
        since = time.time()
        start(*self.devices.values())
        await _until(lambda: self._devices_speak(since), "every device", *self.devices.values())

    async def reload_hub(self, watching: Callable[[], None]) -> None:
        """Restarts the hub whenever its Python changes, from the call of `watching` on; for development."""
        from watchfiles import PythonFilter, awatch  # of the extra `demo`

        begun = False
        # the first thing that it yields, edits or not, is the only sign that it watches
        async for edits in awatch(*SOURCES, watch_filter=PythonFilter(), rust_timeout=500, yield_on_timeout=True):
            if not begun:
                begun = True
                watching()
            if edits:
                await self.hub.child.stop()

    def _write_configuration(self) -> None:
        layout, ports = self.layout, self.ports
        layout.hub_config.write_text(
            f'[hub]\nstate = "{layout.hub}"\nport = {ports.hub}\ntls = false\n\n'
            f'[mongo]\nurl = "mongodb://127.0.0.1:{ports.mongo}"\n\n'
            f"[fleet]\nport = {ports.fleet}\n\n[superlink]\nport = {ports.superlink}\n\n"
            f"[control]\nport = {ports.control}\n\n"
            "[apps]\nhub_signs = true\n\n[devices]\nheartbeat = 5\n"
        )
        for name, port in zip(self.devices, ports.inference, strict=False):
            layout.device_config(name).write_text(
                f'[agent]\nstate = "{layout.device(name)}"\nheartbeat = 5\n\n[inference]\nport = {port}\n\n'
                # load, battery and heat are of the one machine that all devices of the demo share
                "[governor]\nload_max = 0\nbattery_min = 0\ntemperature_max = 0\n\n"
                f"[federation.node_config]\n{_data(layout.device_data(name))}"
            )

    def _hub_init(self) -> list[str]:
        options = ["--config", str(self.layout.hub_config)]
        if self._admin is None:
            return _flip("hub", "init", *options, "--no-admin")
        return _flip("hub", "init", *options, "--admin", self._admin, "--password-file", str(self.layout.password))

    async def _log_in(self) -> None:
        assert self._admin is not None
        password = self.layout.password.read_text().strip()
        self.api.close()
        self.api = await asyncio.to_thread(HubApi.logged_in, self.url, self._admin, password)

    async def _enrol(self, name: str, say: Callable[[str], None]) -> None:
        """As a person would, with a token from the hub; again where its address or its keys have changed."""
        state = self.layout.device(name)
        known = {device.name for device in await asyncio.to_thread(self.api.devices)}
        trusted = {key.id for key in await asyncio.to_thread(self.api.app_keys)}
        identity = load_identity(state)
        if (
            name in known
            and identity is not None
            and identity.hub_url == self.url
            and identity.app_keys.keys() == trusted
        ):
            return
        say(f"enrolling {name}")
        token = await asyncio.to_thread(self.api.create_enrolment_token, EnrolmentTokenRequest(lifetime=600.0))
        token_file = self.layout.root / f"token-{name}"
        token_file.touch(mode=0o600)
        token_file.write_text(token.token)
        try:
            options = ["--token-file", str(token_file), "--name", name, *([] if identity is None else ["--again"])]
            await run_to_end(f"enrol-{name}", self.agent(name, "enrol", self.url, *options), self.layout.root)
        finally:
            token_file.unlink()

    def agent(self, name: str, command: str, *arguments: str) -> list[str]:
        """The command line of that device's agent."""
        return _flip("agent", command, *arguments, "--config", str(self.layout.device_config(name)))

    async def _hub_ready(self) -> bool:
        return await asyncio.to_thread(self.api.ready)

    async def _devices_speak(self, since: float) -> bool:
        """One that has something to complain of, from the last time perhaps, is there all the same."""
        devices = await asyncio.to_thread(self.api.devices)
        speaking = {each.name for each in devices if each.last_seen is not None and each.last_seen >= since}
        return speaking >= set(self.devices)

    async def _stop(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Devices first, so that they can say goodbye; each process's own service waits for its end."""
        for task in reversed(tasks):
            task.cancel()
            await asyncio.wait([task])


async def _until(ready: Callable[[], Awaitable[bool]], what: str, *processes: Process) -> None:
    """Waits for an async condition. Raises `Unavailable` naming what is missing and where to look."""
    deadline = asyncio.get_running_loop().time() + READY_WITHIN
    while True:
        try:
            if await ready():
                return
        except FlipError:
            pass
        if asyncio.get_running_loop().time() > deadline:
            logs = ", ".join(str(process.log_file) for process in processes)
            raise Unavailable(f"{what} is not ready after {READY_WITHIN:g} s", hint=f"see {logs}")
        await asyncio.sleep(0.1)


def _data(path: Path) -> str:
    """A device is given its data before it starts, or it has none: then it would say that its file is missing."""
    return f'data = "{path}"\n' if path.exists() else ""


def _flip(program: str, *arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name(f"flip-{program}")), *arguments]
