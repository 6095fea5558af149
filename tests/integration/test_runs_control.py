"""A real SuperLink is driven through its Control API: start, status, log, stop."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flip_demo.ports import free_port
from flip_hub.federation.control import FlowerStatus, RunControl
from flip_hub.federation.fab import build_fab
from flip_runtime.child import Child, port_open
from flip_runtime.errors import Rejected, Unavailable

pytestmark = pytest.mark.asyncio

STARTS_WITHIN = 150.0
"""Seconds: each of Flower's processes imports for ten on a busy machine."""
PROGRAMS = Path(sys.executable).parent

PYPROJECT = """
[project]
name = "waiting"
version = "1.0.0"
license = { file = "LICENSE" }
dependencies = ["flwr>=1.29.0"]

[tool.flwr.app]
publisher = "someone"
fab-format-version = 1
flwr-version-target = "1.29.0"

[tool.flwr.app.components]
serverapp = "waiting.app:server"
clientapp = "waiting.app:client"

[tool.flwr.app.config]
fails = false
"""

APP = """
import threading

from flwr.app import Context
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

client = ClientApp()
server = ServerApp()


@server.main()
def main(grid: Grid, context: Context) -> None:
    print("the app is there", flush=True)
    if context.run_config["fails"]:
        raise ValueError("this app fails")
    threading.Event().wait(300)
"""


@asynccontextmanager
async def superlink(folder: Path) -> AsyncGenerator[RunControl]:
    port = free_port()
    child = Child(
        "the SuperLink",
        [
            *[str(PROGRAMS / "flower-superlink"), "--insecure", "--disable-runtime-dependency-installation"],
            *["--host", "127.0.0.1", "--port", str(port)],
        ],
        log_file=folder / "superlink.log",
        environment={
            "FLWR_HOME": str(folder / "home"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.2",
            "PATH": os.pathsep.join([str(PROGRAMS), os.environ["PATH"]]),
        },
        stop_within=5.0,
    )
    await child.start()
    try:
        await child.wait_until(lambda: port_open(port), within=STARTS_WITHIN)
        yield RunControl(f"127.0.0.1:{port}")
    finally:
        await child.stop()


@pytest.fixture
def fab(folder: Path) -> bytes:
    app = folder / "waiting"
    (app / "waiting").mkdir(parents=True)
    (app / "pyproject.toml").write_text(PYPROJECT)
    (app / "LICENSE").write_text("free")
    (app / "waiting" / "__init__.py").write_text("")
    (app / "waiting" / "app.py").write_text(APP)
    return build_fab(app)


async def finished(control: RunControl, run: str) -> FlowerStatus:
    async with asyncio.timeout(STARTS_WITHIN):
        while not (status := await control.status(run)) or not status.finished:
            await asyncio.sleep(0.5)
        return status


async def test_runs_are_started_followed_read_and_stopped(folder: Path, fab: bytes) -> None:
    async with superlink(folder) as control:
        assert await control.status("12345") is None
        assert await control.stop("12345") is False
        assert await control.log("12345") == ""
        with pytest.raises(Rejected, match="Invalid run configuration"):
            await control.start(fab, {"unknown-key": 1})

        run = await control.start(fab, {})
        assert run.isdecimal()
        assert await control.status(run) == FlowerStatus(status="pending", sub_status="", details="")
        async with asyncio.timeout(10):
            assert await control.log(run) == ""  # nothing yet, and not waited for
        async with asyncio.timeout(STARTS_WITHIN):
            while "the app is there" not in await control.log(run):
                await asyncio.sleep(0.5)
        assert "\x1b" not in await control.log(run)
        assert await control.stop(run) is True
        assert await control.stop(run) is False
        assert (await finished(control, run)).sub_status == "stopped"

        failing = await control.start(fab, {"fails": True})
        status = await finished(control, failing)
        assert (status.sub_status, "this app fails" in status.details) == ("failed", True)
        assert "ValueError: this app fails" in await control.log(failing)
    with pytest.raises(Unavailable, match="does not answer"):
        await control.status(run)


async def test_a_superlink_that_is_not_there_is_told_at_once(port: int) -> None:
    control = RunControl(f"127.0.0.1:{port}")
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="does not answer start-run"):
            await control.start(b"fab", {})
        with pytest.raises(Unavailable, match="does not answer stream-logs"):
            await control.log("1")
