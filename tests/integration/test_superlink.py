"""The SuperLink is there while its service runs, comes back when any of its processes is killed, and leaves nothing."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from flwr.cli.build import build_fab_from_disk

from flip_hub.federation.control import RunControl
from flip_hub.federation.superlink import Superlink
from flip_hub.settings import HubSection, Settings, SuperlinkSection
from flip_runtime.backoff import Backoff
from flip_runtime.child import port_open
from flip_runtime.errors import ConfigError, Unavailable
from flip_runtime.supervisor import Service, supervise

APP = Path(__file__).parents[1] / "apps" / "stock"

pytestmark = pytest.mark.asyncio


def settings_in(folder: Path, port: int, hung_after: float = 60.0) -> Settings:
    (folder / "internal.secret").write_text("secret")
    return Settings(hub=HubSection(state=folder), superlink=SuperlinkSection(port=port, hung_after=hung_after))


NAMES = {
    "flip_hub.federation.superlink_process": "superlink",
    "flower-superexec": "superexec",
    "flip_hub.federation.aggregator.launcher": "serverapp",
}


def processes(folder: Path) -> dict[str, int]:
    """Name and pid of every process that was started for this state folder."""
    found: dict[str, int] = {}
    for process in psutil.process_iter(["cmdline", "environ"]):
        environment = process.info["environ"] or {}
        if environment.get("FLWR_HOME") == str(folder / "superlink" / "home"):
            words = [word.rpartition("/")[2] for word in process.info["cmdline"] or ["?"]]
            found[next((NAMES[word] for word in words if word in NAMES), " ".join(words))] = process.pid
    return found


async def start_run(port: int, folder: Path) -> None:
    """Of an app whose ServerApp waits for devices that never come."""
    await RunControl(f"127.0.0.1:{port}").start(build_fab_from_disk(APP), {})
    await until(lambda: running(folder, {"superlink", "superexec", "serverapp"}))


async def running(folder: Path, names: set[str]) -> bool:
    return set(processes(folder)) == names


async def until(condition: Callable[[], Awaitable[bool]], within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while not await condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def supervised(superlink: Superlink) -> AsyncGenerator[None]:
    service = Service("superlink", superlink.run, backoff=Backoff(first=0.1, most=0.2))
    task = asyncio.create_task(supervise([service]))
    try:
        async with asyncio.timeout(90):
            await superlink.wait_ready()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_any_killed_process_brings_a_new_boot_and_stopping_leaves_no_process(folder: Path, port: int) -> None:
    superlink = Superlink(settings_in(folder, port))
    async with supervised(superlink):
        assert superlink.ready
        assert superlink.boots == 1
        assert await port_open(port)
        for boot, name in enumerate(["superlink", "superexec"], start=2):
            await start_run(port, folder)
            before = processes(folder)
            os.kill(before[name], signal.SIGKILL)

            async def came_back(boot: int = boot) -> bool:
                return superlink.boots == boot and superlink.ready

            await until(came_back)
            assert not set(before.values()) & set(processes(folder).values())
        await start_run(port, folder)
    assert not superlink.ready
    assert processes(folder) == {}
    assert not await port_open(port)


async def test_a_superlink_that_hangs_is_not_ready_and_is_restarted(folder: Path, port: int) -> None:
    superlink = Superlink(settings_in(folder, port, hung_after=8.0))
    async with supervised(superlink):
        hung = processes(folder)["superlink"]
        os.kill(hung, signal.SIGSTOP)

        async def not_ready() -> bool:
            return not superlink.ready

        async def came_back() -> bool:
            return superlink.boots == 2 and superlink.ready

        await until(not_ready)
        assert superlink.boots == 1
        await until(came_back, within=120)
        assert hung not in processes(folder).values()


async def test_a_killed_hub_leaves_no_process(folder: Path, port: int) -> None:
    """Also where nobody reaps the orphans, so that Flower's own look at its parent's pid finds it for ever."""
    settings_in(folder, port)
    hub = subprocess.Popen([sys.executable, "-c", HUB, str(folder), str(port)])  # noqa: ASYNC220  returns at once
    try:
        await until(lambda: port_open(port))
        await start_run(port, folder)
    finally:
        hub.kill()
        hub.wait()
    await until(lambda: running(folder, set()), within=5)


HUB = """
import asyncio, sys
from pathlib import Path
from flip_hub.federation.superlink import Superlink
from flip_hub.settings import HubSection, Settings, SuperlinkSection
settings = Settings(hub=HubSection(state=Path(sys.argv[1])), superlink=SuperlinkSection(port=int(sys.argv[2])))
asyncio.run(Superlink(settings).run())
"""


async def test_a_taken_port_is_refused_by_the_name_of_its_setting(folder: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ConfigError, match=r"superlink\.port"):
        await Superlink(settings_in(folder, port)).run()


async def test_a_superlink_that_does_not_start_is_unavailable_and_names_its_log(
    folder: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flip_hub.federation.superlink._PROCESS", "flip_hub.there_is_none")
    superlink = Superlink(settings_in(folder, port))
    with pytest.raises(Unavailable, match=r"status 1.*superlink\.log"):
        await superlink.run()
    assert superlink.boots == 0
