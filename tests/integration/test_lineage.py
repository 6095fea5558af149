"""From a version of a model back to the devices that made it, and on to those that serve it, over a real MongoDB."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
import pytest
import pytest_asyncio
from hub_parts import HubParts, fab_of, hub_parts

from core_hub import log_batch, problem, running_core
from flip_hub.contributions.schemas import Contribution
from flip_hub.deployments.store import DeploymentStore
from flip_hub.federation.schemas import (
    MessagesPushed,
    RepliesMissed,
    RepliesTaken,
    ReplyContent,
    ReplyReceived,
    Run,
    RunRequest,
    VersionMade,
)
from flip_hub.lineage.schemas import Lineage
from flip_wire.contributions import Fate
from flip_wire.fleet import DeviceId, ReportedState, ServingModel
from flip_wire.telemetry import Priority

pytestmark = pytest.mark.asyncio

T = TypeVar("T")
NODES = {"one": "1", "two": "2", "three": "3"}


@pytest_asyncio.fixture
async def hub(mongo_url: str, folder: Path) -> AsyncGenerator[HubParts]:
    async with hub_parts(mongo_url, folder) as parts:
        yield parts


@pytest_asyncio.fixture
async def run(hub: HubParts) -> Run:
    for name, node in NODES.items():
        await hub.enrol(name, node=node)
    app = await hub.apps.add(fab_of())
    return await hub.runs.start(RunRequest(fab_hash=app.fab_hash))


async def read(http: httpx.AsyncClient, path: str, kind: type[T]) -> T:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=kind)


async def round_of(hub: HubParts, run: Run, number: int, **weights: float) -> None:
    """All are asked; those that are named answer, with so many examples, and the round makes a version."""
    messages = {name: f"r{number}-{name}" for name in NODES}
    pushed = MessagesPushed(round=number, phase="train", nodes=[*NODES.values()], messages=[*messages.values()])
    await hub.reports.take(run.flower_run_id, pushed)
    for name, weight in weights.items():
        content = ReplyContent(sha256=f"{number}{NODES[name]}" * 32, size=1000, weight=weight)
        reply = ReplyReceived(
            round=number, phase="train", node=NODES[name], error="", message=messages[name], content=content
        )
        await hub.reports.take(run.flower_run_id, reply)
    taken = RepliesTaken(messages=[messages[name] for name in weights])
    await hub.reports.take(run.flower_run_id, taken)
    missed = [message for name, message in messages.items() if name not in weights]
    await hub.reports.take(run.flower_run_id, RepliesMissed(messages=missed, reason="its round had ended"))
    made = VersionMade(manifest=await hub.manifest(run_id=run.id, round=number), warning="")
    await hub.reports.take(run.flower_run_id, made)


async def test_each_contribution_is_told_with_its_receipt_its_hash_and_its_weight(hub: HubParts, run: Run) -> None:
    await round_of(hub, run, 1, one=64.0, two=32.0)
    failed = ReplyReceived(round=1, phase="evaluate", node="3", error="8: out of memory", message="e1")
    await hub.reports.take(run.flower_run_id, failed)
    await hub.reports.take(run.flower_run_id, RepliesTaken(messages=["e1"]))
    async with hub.http() as http:
        told = await read(http, f"/api/v1/runs/{run.id}/contributions", list[Contribution])
        by_message = {each.message_id: each for each in told}
        one, three, evaluated = by_message["r1-one"], by_message["r1-three"], by_message["e1"]
        assert (one.device_id, one.round, one.phase) == ("dev-one", 1, "train")
        assert (one.fate, one.counts, one.sha256, one.size, one.weight) == (
            *(Fate.ACCEPTED, True, "11" * 32, 1000, 64.0),
        )
        assert 0 < one.sent_at <= (one.received_at or 0.0)
        assert (three.fate, three.reason, three.received_at) == (Fate.LATE, "its round had ended", None)
        assert (evaluated.counts, evaluated.reason) == (False, "8: out of memory")
        of_two = await read(http, f"/api/v1/runs/{run.id}/contributions?device=dev-two", list[Contribution])
        assert [each.message_id for each in of_two] == ["r1-two"]
        problem(await http.get("/api/v1/runs/run-nothing/contributions"), 404)


async def test_contributions_come_in_pages_the_newest_round_first(hub: HubParts, run: Run) -> None:
    for number in (1, 2, 3):
        await round_of(hub, run, number, one=1.0)
    async with hub.http() as http:
        path, rounds = f"/api/v1/runs/{run.id}/contributions?limit=2", list[int]()
        while path:
            answer = await http.get(path)
            rounds += [each.round for each in msgspec.json.decode(answer.content, type=list[Contribution])]
            path = answer.links.get("next", {}).get("url", "")
    assert rounds == [3] * 3 + [2] * 3 + [1] * 3


async def test_a_report_that_comes_twice_or_after_the_journal_adds_nothing_and_loses_nothing(
    hub: HubParts, run: Run
) -> None:
    pushed = MessagesPushed(round=1, phase="train", nodes=["1"], messages=["m1"])
    content = ReplyContent(sha256="ab" * 32, size=10, weight=7.0)
    got = ReplyReceived(round=1, phase="train", node="1", error="", message="m1", content=content)
    await hub.reports.take(run.flower_run_id, pushed)
    await hub.reports.take(run.flower_run_id, msgspec.structs.replace(got, content=None, error="first"))
    for _ in range(2):
        await hub.reports.take(run.flower_run_id, got)
        await hub.reports.take(run.flower_run_id, RepliesTaken(messages=["m1"]))
    async with hub.http() as http:
        (told,) = await read(http, f"/api/v1/runs/{run.id}/contributions", list[Contribution])
    assert (told.fate, told.reason, told.weight) == (Fate.ACCEPTED, "first", None), "the first word is the last"


async def test_the_lineage_leads_from_the_devices_that_made_a_version_to_those_that_serve_it(
    hub: HubParts, run: Run
) -> None:
    await round_of(hub, run, 1, one=10.0, two=30.0)
    await round_of(hub, run, 2, one=20.0, three=5.0)
    deployments = DeploymentStore(hub.mongo.database)
    for device, version, since in (("dev-one", 1, 100.0), ("dev-one", 2, 200.0), ("dev-two", 2, 150.0)):
        serving = [ServingModel(model="tiny", version=version, since=since, url="")]
        await deployments.report({DeviceId(device): serving}, now=since + 1)
    async with hub.http() as http:
        first = await read(http, "/api/v1/models/tiny/versions/1/lineage", Lineage)
        second = await read(http, "/api/v1/models/tiny/versions/2/lineage", Lineage)
        problem(await http.get("/api/v1/models/tiny/versions/9/lineage"), 404)
    assert first.run is not None
    assert (first.run.id, first.before, second.before) == (run.id, None, 1)
    assert [(each.device_id, each.rounds, each.weight, each.last_weight) for each in first.contributors] == [
        ("dev-two", 1, 30.0, 30.0),
        ("dev-one", 1, 10.0, 10.0),
    ]
    assert [(each.device_id, each.rounds, each.weight, each.last_weight) for each in second.contributors] == [
        *(("dev-one", 2, 30.0, 20.0), ("dev-two", 1, 30.0, None), ("dev-three", 1, 5.0, 5.0)),
    ]
    assert (first.deployments, first.deployed) == ([], 0)
    assert [(each.device_id, each.since) for each in second.deployments] == [("dev-one", 200.0), ("dev-two", 150.0)]


async def test_a_late_update_is_in_the_version_that_it_was_folded_into_and_in_none_before(
    hub: HubParts, run: Run
) -> None:
    """So it is with updates of FedBuff, which steps while devices are at work."""
    pushed = MessagesPushed(round=1, phase="train", nodes=["1", "2"], messages=["m1", "m2"])
    await hub.reports.take(run.flower_run_id, pushed)
    for node in ("1", "2"):
        content = ReplyContent(sha256=node * 64, size=10, weight=7.0)
        got = ReplyReceived(round=1, phase="train", node=node, error="", message=f"m{node}", content=content)
        await hub.reports.take(run.flower_run_id, got)
    for number, message in ((1, "m1"), (3, "m2")):
        await hub.reports.take(run.flower_run_id, RepliesTaken(messages=[message], round=number))
    for number in (1, 2, 3):
        made = VersionMade(manifest=await hub.manifest(run_id=run.id, round=number), warning="")
        await hub.reports.take(run.flower_run_id, made)
    async with hub.http() as http:
        lineages = [await read(http, f"/api/v1/models/tiny/versions/{number}/lineage", Lineage) for number in (1, 2, 3)]
        told = await read(http, f"/api/v1/runs/{run.id}/contributions", list[Contribution])
    contributors = [{each.device_id: each.last_weight for each in lineage.contributors} for lineage in lineages]
    assert contributors == [{"dev-one": 7.0}, {"dev-one": None}, {"dev-one": None, "dev-two": 7.0}]
    assert {each.message_id: each.taken for each in told} == {"m1": 1, "m2": 3}


async def test_what_a_device_reports_that_it_serves_becomes_its_deployment_until_it_serves_another(
    folder: Path, mongo_url: str
) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        deployments = DeploymentStore(hub.mongo.database)

        async def report(seq: int, *serving: ServingModel) -> None:
            state = ReportedState(generation=1, agent_version="1", training="idle", serving=[*serving])
            batch = log_batch([seq], kind="state", body=msgspec.to_builtins(state))
            batch = msgspec.structs.replace(batch, priority=Priority.HEALTH)
            assert (await hub.post("/api/v1/device/telemetry", batch, device.headers)).is_success

        first = ServingModel(model="tiny", version=1, since=100.0, url="")
        await report(1, first)
        await report(2, msgspec.structs.replace(first, since=105.0))  # `serve` was restarted
        (one,) = await deployments.of_version("tiny", 1, 10)
        assert (one.device_id, one.since, one.until) == (device.id, 100.0, None)
        await report(3, ServingModel(model="tiny", version=2, since=200.0, url=""))
        assert await deployments.of_version("tiny", 1, 10) == []
        assert [each.since for each in await deployments.of_version("tiny", 2, 10)] == [200.0]
        await report(4)
        assert await deployments.count("tiny", 2) == 0
        kept = [each async for each in hub.mongo.database["deployments"].find()]
        assert len(kept) == 2
        assert all(each["until"] for each in kept)
