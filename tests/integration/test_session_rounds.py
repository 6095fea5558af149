"""Whole rounds: a real SuperLink, a stock app that knows nothing of FLIP, real `train` processes."""

import asyncio
import shutil
from pathlib import Path

import pytest
from session_lab import APPS, Device, Hub, rounds, training

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_stock_app_runs_two_rounds_on_two_devices_and_finds_its_state_again(hub: Hub, folder: Path) -> None:
    devices = [await Device.enrolled(hub, folder / name, idle_exit=1.0) for name in ("a", "b")]
    run_id = await hub.submit(APPS / "counting", out=str(folder / "out"), calls=str(folder / "calls"))
    async with training(*devices) as runs:
        assert (await hub.finished(run_id)).run.status == "finished"
        for run in runs:
            await run.announce()
        assert [await device.ended() for device in devices] == [0, 0]
    first, second = rounds(folder / "out")
    assert first == {"replies": 2, "errors": [], "mean": 1.0, "calls": 1.0}
    assert second == {"replies": 2, "errors": [], "mean": 2.0, "calls": 2.0}
    told = await asyncio.to_thread(hub.api.contributions, run_id)
    assert [(each.round, each.phase, each.counts) for each in told if each.round] == [(2, "train", True)] * 2 + [
        *[(1, "train", True)] * 2
    ]
    assert all(each.size and len(each.sha256) == 64 and each.received_at for each in told)
    assert len(set((folder / "calls").read_text().split())) == 2  # one warm worker for each device
    for run in runs:
        assert run.steps() == ["pulled", "training", "trained", "delivered"] * 2
        assert run.states[-1] == "idle"


async def test_what_goes_wrong_on_a_device_comes_back_as_an_error_reply(hub: Hub, folder: Path) -> None:
    device = await Device.enrolled(hub, folder / "a")
    needy = shutil.copytree(APPS / "counting", folder / "needy")
    pyproject = (needy / "pyproject.toml").read_text()
    (needy / "pyproject.toml").write_text(pyproject.replace('"numpy"', '"numpy<1", "no-such-package>=2"'))
    said: list[str] = []
    async with training(device) as (run,):
        for app, behave in ((APPS / "counting", "die"), (needy, "well")):
            out = folder / f"{behave}.out"
            run_id = await hub.submit(app, devices=1, num_server_rounds=1, out=str(out), behave=behave)
            assert (await hub.finished(run_id)).run.status == "finished"
            said += rounds(out)[0]["errors"]
    crashed, refused = said
    assert crashed == "8: the ClientApp's process ended by SIGKILL"
    assert "no-such-package>=2 (not installed)" in refused
    assert "numpy<1 (installed: " in refused
    assert run.steps() == ["pulled", "training", "failed", "delivered", "refused", "delivered"]


async def test_a_device_registers_again_when_the_superlink_was_restarted_while_it_was_idle(
    hub: Hub, folder: Path
) -> None:
    device = await Device.enrolled(hub, folder / "a")
    async with training(device) as (run,):
        async with asyncio.timeout(120):
            while "waiting" not in run.states:
                await asyncio.sleep(0.1)
        await hub.stop()
        await hub.start()
        run_id = await hub.submit(APPS / "counting", devices=1, out=str(folder / "out"))
        assert (await hub.finished(run_id)).run.status == "finished"
    assert [round["mean"] for round in rounds(folder / "out")] == [1.0, 2.0]
