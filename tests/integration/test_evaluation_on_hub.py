"""The hub measures each round's model with what the app holds back, against a file that no device has."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest
from session_lab import APPS, Device, Hub, fab_of, training

from flip_hub.datasets_client import DatasetsApi
from flip_hub.federation.plan import Plan
from flip_hub.federation.schemas import RunRequest
from flip_hub_command import flip_hub
from flip_runtime.errors import Rejected

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_dataset_of_the_hub_is_what_the_apps_evaluation_reads(hub: Hub, folder: Path) -> None:
    wanted = folder / "wanted.txt"
    wanted.write_text("2.5")

    def add() -> list[str]:
        with DatasetsApi.on_this_machine(hub.settings.hub.admin_socket) as api:
            api.add_dataset("wanted", wanted, "what the model shall be")
            return [each.name for each in api.datasets()]

    assert await asyncio.to_thread(add) == ["wanted"]
    device = await Device.enrolled(hub, folder / "a")
    async with training(device):
        app = await asyncio.to_thread(hub.api.upload_app, fab_of(APPS / "measured"))
        with pytest.raises(Rejected, match="no dataset 'lost'"):
            await asyncio.to_thread(hub.api.start_run, RunRequest(fab_hash=app.fab_hash, plan=Plan(dataset="lost")))
        request = RunRequest(fab_hash=app.fab_hash, plan=Plan(dataset="wanted"))
        run_id = (await asyncio.to_thread(hub.api.start_run, request)).id
        detail = await hub.finished(run_id)
    assert detail.run.status == "finished", detail.run.reason
    assert [each.evaluate_metrics for each in detail.rounds] == [{"hub-distance": 1.5}, {"hub-distance": 0.5}]


async def test_datasets_by_command(hub: Hub, folder: Path) -> None:
    file = folder / "file"
    file.write_bytes(bytes(9 * 2**20))  # more than one piece

    async def run(*words: str) -> subprocess.CompletedProcess[str]:
        return await flip_hub(folder, "datasets", *words, state=hub.settings.hub.state)

    added = await run("add", "zeros", str(file), "--json")
    assert added.returncode == 0, added.stderr
    assert json.loads(added.stdout)["size"] == 9 * 2**20
    assert "there is a dataset 'zeros' already" in (await run("add", "zeros", str(file))).stderr
    assert "cannot read" in (await run("add", "other", str(folder / "none"))).stderr
    assert "zeros" in (await run("list")).stdout
    assert (await run("remove", "zeros")).stdout == "removed zeros\n"
