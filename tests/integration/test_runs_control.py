"""A real SuperLink is driven through its Control API: start, status, log, stop."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flip_demo.ports import free_port
from flip_hub.federation.control import FlowerStatus, RunControl
from flip_hub.federation.fab import build_fab
from flip_hub.federation.superlink import Superlink
from flip_runtime.errors import Rejected, Unavailable
from integration.fleet_rig import hub_settings, running
from integration.recording_hub import RecordingHub, serving

pytestmark = pytest.mark.asyncio

STARTS_WITHIN = 150.0
"""Seconds: each of Flower's processes imports for ten on a busy machine."""

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
    """The hub's own, so that nothing of Flower's is left behind."""
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port(), api=free_port())
    flower = Superlink(settings)
    async with serving(RecordingHub(), settings.hub.admin_socket), running(flower.run(), settings.superlink.port):
        async with asyncio.timeout(STARTS_WITHIN):
            await flower.wait_ready()
        yield RunControl(flower.address)


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
        begun = await control.status(run)
        assert begun is not None
        assert not begun.finished
        async with asyncio.timeout(10):
            await control.log(run)  # what there is, as a rule nothing yet: the run's end is not waited for
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
