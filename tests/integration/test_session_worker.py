"""A worker whatever its app does: the process is real, the app a stock one."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import cast

import numpy as np
import psutil
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from session_lab import APPS

from flip_agent.federation.app_store import App
from flip_agent.federation.flower import APP_CRASHED, APP_NOT_LOADED, APP_RAISED, Item, flatten, inflate, object_ids
from flip_agent.federation.frames import Answered, Call, Failed
from flip_agent.federation.worker import Worker, oom_kills
from flip_agent.settings import Value
from flip_wire.terms import RECORD, TERMS, Terms, encode

pytestmark = pytest.mark.asyncio


def instruction(terms: Terms | None) -> tuple[str, list[Item]]:
    """A message of type train, as the SuperLink would hand it out."""
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
    content = RecordDict({"arrays": ArrayRecord([np.zeros(10, dtype=np.float32)])})
    if terms is not None:
        content[RECORD] = ConfigRecord({TERMS: encode(terms)})
    message = Message(content, dst_node_id=7, message_type="train")
    head, objects = flatten(message, message, 0.0)
    return object_ids(head.tree)[-1], list(objects)


async def call(
    worker: Worker, context: bytes = b"", terms: Terms | None = None, **config: Value
) -> tuple[Answered | Failed, list[Item]]:
    message_id, objects = instruction(terms)
    kept: list[Item] = []

    async def sending() -> AsyncIterator[Item]:
        for item in objects:
            yield item

    async def keep(item: Item) -> None:
        kept.append(item)

    run_config: dict[str, Value] = {"behave": "well", "calls": os.devnull, **config}
    asked = Call(
        message_id=message_id,
        run_id="1",
        node_id="7",
        node_config={},
        run_config=run_config,
        context=context,
        terms=terms,
    )
    return await worker.call(asked, sending(), keep), kept


@contextlib.asynccontextmanager
async def working(
    clientapp: str = "counting.app:client", folder: Path = APPS / "counting", time_limit: float = 60.0
) -> AsyncGenerator[Worker]:
    worker = Worker(App(folder=folder, clientapp=clientapp, dependencies=[]), time_limit=time_limit, sockets=folder)
    try:
        yield worker
    finally:
        await worker.stop()


async def test_a_reply_comes_back_in_objects_with_the_state_it_led_to(folder: Path) -> None:
    calls = folder / "calls"
    async with working() as worker:
        first, kept = await call(worker, calls=str(calls))
        assert isinstance(first, Answered)
        second, _ = await call(worker, first.context, calls=str(calls))
        assert isinstance(second, Answered)
    reply = inflate(object_ids(first.reply.tree)[-1], {item.object_id: item.content for item in kept})
    assert cast(ArrayRecord, reply.content["arrays"]).to_numpy_ndarrays()[0].tolist() == [1.0] * 10
    assert cast(MetricRecord, reply.content["metrics"])["calls"] == 1
    assert first.context != second.context
    assert len(set(calls.read_text().split())) == 1  # the process stays warm


async def test_an_exception_in_the_app_comes_back_with_its_text_and_the_worker_lives() -> None:
    async with working() as worker:
        assert (await call(worker, behave="raise"))[0] == Failed(
            code=APP_RAISED, reason="ZeroDivisionError: no such luck"
        )
        assert isinstance((await call(worker))[0], Answered)


async def test_an_instruction_that_the_device_refuses_is_no_fault_of_the_app(capfd: pytest.CaptureFixture[str]) -> None:
    async with working() as worker:
        failed, _ = await call(worker, terms=Terms(run_id="run-1", round=1, secure=True))
    reason = "this run aggregates securely, and the instruction has no question of that"
    assert failed == Failed(code=APP_RAISED, reason=reason)
    told = capfd.readouterr().err
    assert f"instruction refused reason={reason}" in told
    assert "ClientApp failed" not in told


async def test_an_app_that_cannot_be_imported_says_why(folder: Path) -> None:
    (folder / "broken.py").write_text("import no_such_module")
    async with working("broken:app", folder) as worker:
        failed, _ = await call(worker)
    assert failed == Failed(code=APP_NOT_LOADED, reason="ModuleNotFoundError: No module named 'no_such_module'")


async def test_a_worker_that_is_killed_is_an_answer_and_the_next_call_starts_another() -> None:
    async with working() as worker:
        assert (await call(worker, behave="die"))[0] == Failed(
            code=APP_CRASHED, reason="the ClientApp's process ended by SIGKILL"
        )
        assert isinstance((await call(worker))[0], Answered)


async def test_an_app_that_ends_its_process_is_an_answer(folder: Path) -> None:
    (folder / "leaving.py").write_text("import sys; sys.exit(3)")
    async with working("leaving:app", folder) as worker:
        failed, _ = await call(worker)
    assert failed == Failed(code=APP_CRASHED, reason="the ClientApp's process ended with status 3")


async def test_an_app_that_hangs_is_ended_at_its_time_limit() -> None:
    async with working(time_limit=6.0) as worker:
        failed, _ = await call(worker, behave="hang")
    assert failed == Failed(code=APP_CRASHED, reason="the ClientApp gave no answer within 6 s")


async def test_a_stopped_worker_leaves_no_process(folder: Path) -> None:
    calls = folder / "calls"
    async with working() as worker:
        await call(worker, calls=str(calls))
        pid = int(calls.read_text())
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


async def test_a_worker_killed_for_want_of_memory_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = iter([3, 4])  # before it was started, and after it was killed
    monkeypatch.setattr("flip_agent.federation.worker.oom_kills", lambda: next(counted))
    async with working() as worker:
        failed, _ = await call(worker, behave="die")
    reason = "the ClientApp's process was killed, probably because the machine was out of memory"
    assert failed == Failed(code=APP_CRASHED, reason=reason)


async def test_a_worker_that_is_idle_and_killed_is_started_again(folder: Path) -> None:
    calls = folder / "calls"
    async with working() as worker:
        await call(worker, calls=str(calls))
        pid = int(calls.read_text())
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            while psutil.pid_exists(pid):
                await asyncio.sleep(0.01)
        assert isinstance((await call(worker))[0], Answered)


async def test_a_paused_worker_stands_still_and_its_time_does_not_count(folder: Path) -> None:
    calls = folder / "calls"
    async with working(time_limit=20.0) as worker:
        await call(worker, calls=str(calls))  # so that it is warm
        process = psutil.Process(int(calls.read_text()))
        worker.pause()
        waiting = asyncio.create_task(call(worker))
        async with asyncio.timeout(10):
            while process.status() != psutil.STATUS_STOPPED:
                await asyncio.sleep(0.01)
        worker.resume()
        assert isinstance((await waiting)[0], Answered)


async def test_a_paused_worker_can_be_stopped(folder: Path) -> None:
    calls = folder / "calls"
    async with working() as worker:
        await call(worker, calls=str(calls))
        worker.pause()
    assert not psutil.pid_exists(int(calls.read_text()))


async def test_a_pause_ends_no_call_however_long_it_is() -> None:
    async with working(time_limit=6.0) as worker:
        await call(worker)
        waiting = asyncio.create_task(call(worker, behave="slow", seconds=0.1))
        await asyncio.sleep(0)
        worker.pause()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(8.0):  # longer than its limit
                await asyncio.shield(waiting)
        assert worker.resume()
        assert isinstance((await waiting)[0], Answered)


async def test_processes_killed_for_want_of_memory_are_counted_by_the_kernel(folder: Path) -> None:
    counters = folder / "vmstat"
    counters.write_text("nr_free_pages 5\noom_kill 3\n")
    assert oom_kills(counters) == 3
    assert oom_kills(folder / "none") == 0
