"""A run is kept, followed and ended by the hub, whatever becomes of the SuperLink."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from hub_parts import HubParts, fab_of, hub_parts
from msgspec import Struct

from flip_hub.api.pages import Wanted
from flip_hub.apps.schemas import App
from flip_hub.federation import run_watch
from flip_hub.federation.outcome import TRIES
from flip_hub.federation.schemas import (
    MessagesPushed,
    ReplyReceived,
    RoundFinished,
    Run,
    RunReport,
    RunRequest,
    RunStatus,
    StrategyStarted,
    VersionMade,
)
from flip_hub.live import LiveReader
from flip_hub.problem import Conflict, NotFound

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def hub(mongo_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[HubParts]:
    monkeypatch.setattr(run_watch, "LOOK_EVERY", 0.02)
    async with hub_parts(mongo_url, folder) as parts:
        yield parts


@pytest_asyncio.fixture
async def app(hub: HubParts) -> App:
    """Uploaded, with one device enrolled to run it."""
    await hub.enrol("one", node="1")
    return await hub.apps.add(fab_of(export="tiny.export:export"))


@asynccontextmanager
async def watching(hub: HubParts) -> AsyncGenerator[LiveReader]:
    with hub.live.reading() as reader:
        task = asyncio.create_task(hub.watch.run())
        try:
            yield reader
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class _Frame(Struct):
    topic: str
    data: msgspec.Raw


async def next_run(reader: LiveReader, fits: Callable[[Run], bool]) -> Run:
    """The first that the console is told of."""
    async with asyncio.timeout(20):
        while True:
            frame = msgspec.json.decode(await reader.next(), type=_Frame)
            if frame.topic == "run" and fits(run := msgspec.json.decode(frame.data, type=Run)):
                return run


def ended(run: Run) -> bool:
    return run.finished_at is not None


async def report(hub: HubParts, run: Run, *reports: RunReport) -> None:
    for item in reports:
        await hub.reports.take(run.flower_run_id, item)


async def one_round(hub: HubParts, run: Run, round: int, *, deployable: bool = True, **metrics: float) -> None:
    manifest = await hub.manifest(round=round, deployable=deployable)
    await report(
        hub,
        run,
        MessagesPushed(round=round, phase="train", nodes=["1"]),
        ReplyReceived(round=round, phase="train", node="1", error=""),
        RoundFinished(round=round, train_metrics={}, evaluate_metrics=metrics),
        VersionMade(manifest=manifest, warning=""),
    )


async def work(hub: HubParts) -> list[str]:
    return [notice.run_id for notice in (await hub.devices.desired()).work]


async def no_work(hub: HubParts) -> None:
    """Waits for it: the console hears of a run's end before the devices do."""
    async with asyncio.timeout(20):
        while await work(hub):
            await asyncio.sleep(0.01)


# ---- reports ----


async def test_reports_become_rounds_versions_and_frames(hub: HubParts, app: App) -> None:
    run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    with hub.live.reading() as reader:
        await report(hub, run, StrategyStarted(strategy="FedAvg", rounds=2))
        await one_round(hub, run, 1, accuracy=0.5)
        told = await next_run(reader, lambda run: run.eta is not None)
    detail = await hub.runs.detail(run.id)
    assert (told.round, told.rounds, told.strategy, told.status) == (1, 2, "FedAvg", RunStatus.RUNNING)
    (round,) = detail.rounds
    assert (round.sampled, round.answered) == (["dev-one"], ["dev-one"])
    assert (round.evaluate_metrics, round.version) == ({"accuracy": 0.5}, 1)
    version = await hub.models.get("tiny", 1)
    assert (version.manifest.run_id, version.manifest.round) == (run.id, 1)


async def test_written_messages_wake_the_long_polls_of_their_nodes(hub: HubParts, app: App) -> None:
    run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    with hub.mailboxes.listen("1") as one, hub.mailboxes.listen("2") as two:
        await report(hub, run, MessagesPushed(round=1, phase="train", nodes=["1"]))
        assert (one.is_set(), two.is_set()) == (True, False)


async def test_a_version_reported_twice_is_one_version(hub: HubParts, app: App) -> None:
    run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    made = VersionMade(manifest=await hub.manifest(round=1), warning="")
    await asyncio.gather(report(hub, run, made), report(hub, run, made))
    await report(hub, run, made)
    assert [version.version for version in (await hub.models.versions("tiny", Wanted())).items] == [1]


async def test_reports_of_an_unknown_run_are_refused(hub: HubParts) -> None:
    with pytest.raises(NotFound):
        await hub.reports.take("12", StrategyStarted(strategy="FedAvg", rounds=2))


# ---- the end ----


async def test_a_finished_run_promotes_its_best_version_and_is_no_work_any_more(hub: HubParts, app: App) -> None:
    async with watching(hub) as reader:
        run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
        for number, accuracy in enumerate([0.7, 0.9, 0.8], start=1):
            await one_round(hub, run, number, accuracy=accuracy)
        hub.control.text = "all is well"
        hub.control.set(run.flower_run_id, "finished", "completed")
        run = await next_run(reader, ended)
        await no_work(hub)
    assert (run.status, run.reason, run.promoted_version, run.eta) == (RunStatus.FINISHED, "", 2, None)
    desired = await hub.devices.desired()
    assert [(model.model, model.version) for model in desired.models] == [("tiny", 2)]
    assert await hub.runs.logs(run.id) == "all is well"


async def test_nothing_is_promoted_when_the_request_says_so(hub: HubParts, app: App) -> None:
    async with watching(hub) as reader:
        run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash, promote="none"))
        await one_round(hub, run, 1, accuracy=0.9)
        hub.control.set(run.flower_run_id, "finished", "completed")
        run = await next_run(reader, ended)
    assert run.promoted_version is None
    assert (await hub.devices.desired()).models == []


async def test_a_better_version_that_comes_after_the_end_is_promoted_then(hub: HubParts, app: App) -> None:
    async with watching(hub) as reader:
        run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
        await one_round(hub, run, 1, accuracy=0.5)
        hub.control.set(run.flower_run_id, "finished", "completed")
        assert (await next_run(reader, ended)).promoted_version == 1
    await one_round(hub, run, 2, accuracy=0.9)
    assert (await hub.runs.detail(run.id)).run.promoted_version == 2
    assert (await hub.runs.detail(run.id)).run.status is RunStatus.FINISHED


async def test_a_run_of_weights_only_ends_well_and_says_that_nothing_can_be_served(hub: HubParts, app: App) -> None:
    async with watching(hub) as reader:
        run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
        await one_round(hub, run, 1, deployable=False, accuracy=0.9)
        hub.control.set(run.flower_run_id, "finished", "completed")
        run = await next_run(reader, ended)
    assert (run.status, run.promoted_version) == (RunStatus.FINISHED, None)
    assert "no version of this run can be served" in run.warning


async def test_a_failed_run_tells_why_and_keeps_its_log_and_versions(hub: HubParts, app: App) -> None:
    async with watching(hub) as reader:
        run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
        await one_round(hub, run, 1, accuracy=0.9)
        hub.control.text = 'Traceback (most recent call last):\n  File "app.py"\nValueError: no data\n'
        hub.control.set(run.flower_run_id, "finished", "failed", "ServerApp failed with exception: no data")
        run = await next_run(reader, ended)
    assert (run.status, run.reason, run.promoted_version) == (RunStatus.FAILED, "ValueError: no data", None)
    assert (await hub.devices.desired()).models == []
    assert len((await hub.models.versions("tiny", Wanted())).items) == 1
    hub.control.runs.clear()
    assert await hub.runs.logs(run.id) == hub.control.text


async def test_a_run_goes_on_when_the_superlink_was_restarted_and_ends_when_that_does_not_help(
    hub: HubParts, app: App
) -> None:
    async with watching(hub) as reader:
        run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
        await one_round(hub, run, 1, accuracy=0.9)
        hub.control.away = True
        waiting = await next_run(reader, lambda run: run.reason != "")
        assert (waiting.status, waiting.reason) == (RunStatus.RUNNING, "the SuperLink does not answer")
        hub.control.away = False
        assert (await next_run(reader, lambda run: run.reason == "")).status is RunStatus.RUNNING
        number = run.flower_run_id
        for tries in range(1, TRIES + 1):
            hub.control.runs.clear()
            run = await next_run(reader, lambda run, before=number: run.flower_run_id not in ("", before))
            assert (run.earlier[-1], run.tries, run.status) == (number, tries, RunStatus.PENDING)
            assert run.reason.startswith("the SuperLink was restarted in round 1; the run goes on")
            number = run.flower_run_id
        assert await work(hub) == [run.id]
        hub.control.runs.clear()
        run = await next_run(reader, ended)
        await no_work(hub)
    assert (run.status, len(run.earlier)) == (RunStatus.FAILED, TRIES)
    assert run.reason == "the SuperLink was restarted in round 1, for the 4th time without a finished round"
    assert (await hub.devices.desired()).models == []


async def test_a_finished_round_makes_up_for_earlier_tries(hub: HubParts, app: App) -> None:
    async with watching(hub) as reader:
        run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
        for number in range(1, 2 * TRIES):
            before = run.flower_run_id
            hub.control.runs.clear()
            run = await next_run(reader, lambda run, before=before: run.flower_run_id not in ("", before))
            await one_round(hub, run, number, accuracy=0.9)
        assert run.status is RunStatus.PENDING
        hub.control.set(run.flower_run_id, "finished", "completed")
        assert (await next_run(reader, ended)).status is RunStatus.FINISHED


async def test_runs_of_an_earlier_hub_go_on_when_the_superlink_forgot_them(hub: HubParts, app: App) -> None:
    run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    await hub.run_store.save_run(msgspec.structs.replace(run, id="run-2", flower_run_id=""))
    hub.control.runs.clear()
    async with watching(hub) as reader:
        gone_on = [await next_run(reader, lambda run: run.flower_run_id != "" and run.tries > 0) for _ in range(2)]
    assert {run.reason.partition(";")[0] for run in gone_on} == {
        "the SuperLink was restarted before the first round",
        "the hub was stopped before the first round",
    }


async def test_a_paused_run_waits_and_goes_on_where_it_was(hub: HubParts, app: App) -> None:
    async with watching(hub) as reader:
        run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
        await one_round(hub, run, 1, accuracy=0.9)
        paused = await hub.runs.pause(run.id)
        assert (paused.status, await work(hub)) == (RunStatus.PAUSED, [])
        with pytest.raises(Conflict, match="is paused"):
            await hub.runs.pause(run.id)
        resumed = await hub.runs.resume(run.id)
        assert (resumed.earlier, resumed.id, await work(hub)) == ([run.flower_run_id], run.id, [run.id])
        with pytest.raises(Conflict, match="is not paused"):
            await hub.runs.resume(run.id)
        await hub.runs.pause(run.id)
        stopped = await hub.runs.stop(run.id)
        assert (stopped.status, stopped.round) == (RunStatus.STOPPED, 1)
        await next_run(reader, ended)


async def test_a_run_that_stands_still_says_what_it_waits_for(
    hub: HubParts, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_watch, "PATIENCE", 0.1)
    hub.control.text = "INFO : Waiting for nodes to connect: 1 connected (minimum required: 2).\n"
    async with watching(hub) as reader:
        run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
        hub.control.set(run.flower_run_id, "running")
        waiting = await next_run(reader, lambda run: run.reason != "")
        assert waiting.reason == "waiting for devices: 1 of 2 online"
        await report(hub, run, MessagesPushed(round=1, phase="train", nodes=["1"]))
        assert (await next_run(reader, lambda run: run.round == 1)).reason == ""


async def test_a_run_is_stopped_once(hub: HubParts, app: App) -> None:
    run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    stopped = await hub.runs.stop(run.id)
    assert (stopped.status, await work(hub)) == (RunStatus.STOPPED, [])
    with pytest.raises(Conflict, match="is stopped"):
        await hub.runs.stop(run.id)
    with pytest.raises(NotFound):
        await hub.runs.stop("run-unknown")
