"""A pause is one when the SuperLink has ended the ServerApp,; a run begins with what another has kept."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from hub_parts import HubParts, fab_of, hub_parts
from msgspec.structs import replace

from flip_hub.federation.checkpoint import Place
from flip_hub.federation.control import FlowerStatus
from flip_hub.federation.plan import Plan, Start, Value
from flip_hub.federation.schemas import Run, RunRequest, RunStatus
from flip_hub.problem import Conflict, NotFound, Unprocessable
from flip_runtime.errors import Unavailable

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def hub(mongo_url: str, folder: Path) -> AsyncGenerator[HubParts]:
    async with hub_parts(mongo_url, folder) as parts:
        await parts.enrol("one", node="1")
        yield parts


async def started(hub: HubParts, start: Start | None = None, **config: int) -> Run:
    app = await hub.apps.add(fab_of())
    named: dict[str, Value] = {name.replace("_", "-"): value for name, value in config.items()}
    return await hub.runs.start(RunRequest(fab_hash=app.fab_hash, config=named, plan=Plan(start=start)))


async def status(hub: HubParts, run: Run) -> RunStatus:
    return (await hub.runs.detail(run.id)).run.status


async def test_a_run_is_not_paused_while_the_superlink_does_not_answer(hub: HubParts) -> None:
    run = await started(hub)
    hub.control.away = True
    with pytest.raises(Unavailable):
        await hub.runs.pause(run.id)
    assert await status(hub, run) is RunStatus.PENDING
    assert [notice.run_id for notice in (await hub.devices.desired()).work] == [run.id]


async def test_the_log_of_a_paused_run_is_what_its_serverapp_wrote(hub: HubParts) -> None:
    run = await started(hub)
    hub.control.text = "[ROUND 1/3]\n"
    await hub.runs.pause(run.id)
    hub.control.away = True
    assert await hub.runs.logs(run.id) == "[ROUND 1/3]\n"


@pytest.mark.parametrize("resumed", [False, True])
async def test_a_run_that_is_paused_while_the_watch_asks_about_it_is_not_ended(hub: HubParts, resumed: bool) -> None:
    run = await started(hub)
    ask = hub.control.status

    async def meanwhile(flower_run_id: str) -> FlowerStatus | None:
        if await status(hub, run) is RunStatus.PENDING and flower_run_id == run.flower_run_id:
            await hub.runs.pause(run.id)
            if resumed:
                await hub.runs.resume(run.id)
        return await ask(flower_run_id)

    hub.control.status = meanwhile
    await hub.watch.follow(run)
    assert await status(hub, run) is (RunStatus.PENDING if resumed else RunStatus.PAUSED)
    assert len(hub.control.started) == 1 + resumed


async def test_a_run_that_waits_for_the_superlink_to_come_back_is_stopped_and_paused(hub: HubParts) -> None:
    run = await started(hub)
    waiting = await hub.run_store.run(run.id)
    assert waiting is not None
    for change, expected in ((hub.runs.pause, RunStatus.PAUSED), (hub.runs.stop, RunStatus.STOPPED)):
        await hub.run_store.save_run(replace(waiting, flower_run_id=""))
        assert (await change(run.id)).status is expected


async def test_a_run_goes_on_after_a_round_whose_checkpoint_is_kept_with_rounds_left(hub: HubParts) -> None:
    earlier = await started(hub)
    with pytest.raises(Conflict, match="is pending"):
        await started(hub, Start(run_id=earlier.id))
    await hub.runs.stop(earlier.id)
    with pytest.raises(Unprocessable, match=rf"plan\.start\.round: {earlier.id} has no checkpoint"):
        await started(hub, Start(run_id=earlier.id))
    checkpoints = hub.receipts.journals.checkpoints(earlier.id)
    checkpoints.folder.mkdir(parents=True, exist_ok=True)
    for place in (Place(1, 0, done=True), Place(1, 1, done=False), Place(1, 1, done=True), Place(1, 2, done=False)):
        checkpoints.write(place, [], [])
    with pytest.raises(Unprocessable, match="has no checkpoint of round 7") as refused:
        await started(hub, Start(run_id=earlier.id, round=7))
    assert refused.value.hint == "there are: 0, 1, 2"
    with pytest.raises(Unprocessable, match="num-server-rounds is 2, and the run goes on after round 2") as refused:
        await started(hub, Start(run_id=earlier.id), num_server_rounds=2)
    assert "3 is the least" in refused.value.hint
    await started(hub, Start(run_id=earlier.id, round=1), num_server_rounds=2)


async def test_a_run_begins_with_the_newest_version_where_none_is_named(hub: HubParts) -> None:
    with pytest.raises(NotFound, match="'tiny'"):
        await started(hub, Start(model="tiny"))
    newest = await hub.manifest(round=2)
    for manifest in (await hub.manifest(round=1), newest):
        await hub.models.register(manifest)
    with pytest.raises(NotFound, match="no version 9 of model 'tiny'"):
        await started(hub, Start(model="tiny", version=9))
    assert (await started(hub, Start(model="tiny"))).weights == newest.weights.sha256
