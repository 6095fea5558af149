"""Who takes part in a run, by what its plan asks of the devices; what its ServerApp is told of them."""

from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from hub_parts import HubParts, fab_of, hub_parts

from flip_hub.devices.schemas import SUPERNODE, DevicePatch
from flip_hub.federation.plan import DeviceFilter, Plan
from flip_hub.federation.schemas import MessagesPushed, ReplyContent, ReplyReceived, RunRequest
from flip_wire.fleet import ReportedState

pytestmark = pytest.mark.asyncio

NAMES = ("one", "two", "three")


@pytest_asyncio.fixture
async def hub(mongo_url: str, folder: Path) -> AsyncGenerator[HubParts]:
    async with hub_parts(mongo_url, folder) as parts:
        for number, name in enumerate(NAMES, start=1):
            await parts.enrol(name, node=str(number))
        yield parts


async def barred(hub: HubParts, **asked: object) -> dict[str, str]:
    app = await hub.apps.add(fab_of())
    wanted = DeviceFilter(**asked)  # pyright: ignore[reportArgumentType]
    run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash, plan=Plan(filter=wanted)))
    facts = await hub.participants.nodes(run.flower_run_id)
    return {each.device_id.removeprefix("dev-"): each.barred for each in facts}


async def told(hub: HubParts, name: str, *, on_battery: bool = False, metered: bool = False) -> None:
    reported = ReportedState(generation=1, agent_version="1", training="idle", on_battery=on_battery, metered=metered)
    change = {"$set": {"reported": msgspec.to_builtins(reported)}}
    await hub.mongo.database["devices"].update_one({"name": name}, change)


async def test_by_tag_and_site(hub: HubParts) -> None:
    ids = {each.name: each.id for each in await hub.devices.records()}
    await hub.devices.patch(ids["one"], DevicePatch(tags=["ward"], site="Bern"))
    await hub.devices.patch(ids["two"], DevicePatch(tags=["lab", "ward"], site="Basel"))
    assert await barred(hub) == {"one": "", "two": "", "three": ""}
    assert await barred(hub, tags=["ward", "other"]) == {
        "one": "",
        "two": "",
        "three": "it has none of the tags ward, other",
    }
    assert await barred(hub, sites=["Basel"]) == {
        "one": "its site is Bern",
        "two": "",
        "three": "its site is not known",
    }


async def test_by_power_and_link(hub: HubParts) -> None:
    await told(hub, "one", on_battery=True)
    await told(hub, "two", metered=True)
    assert await barred(hub, on_mains=True) == {
        "one": "it is on battery",
        "two": "",
        "three": "it has not said how it is powered",
    }
    assert await barred(hub, unmetered=True) == {
        "one": "",
        "two": "its link is metered",
        "three": "it has not said what its link is",
    }


async def test_by_the_examples_of_the_last_update(hub: HubParts) -> None:
    app = await hub.apps.add(fab_of())
    run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    pushed = MessagesPushed(round=1, phase="train", nodes=["1", "2"], messages=["m1", "m2"])
    await hub.reports.take(run.flower_run_id, pushed)
    for node, weight in (("1", 900.0), ("2", 20.0)):
        content = ReplyContent(sha256="a" * 64, size=10, weight=weight)
        reply = ReplyReceived(round=1, phase="train", node=node, error="", message=f"m{node}", content=content)
        await hub.reports.take(run.flower_run_id, reply)
    assert await barred(hub, least_samples=100) == {
        "one": "",
        "two": "its last update stood on 20 examples",
        "three": "",
    }


async def test_flowers_own_supernode_is_sent_nothing_but_what_the_strategy_wrote(hub: HubParts) -> None:
    await hub.mongo.database["devices"].update_one({"name": "two"}, {"$set": {"agent_version": SUPERNODE}})
    await hub.mongo.database["devices"].update_many({}, {"$set": {"wire_version": 4}})
    app = await hub.apps.add(fab_of())
    run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    facts = {each.device_id: each.agent for each in await hub.participants.nodes(run.flower_run_id)}
    assert facts == {"dev-one": True, "dev-two": False, "dev-three": True}


async def test_who_would_train_now_and_why_not_the_others(hub: HubParts) -> None:
    ids = {each.name: each.id for each in await hub.devices.records()}
    await hub.devices.patch(ids["one"], DevicePatch(tags=["ward"]))
    await hub.devices.patch(ids["two"], DevicePatch(tags=["ward"]))
    await hub.mongo.database["devices"].update_one({"name": "two"}, {"$set": {"last_seen": 1.0}})
    async with hub.http() as http:
        found = (await http.get("/api/v1/runs/candidates", params={"tags": ["ward", "lab"]})).json()
        assert (found["able"], found["absent"], found["barred"]) == (1, 1, 1)
        away, out = found["others"]
        assert (away["name"], away["barred"], away["absence"]) == ("two", "", "unknown")
        assert (out["name"], out["barred"]) == ("three", "it has none of the tags ward, lab")
        everybody = (await http.get("/api/v1/runs/candidates")).json()
        assert (everybody["able"], everybody["absent"], everybody["barred"]) == (2, 1, 0)
        assert (await http.get("/api/v1/runs/candidates", params={"app": "f" * 64})).status_code == 404
        assert (await http.get("/api/v1/runs/candidates", params={"least_samples": "-1"})).status_code == 400
