"""Where the time went, from a real device to the hub: also when training was held, and when the plug was pulled."""

import asyncio
import signal
import time
from pathlib import Path

import pytest
from agent_rig import Agent, eventually
from session_deaths import dies
from session_lab import APPS, Device, Hub, training

from federation import left_of
from flip_agent import start_counter
from flip_hub.telemetry.schemas import MessageSpans
from flip_wire.spans import Span

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELD = 1.0
"""Seconds at least."""


async def spans(hub: Hub, run_id: str, messages: int, within: float = 60.0) -> list[MessageSpans]:
    """Waits until the hub has those of so many messages."""
    async with asyncio.timeout(within):
        while len(found := await asyncio.to_thread(hub.api.spans, run_id)) < messages:
            await asyncio.sleep(0.2)
    return found


def named(told: list[Span]) -> dict[str, Span]:
    return {span.name: span for span in told}


async def test_the_parts_of_each_message_add_up_though_the_agent_was_killed_twice(hub: Hub, folder: Path) -> None:
    (folder / "a").mkdir()
    agent = Agent(folder / "a", supervise=True)
    await hub.enrol(agent.state, "a")
    began = time.time()
    run_id = await hub.submit(APPS / "counting", devices=1, num_server_rounds=2, out=str(folder / "out"))
    for moment in ("after:training", "before:forgotten"):
        (agent.state / start_counter.FILE).unlink(missing_ok=True)  # as if an hour had passed since the last cut
        with agent.running(**dies(moment, folder / "hook")) as run:
            assert await asyncio.to_thread(run.wait, 120) == -signal.SIGKILL, moment
            await eventually(lambda: not left_of(folder / "a"))
    with agent.running():
        assert (await hub.finished(run_id)).run.status == "finished"
        second, first = await spans(hub, run_id, 2)
    assert [(each.round, each.phase) for each in (first, second)] == [(1, "train"), (2, "train")]
    for each in (first, second):
        whole, *parts = each.spans
        assert (whole.name, whole.parent_id, whole.error) == ("message", "", "")
        assert {part.name for part in parts} >= {"receive", "train", "deliver", "settle"}
        assert {part.parent_id for part in parts} == {whole.span_id}
        assert sum(part.duration for part in parts) == pytest.approx(whole.duration, abs=0.2)
        assert began - 1 <= whole.start <= whole.start + whole.duration <= time.time() + 1
    interrupted = [name for name, span in named(first.spans).items() if span.attributes.get("interrupted")]
    assert interrupted == ["message", "train", "settle"]
    assert await asyncio.to_thread(hub.api.spans, run_id, 1) == [second]


async def test_what_the_governor_held_is_told_as_waiting(hub: Hub, folder: Path) -> None:
    device = await Device.enrolled(hub, folder / "a")
    run_id = await hub.submit(APPS / "counting", devices=1, num_server_rounds=1, out=str(folder / "out"))
    async with training(device) as (run,):
        await run.hold("84 °C, limit 80")
        await run.training("held")
        await asyncio.sleep(HELD)  # the time itself is what is measured
        await run.hold("")
        assert (await hub.finished(run_id)).run.status == "finished"
        async with asyncio.timeout(60):
            while not run.spans:
                await asyncio.sleep(0.05)
    told = named(run.spans[0].spans)
    assert HELD <= told["wait"].duration <= told["message"].duration
    assert list(told) == ["message", "receive", "wait", "train", "deliver", "settle"]
