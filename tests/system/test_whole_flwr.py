"""Flower's own command line runs an app on real devices: login, run, the log as it is written, the versions made."""

import asyncio
from pathlib import Path

import pytest

from federation import flip_hub, small_federation
from flip_hub.credentials import CA
from flip_hub.federation.schemas import RunStatus
from integration.control_rig import Flwr, flwr_home

APP = Path(__file__).parents[1] / "apps" / "stock"


@pytest.mark.asyncio
async def test_flwr_logs_in_and_runs_an_app_to_its_end(folder: Path) -> None:
    federation = small_federation(folder)
    home = flwr_home(folder / "flwr", f"127.0.0.1:{federation.ports.control}", federation.layout.hub / CA)
    async with federation.running(lambda _: None):
        options = ("--username", "admin", "--password-file", str(federation.layout.password))
        await flip_hub(folder, "login", federation.url, *options)
        async with Flwr(home, ("login", "hub")).running() as login:
            code = (await login.printed("/confirm/")).rpartition("/confirm/")[2].strip()
            assert "acts for you" in await flip_hub(folder, "confirm", code)
            assert await login.ended() == 0
        said = await Flwr(home, ("run", str(APP), "hub", "--stream", "-c", "num-server-rounds=2")).says()
        assert "Successfully started run" in said
        assert "ROUND 2/2" in said.upper()
        (run,) = await asyncio.to_thread(federation.api.runs)
        async with asyncio.timeout(60):
            while run.finished_at is None:
                await asyncio.sleep(0.1)
                (run,) = await asyncio.to_thread(federation.api.runs)
        assert (run.status, run.started_by, run.round) == (RunStatus.FINISHED, "admin", 2)
        (model,) = await asyncio.to_thread(federation.api.models)
        assert len(await asyncio.to_thread(federation.api.versions, model.name)) == 2
        assert "finished:completed" in await Flwr(home, ("list", "hub")).says()
