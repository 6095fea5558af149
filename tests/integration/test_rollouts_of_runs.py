"""The best version of a run that has ended goes ring by ring where the hub's settings name rings."""

from pathlib import Path

import pytest
from hub_parts import HubParts, fab_of, hub_parts
from msgspec.structs import replace

from flip_hub.federation.outcome import Outcome
from flip_hub.federation.schemas import RoundFinished, Run, RunRequest, RunStatus, VersionMade
from flip_hub.rollouts.store import RolloutStore
from flip_hub.rollouts.terms import EVERYBODY, Ring
from flip_hub.settings import RolloutsSection
from flip_runtime.errors import ConfigError

pytestmark = pytest.mark.asyncio
RINGS = RolloutsSection(rings=[Ring(name="canary", share=0.5), EVERYBODY])
FINISHED = Outcome(RunStatus.FINISHED, "")


async def a_run(hub: HubParts, *accuracies: float) -> Run:
    app = await hub.apps.add(fab_of(export="tiny.export:export"))
    run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    for number, accuracy in enumerate(accuracies, 1):
        await a_round(hub, run, number, accuracy)
    return run


async def a_round(hub: HubParts, run: Run, number: int, accuracy: float) -> None:
    finished = RoundFinished(round=number, train_metrics={}, evaluate_metrics={"accuracy": accuracy})
    await hub.reports.take(run.flower_run_id, finished)
    made = VersionMade(manifest=await hub.manifest(run_id=run.id, round=number), warning="")
    await hub.reports.take(run.flower_run_id, made)


async def ended(hub: HubParts, run: Run) -> Run:
    await hub.watch.end(run, FINISHED, "")
    return (await hub.runs.detail(run.id)).run


async def test_its_best_version_is_brought_ring_by_ring_and_once(mongo_url: str, folder: Path) -> None:
    async with hub_parts(mongo_url, folder, RINGS) as hub:
        for name in ("one", "two"):
            await hub.enrol(name, node=name)
        run = await ended(hub, await a_run(hub, 0.7, 0.9, 0.8))
        store = RolloutStore(hub.mongo.database)
        record = await store.active_of("tiny")
        assert record is not None
        assert (run.rollout, run.promoted_version, run.warning) == (record.rollout.id, None, "")
        assert (record.rollout.version, record.rollout.started_by) == (2, run.id)
        assert record.rollout.steps[0].reason == f"the best version of {run.id}"
        await hub.run_store.save_run(replace(run, status=RunStatus.RUNNING, rollout=""))  # the hub died in between
        assert (await ended(hub, run)).rollout == record.rollout.id
        await a_round(hub, run, 4, 0.95)
        late = (await hub.runs.detail(run.id)).run
        assert f"{record.rollout.id} is bringing version 2 of tiny to the fleet" in late.warning


async def test_what_every_device_shall_serve_already_is_not_brought_again(mongo_url: str, folder: Path) -> None:
    async with hub_parts(mongo_url, folder, RINGS) as hub:
        await hub.enrol("one", node="1")
        run = await a_run(hub, 0.9)
        await hub.models.promote("tiny", 1)
        run = await ended(hub, run)
        assert (run.rollout, run.promoted_version, run.warning) == ("", 1, "")


async def test_without_rings_it_is_promoted_at_once(mongo_url: str, folder: Path) -> None:
    async with hub_parts(mongo_url, folder) as hub:
        await hub.enrol("one", node="1")
        run = await ended(hub, await a_run(hub, 0.7))
        assert (run.rollout, run.promoted_version) == ("", 1)
        assert await RolloutStore(hub.mongo.database).active_of("tiny") is None


async def test_rings_of_the_settings_that_are_none_stop_the_hub_at_its_start(mongo_url: str, folder: Path) -> None:
    wrong = RolloutsSection(rings=[Ring(name="canary", share=0.5)])
    with pytest.raises(ConfigError, match=r"rollouts\.rings: the last ring, 'canary', is not everybody"):
        async with hub_parts(mongo_url, folder, wrong):
            pass
