"""The plug is pulled, again and again, at every arrow of the session's table and at random moments: `flip-agent run`,
`train` and its worker are killed together."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from agent_rig import Agent, eventually
from session_deaths import dies
from session_lab import APPS, Device, Hub, rounds

from federation import left_of
from flip_agent import start_counter
from flip_agent.state_folder import DESIRED_FILE

pytestmark = pytest.mark.asyncio(loop_scope="module")

ARROWS = [
    f"{when}:{step}"
    for step in ("pulled", "confirmed", "training", "ready", "pushing", "pushed", "forgotten")
    for when in ("before", "after")
]
KILLS = 50
ROUNDS = 20
LONGEST_LIFE = 2.0
"""Seconds; a message takes about one and a half with a worker that is not yet warm."""


@contextmanager
def agent(device: Device, log: Path) -> Generator[None]:
    """`flip-agent run` and `flip-agent train`; at the end all that has come of them is killed."""
    environment = {
        **os.environ,
        "FLIP_AGENT__STATE": str(device.settings.agent.state),
        "FLIP_AGENT__SUPERVISE": "false",
    }
    with log.open("ab") as output:
        command = [sys.executable, "-m", "flip_agent", "run"]
        run = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    device.start()
    try:
        yield
    finally:
        for pid in [run.pid, device.pid, *children(device.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run.wait()
        device.kill()


def children(pid: int) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []


async def test_every_update_is_aggregated_once_and_every_event_told_once_through_fifty_kills(
    hub: Hub, folder: Path
) -> None:
    device = await Device.enrolled(hub, folder / "a", attempts=1000)
    out, calls, log = folder / "out", folder / "calls", folder / "log"
    run_id = await hub.submit(APPS / "counting", devices=1, num_server_rounds=ROUNDS, out=str(out), calls=str(calls))
    moments = random.Random(7)  # the same ones each time, as far as a busy machine allows
    for _ in range(KILLS):
        with agent(device, log):
            await asyncio.sleep(moments.uniform(0.0, LONGEST_LIFE))
    with agent(device, log):
        assert (await hub.finished(run_id)).run.status == "finished"
        told = await hub.told("delivered", ROUNDS)
    assert [(each["replies"], each["errors"]) for each in rounds(out)] == [(1, [])] * ROUNDS
    assert [each["mean"] for each in rounds(out)] == [float(number + 1) for number in range(ROUNDS)]
    assert [each["calls"] for each in rounds(out)] == [float(number + 1) for number in range(ROUNDS)]
    assert Counter(event.step for event in told) == dict.fromkeys(
        ("pulled", "training", "trained", "delivered"), ROUNDS
    )
    assert len(told) == len({(event.message_id, event.step) for event in told})
    assert await hub.late(run_id) == []


async def test_the_round_goes_on_by_itself_wherever_in_the_table_the_whole_agent_is_killed(
    hub: Hub, folder: Path
) -> None:
    (folder / "a").mkdir()
    agent = Agent(folder / "a", supervise=True)
    await hub.enrol(agent.state, "a")
    out, calls = folder / "out", folder / "calls"
    run_id = await hub.submit(APPS / "counting", devices=1, num_server_rounds=1, out=str(out), calls=str(calls))
    for moment in ARROWS:
        if moment == "after:pushed":  # the hub has the whole reply, and nothing is announced any more
            assert (await hub.finished(run_id)).run.status == "finished"
            (agent.state / DESIRED_FILE).unlink()
        (agent.state / start_counter.FILE).unlink(missing_ok=True)  # as if an hour had passed since the last cut
        with agent.running(**dies(moment, folder / "hook")) as run:
            assert await asyncio.to_thread(run.wait, 120) == -signal.SIGKILL, moment
            await eventually(lambda: not left_of(folder / "a"))
    with agent.running():
        told = await hub.told("delivered")
    assert rounds(out) == [{"replies": 1, "errors": [], "mean": 1.0, "calls": 1.0}]
    assert len(calls.read_text().split()) == 2  # one was cut off before its reply was kept
    assert sorted(event.step for event in told) == ["delivered", "pulled", "trained", "training"]
    assert await hub.late(run_id) == []
