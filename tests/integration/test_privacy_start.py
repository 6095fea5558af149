"""What a private run begins with has spent, too: an earlier run, or a version that one has made."""

from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from hub_parts import HubParts, fab_of, hub_parts
from msgspec.structs import replace

from flip_hub.federation.checkpoint import Place
from flip_hub.federation.outcome import Outcome
from flip_hub.federation.plan import Plan, Start
from flip_hub.federation.privacy.price import spent
from flip_hub.federation.privacy.schemas import HubFixed, Local, Privacy, PrivacySpent, Release
from flip_hub.federation.schemas import Released, RoundFinished, Run, RunRequest, RunStatus, VersionMade
from flip_hub.problem import Unprocessable

pytestmark = pytest.mark.asyncio

ROUNDS = {"num-server-rounds": 2}
FIXED = HubFixed(noise_multiplier=1.0, clipping_norm=1.0, budget=7.0, delta=1e-5)
ROOMY = replace(FIXED, budget=30.0)
LOCAL = Local(clipping_norm=1.0, message_epsilon=0.9, message_delta=1e-6, budget=30.0, delta=1e-5)
ONE = Release(noise_multiplier=1.0, times=1)


@pytest_asyncio.fixture
async def hub(mongo_url: str, folder: Path) -> AsyncGenerator[HubParts]:
    async with hub_parts(mongo_url, folder) as parts:
        await parts.enrol("one", node="1")
        yield parts


async def begun(hub: HubParts, privacy: Privacy | None, start: Start | None = None) -> Run:
    app = await hub.apps.add(fab_of(export="tiny.export:export"))
    plan = Plan(privacy=privacy, start=start)
    return await hub.runs.start(RunRequest(fab_hash=app.fab_hash, config=dict(ROUNDS), plan=plan))


async def after_a_round(hub: HubParts, privacy: Privacy | None, status: RunStatus) -> Run:
    """A run that has made version 1 of `tiny` and has ended."""
    run = await begun(hub, privacy)
    if privacy is not None:
        told = spent(privacy, [Release(noise_multiplier=privacy.released_with, times=1)], 1)
        await hub.reports.take(run.flower_run_id, Released(privacy=told))
    await hub.reports.take(run.flower_run_id, RoundFinished(round=1, train_metrics={}, evaluate_metrics={}))
    made = VersionMade(manifest=await hub.manifest(run_id=run.id), warning="")
    await hub.reports.take(run.flower_run_id, made)
    checkpoints = hub.receipts.journals.checkpoints(run.id)
    checkpoints.folder.mkdir(parents=True)
    checkpoints.write(Place(1, 1, done=False), [], [])
    await hub.watch.end(run, Outcome(status, ""), "")
    return run


def releases(run: Run) -> list[Release]:
    assert isinstance(run.privacy, PrivacySpent)
    return run.privacy.releases


@pytest.mark.parametrize("by", ["run", "version"])
async def test_what_was_learned_without_privacy_is_not_made_private(hub: HubParts, by: str) -> None:
    earlier = await after_a_round(hub, None, RunStatus.FINISHED)
    start = Start(run_id=earlier.id) if by == "run" else Start(model="tiny", version=1)
    with pytest.raises(Unprocessable, match=rf"plan\.start: {earlier.id} was not private, and what it learned"):
        await begun(hub, ROOMY, start)
    assert (await begun(hub, None, start)).privacy is None


async def test_the_run_that_made_a_version_has_spent_what_is_in_it(hub: HubParts) -> None:
    await after_a_round(hub, FIXED, RunStatus.FINISHED)
    start = Start(model="tiny", version=1)
    with pytest.raises(Unprocessable, match=r"2 rounds cost epsilon 8\.385 .*\(4\.377 is spent already\)"):
        await begun(hub, FIXED, start)
    assert releases(await begun(hub, ROOMY, start)) == [ONE]


async def test_a_version_of_no_run_is_nobodys(hub: HubParts) -> None:
    await hub.models.register(await hub.manifest())
    assert releases(await begun(hub, FIXED, Start(model="tiny", version=1))) == []


@pytest.mark.parametrize(("status", "times"), [(RunStatus.FINISHED, 1), (RunStatus.STOPPED, 2), (RunStatus.FAILED, 2)])
async def test_a_local_round_that_was_cut_off_is_spent_for_devices_were_asked(
    hub: HubParts, status: RunStatus, times: int
) -> None:
    earlier = await after_a_round(hub, LOCAL, status)
    (release,) = releases(await begun(hub, LOCAL, Start(run_id=earlier.id)))
    assert release.times == times


async def test_the_price_is_told_before_the_start_and_nothing_is_started(hub: HubParts) -> None:
    app = await hub.apps.add(fab_of())
    request = RunRequest(fab_hash=app.fab_hash, config=dict(ROUNDS), plan=Plan(privacy=ROOMY))
    async with hub.http() as http:
        answer = await http.post("/api/v1/runs/check", content=msgspec.json.encode(request))
        assert answer.status_code == 200, answer.text
        assert answer.json()["privacy"]["planned"] == pytest.approx(6.573, abs=0.01)
        assert (await http.get("/api/v1/runs")).json() == []
    assert hub.control.started == []
