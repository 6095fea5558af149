"""`serve` and `train` speak to `run` over its socket, and lose no event while it is away."""

import asyncio
import contextlib
from pathlib import Path

import msgspec
import pytest
from agent_rig import eventually
from local_run import Peer, run_parts

from flip_agent.local.ask import ask
from flip_agent.local.client import WAITING, LocalClient
from flip_agent.local.messages import (
    LINE_LIMIT,
    Hold,
    Receipts,
    ReceiptsKept,
    ReceiptsRequest,
    Serving,
    Traffic,
    Training,
    Work,
)
from flip_agent.receipts import KeptReceipt
from flip_runtime.errors import Rejected, Unavailable
from flip_wire.contributions import Fate
from flip_wire.fleet import DesiredState, WorkNotice
from flip_wire.models import ModelAssignment, Sha256
from flip_wire.telemetry import Gap, Priority, SessionEvent

pytestmark = pytest.mark.asyncio

WANTED = ModelAssignment(model="digits", version=2, manifest=Sha256("0" * 64), size=1)


def step(number: int) -> SessionEvent:
    return SessionEvent(run_id="run-1", message_id=str(number), step="trained")


async def test_emit_returns_when_the_event_is_in_the_outbox(folder: Path) -> None:
    async with run_parts(folder) as run, run.listening(), Peer(run, "train").running() as train:
        await train.client.emit(Priority.FEDERATION, "session", step(1))
        (event,) = await run.outbox.peek(Priority.FEDERATION, 10)
    assert event.kind == "session"
    assert msgspec.json.decode(event.body, type=SessionEvent) == step(1)


async def test_events_of_the_time_without_run_arrive_when_it_is_back(folder: Path) -> None:
    async with run_parts(folder) as run, Peer(run, "train").running() as train, asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(train.client.emit(Priority.FEDERATION, "session", step(number)))
        await asyncio.sleep(0)
        assert not train.client.connected
        async with run.listening():
            await eventually(lambda: train.client.connected)
            while len(events := await run.outbox.peek(Priority.FEDERATION, 10)) < 5:
                await run.outbox.arrival()
        assert [msgspec.json.decode(event.body, type=SessionEvent) for event in events] == [step(n) for n in range(5)]


async def test_an_event_that_was_committed_unheard_is_not_committed_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_parts(folder) as run, Peer(run, "train").running() as train, asyncio.TaskGroup() as group:
        with monkeypatch.context() as deaf:
            deaf.setattr(LocalClient, "_settle", lambda _client, _number: None)
            async with run.listening():
                await eventually(lambda: train.client.connected)
                emitting = group.create_task(train.client.emit(Priority.FEDERATION, "session", step(1)))
                await run.outbox.arrival()
        async with run.listening():
            await emitting
        assert len(await run.outbox.peek(Priority.FEDERATION, 10)) == 1


async def test_what_does_not_fit_is_dropped_least_urgent_first_and_reported(folder: Path) -> None:
    async with run_parts(folder) as run, Peer(run, "train").running() as train, asyncio.TaskGroup() as group:
        group.create_task(train.client.emit(Priority.FEDERATION, "session", step(0)))
        for number in range(WAITING + 10):
            group.create_task(train.client.emit(Priority.LOG, "log", step(number)))
        async with run.listening():
            while not (alerts := await run.outbox.peek(Priority.ALERT, 10)):
                await run.outbox.arrival()
            gap = msgspec.json.decode(alerts[0].body, type=Gap)
            assert (gap.priority, gap.count) == (Priority.LOG, 11)
            await eventually(lambda: not any(not task.done() for task in asyncio.all_tasks() if "emit" in repr(task)))
        assert len(await run.outbox.peek(Priority.FEDERATION, 10)) == 1


async def test_an_event_longer_than_a_message_is_refused_at_once(folder: Path) -> None:
    async with run_parts(folder) as run, run.listening(), Peer(run, "train").running() as train:
        with pytest.raises(Rejected, match="bytes"):
            await train.client.emit(Priority.LOG, "log", msgspec.structs.replace(step(1), detail="x" * LINE_LIMIT))


async def test_train_hears_of_work_when_it_connects_and_when_it_changes(folder: Path) -> None:
    async with run_parts(folder) as run, run.listening():
        run.desired.set(DesiredState(generation=2, work=[WorkNotice(run_id="run-a")]))
        async with Peer(run, "train", Training(state="waiting")).running() as train:
            await eventually(lambda: train.heard == [Hold(because=""), Work(run_ids=["run-a"])])
            await eventually(lambda: run.reported.state.value.training == "waiting")
            assert run.reported.in_session.value
            run.desired.set(DesiredState(generation=3))
            await eventually(lambda: train.heard[2:] == [Work(run_ids=[])])
        await eventually(lambda: run.reported.state.value.training == "idle")
        assert not run.reported.in_session.value


async def test_train_hears_that_it_must_wait_when_it_connects_and_when_it_may_go_on(folder: Path) -> None:
    async with run_parts(folder) as run, run.listening():
        run.holding.set("battery at 20 %")
        async with Peer(run, "train").running() as train:
            await eventually(lambda: Hold(because="battery at 20 %") in train.heard)
            run.holding.set("")
            await eventually(lambda: train.heard[-1] == Hold(because=""))


async def test_the_server_tells_how_long_its_slowest_requests_take(folder: Path) -> None:
    async with run_parts(folder) as run, run.listening():
        assert run.inference.p99 is None
        told = Traffic(p99=0.25, requests=40, models=[], samples_lost={"samples_expired": 2})
        async with Peer(run, "serve", told).running():
            await eventually(lambda: run.inference.p99 == 0.25)
            assert run.inference.samples_lost == {"samples_expired": 2}


async def test_what_is_served_is_reported_until_the_server_leaves(folder: Path) -> None:
    serving = Serving(model="digits", version=1, since=5.0, url="http://127.0.0.1:8082")
    async with run_parts(folder) as run, run.listening():
        async with Peer(run, "serve", serving).running():
            await eventually(lambda: [each.version for each in run.reported.state.value.serving] == [1])
        await eventually(lambda: run.reported.state.value.serving == [])


async def test_a_version_is_prepared_by_the_server_that_comes_later(folder: Path) -> None:
    async with run_parts(folder) as run, run.listening(), asyncio.TaskGroup() as group:
        verdict = group.create_task(run.inference.of("digits").prepare(WANTED))
        async with Peer(run, "serve").running():
            assert await verdict == "probe differs"


async def test_a_server_that_leaves_while_it_prepares_is_not_waited_for(folder: Path) -> None:
    async with run_parts(folder) as run, run.listening():
        reader, writer = await asyncio.open_unix_connection(run.socket)
        writer.write(b'{"type":"Hello","role":"serve"}\n')
        verdict = asyncio.create_task(run.inference.of("digits").prepare(WANTED))
        assert b"Prepare" in await reader.readline()
        writer.close()
        with pytest.raises(Unavailable, match="went away"):
            await verdict


@pytest.mark.parametrize("line", [b"no json\n", b'{"type":"Unheard"}\n', b"x" * (LINE_LIMIT * 3)])
async def test_a_connection_that_talks_nonsense_is_cut_and_the_others_go_on(folder: Path, line: bytes) -> None:
    async with run_parts(folder) as run, run.listening(), Peer(run, "train").running() as train:
        reader, writer = await asyncio.open_unix_connection(run.socket)
        writer.write(line)
        with contextlib.suppress(ConnectionError):  # cut while it was still talking
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        await train.client.emit(Priority.LOG, "log", step(1))


async def test_the_socket_is_for_this_user_only_and_goes_with_the_server(folder: Path) -> None:
    async with run_parts(folder) as run:
        async with run.listening():
            assert run.socket.stat().st_mode & 0o077 == 0
            assert run.socket.parent.stat().st_mode & 0o077 == 0
        assert not run.socket.exists()


async def test_what_train_has_told_of_its_receipts_is_answered_to_the_command_line(folder: Path) -> None:
    receipt = KeptReceipt(
        message_id="m1",
        run_id="run-1",
        round=1,
        phase="train",
        samples=10.0,
        statement="c" * 64,
        fate=Fate.REFUSED,
        reason="why",
        at=1763800000.0,
    )

    def asked(run: Path) -> list[KeptReceipt]:
        return ask(run, ReceiptsRequest(), Receipts).receipts

    async with run_parts(folder) as run, run.listening(), Peer(run, "train").running() as train:
        assert await asyncio.to_thread(asked, run.socket) == []
        await eventually(lambda: train.client.connected)
        await train.client.send(ReceiptsKept(receipts=[receipt]))
        async with asyncio.timeout(10):
            while await asyncio.to_thread(asked, run.socket) != [receipt]:
                await asyncio.sleep(0.02)
