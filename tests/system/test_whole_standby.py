"""A run is started while every device is idle, and one of them never wakes: it is counted, missed, and comes back."""

import asyncio
import json
from pathlib import Path

import psutil
import pytest

from federation import ended, follow, process, small_federation, start_run
from flip_hub.devices.schemas import Absence
from flip_hub.federation.schemas import RunDetail, RunStatus

APP = Path(__file__).parents[1] / "apps" / "counting"


@pytest.mark.asyncio
async def test_a_run_counts_devices_that_sleep_and_goes_on_without_one_that_never_wakes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLIP_FLEET__WAKES_WITHIN", "20")  # heard, north gets thrice as long
    federation, out = small_federation(folder), folder / "rounds"
    async with federation.running(lambda _: None):
        north, east = (psutil.Process(federation.devices[name].child.pid) for name in ("north", "east"))
        for agent in (north, east):
            with pytest.raises(LookupError):
                process(agent.pid, "flip_agent", "train")
        devices = {device.name: device.id for device in await asyncio.to_thread(federation.api.devices)}
        east.suspend()  # as one whose power was cut: nobody can know yet
        try:
            run = await start_run(federation, APP, num_server_rounds=2, devices=2, out=str(out))
            detail = await follow(federation, run.id, lambda detail: bool(detail.rounds))
            assert sorted(detail.rounds[0].sampled) == sorted(devices.values())
            detail = await follow(federation, run.id, misses_one)
            (failure,) = detail.rounds[0].failures
            assert (failure.device_id, detail.rounds[0].answered) == (devices["east"], [devices["north"]])
            detail = await follow(federation, run.id, lambda detail: detail.turnout is not None)
            assert detail.turnout is not None
            assert (detail.run.wants, detail.turnout.able) == (2, 1)
            (absent,) = detail.turnout.absent
            assert (absent.name, absent.why) == ("east", Absence.UNKNOWN)
        finally:
            east.resume()
        detail = await follow(federation, run.id, ended)
        assert (detail.run.status, detail.turnout) == (RunStatus.FINISHED, None), detail.run.reason
    first, second = (json.loads(line) for line in out.read_text().splitlines())
    assert (first["replies"], len(first["errors"]), first["mean"]) == (2, 1, 1.0)
    assert (second["replies"], second["errors"], second["mean"]) == (2, [], 2.0)


def misses_one(detail: RunDetail) -> bool:
    first = detail.rounds[0]
    return ended(detail) or (bool(first.failures) and bool(first.answered))
