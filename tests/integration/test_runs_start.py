"""What the hub submits is what was asked for; what cannot run is refused in plain words, or kept as failed."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from hub_parts import HubParts, fab_of, hub_parts

from flip_hub.api.pages import Wanted
from flip_hub.apps.schemas import App
from flip_hub.federation.run_request import NO_EXPORT
from flip_hub.federation.schemas import RunRequest, RunStatus
from flip_hub.problem import Conflict, NotFound, Unprocessable
from flip_runtime.errors import Rejected, Unavailable
from flip_wire.models import Sha256

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def hub(mongo_url: str, folder: Path) -> AsyncGenerator[HubParts]:
    async with hub_parts(mongo_url, folder) as parts:
        yield parts


@pytest_asyncio.fixture
async def app(hub: HubParts) -> App:
    """Uploaded, with one device enrolled to run it."""
    await hub.enrol("one", node="1")
    return await hub.apps.add(fab_of(export="tiny.export:export"))


async def work(hub: HubParts) -> list[str]:
    return [notice.run_id for notice in (await hub.devices.desired()).work]


async def test_the_same_app_twice_is_one_app(hub: HubParts, app: App) -> None:
    assert await hub.apps.add(fab_of(export="tiny.export:export")) == app
    assert (await hub.apps.list(Wanted())).items == [app]


async def test_a_run_is_submitted_with_its_overrides_and_announced_to_devices(hub: HubParts, app: App) -> None:
    run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash, config={"num-server-rounds": 5}))
    assert (run.status, run.app, run.warning) == (RunStatus.PENDING, "tiny 1.2.0", "")
    assert run.config == {"num-server-rounds": 5, "rate": 0.1}
    assert hub.control.started == [{"num-server-rounds": 5}]
    assert (await hub.runs.runs(Wanted())).items == [run]
    assert await work(hub) == [run.id]


async def test_an_app_without_export_is_warned_about(hub: HubParts, app: App) -> None:
    stock = await hub.apps.add(fab_of(export=None))
    assert (await hub.runs.start(RunRequest(fab_hash=stock.fab_hash))).warning == NO_EXPORT


async def test_what_cannot_run_is_refused_and_nothing_is_registered(hub: HubParts) -> None:
    app = await hub.apps.add(fab_of())
    with pytest.raises(Conflict, match="no device is enrolled") as refused:
        await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    assert "flip-agent enrol" in refused.value.hint
    await hub.devices.revoke(await hub.enrol("one"))
    with pytest.raises(Conflict, match="no device is enrolled"):
        await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    await hub.enrol("two")
    with pytest.raises(NotFound, match="no app"):
        await hub.runs.start(RunRequest(fab_hash=Sha256("0" * 64)))
    with pytest.raises(Unprocessable, match="num-rounds"):
        await hub.runs.start(RunRequest(fab_hash=app.fab_hash, config={"num-rounds": 5}))
    assert (await hub.runs.runs(Wanted())).items == []
    assert await work(hub) == []


async def test_a_refused_run_is_kept_and_one_that_could_not_be_submitted_is_not(hub: HubParts, app: App) -> None:
    hub.control.refuses = "the SuperLink refused start-run"
    with pytest.raises(Rejected):
        await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    hub.control.away = True
    with pytest.raises(Unavailable):
        await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    (kept,) = (await hub.runs.runs(Wanted())).items
    assert (kept.status, kept.reason) == (RunStatus.FAILED, "the SuperLink refused start-run")
    assert await work(hub) == []


async def test_an_app_whose_file_is_damaged_is_not_run(hub: HubParts, app: App) -> None:
    hub.artifacts.path(app.fab_hash).write_bytes(b"damaged")
    with pytest.raises(Conflict, match="damaged"):
        await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
