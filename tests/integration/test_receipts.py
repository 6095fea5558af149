"""What the hub says has become of a reply: once said, for ever, and only to the device that it concerns."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from hub_parts import HubParts, fab_of, hub_parts

from flip_hub.federation.journal import Journal
from flip_hub.federation.schemas import MessagesPushed, RepliesMissed, RepliesTaken, ReplyReceived, Run, RunRequest
from flip_hub.problem import Conflict
from flip_hub.receipts.store import ChainStore
from flip_hub.registry.collections import CHAINS_KEPT
from flip_runtime.errors import Rejected
from flip_wire.contributions import Fate
from flip_wire.fleet import DeviceId

pytestmark = pytest.mark.asyncio

ONE = DeviceId("dev-one")


@pytest_asyncio.fixture
async def hub(mongo_url: str, folder: Path) -> AsyncGenerator[HubParts]:
    async with hub_parts(mongo_url, folder) as parts:
        yield parts


@pytest_asyncio.fixture
async def run(hub: HubParts) -> Run:
    await hub.enrol("one", node="1")
    app = await hub.apps.add(fab_of())
    return await hub.runs.start(RunRequest(fab_hash=app.fab_hash))


async def fate(hub: HubParts, run: Run, message: str) -> tuple[Fate, str]:
    receipt = await hub.receipts.receipt(ONE, message, run.flower_run_id)
    return receipt.fate, receipt.reason


async def test_a_reply_is_accepted_when_the_serverapp_has_it_and_late_when_nobody_waits_for_it(
    hub: HubParts, run: Run
) -> None:
    pushed = MessagesPushed(round=1, phase="train", nodes=["1", "2"], messages=["m1", "m2"])
    await hub.reports.take(run.flower_run_id, pushed)
    assert await fate(hub, run, "m1") == (Fate.PENDING, "")
    got = ReplyReceived(round=1, phase="train", node="1", error="", message="m1")
    await hub.reports.take(run.flower_run_id, got)
    assert await fate(hub, run, "m1") == (Fate.PENDING, ""), "no checkpoint holds it"
    await hub.reports.take(run.flower_run_id, RepliesTaken(messages=["m1"]))
    await hub.reports.take(run.flower_run_id, RepliesMissed(messages=["m1", "m2"], reason="its round had ended"))
    assert await fate(hub, run, "m1") == (Fate.ACCEPTED, "")
    assert await fate(hub, run, "m2") == (Fate.LATE, "its round had ended")


async def test_what_was_not_seen_when_the_run_ends_is_late_and_what_was_is_not(hub: HubParts, run: Run) -> None:
    got = ReplyReceived(round=1, phase="train", node="1", error="", message="m1")
    await hub.reports.take(run.flower_run_id, got)
    await hub.reports.take(run.flower_run_id, RepliesTaken(messages=["m1"]))
    assert await fate(hub, run, "never reported") == (Fate.PENDING, "")
    await hub.runs.stop(run.id)
    assert await fate(hub, run, "m1") == (Fate.ACCEPTED, "")
    late, reason = await fate(hub, run, "never reported")
    assert (late, "run had ended" in reason) == (Fate.LATE, True)


async def test_a_chain_goes_as_a_whole_some_years_after_its_run_and_its_seal_stays(hub: HubParts, run: Run) -> None:
    """MongoDB deletes what its index on `sealed` says; an open chain has no such date."""
    got = ReplyReceived(round=1, phase="train", node="1", error="", message="m1")
    await hub.reports.take(run.flower_run_id, got)
    await hub.reports.take(run.flower_run_id, RepliesTaken(messages=["m1"]))
    await fate(hub, run, "m1")
    entries = hub.mongo.database["receipts"]
    assert await entries.count_documents({"run_id": run.id, "sealed": {"$exists": False}}) == 1
    await hub.runs.stop(run.id)
    store = ChainStore(hub.mongo.database)
    seal = await store.seal(run.id)
    assert seal is not None
    found = [entry["sealed"].timestamp() async for entry in entries.find({"run_id": run.id})]
    assert found == [pytest.approx(seal.at, abs=0.001)] * seal.entries
    indexes = await entries.index_information()
    assert indexes["sealed_1"]["expireAfterSeconds"] == CHAINS_KEPT
    await entries.delete_many({"run_id": run.id})
    await fate(hub, run, "m1")
    assert await store.seal(run.id) == seal


async def test_a_kill_between_a_fate_its_entry_and_the_note_of_it_leaves_one_entry_for_each(
    hub: HubParts, run: Run
) -> None:
    """The registry as a kill leaves it: m1 is settled and not in the chain, m2 is in it and nobody has noted where."""
    pushed = MessagesPushed(round=1, phase="train", nodes=["1", "1", "1"], messages=["m1", "m2", "m3"])
    await hub.reports.take(run.flower_run_id, pushed)
    await hub.reports.take(run.flower_run_id, RepliesTaken(messages=["m2"]))
    instructions, entries = (hub.mongo.database[name] for name in ("instructions", "receipts"))
    await instructions.update_one({"_id": "m1"}, {"$set": {"fate": Fate.ACCEPTED, "told": True}})
    await instructions.update_one({"_id": "m2"}, {"$set": {"entry": 0, "hash": ""}})
    await hub.reports.take(run.flower_run_id, RepliesTaken(messages=["m3"]))
    in_order = [entry["message_id"] async for entry in entries.find({"run_id": run.id}).sort("seq", 1)]
    assert in_order == ["m2", "m1", "m3"]
    places = {each["_id"]: each["entry"] async for each in instructions.find({"flower_run_id": run.flower_run_id})}
    assert places == {"m2": 1, "m1": 2, "m3": 3}


async def test_a_reply_to_a_run_that_the_hub_does_not_know_is_late(hub: HubParts) -> None:
    receipt = await hub.receipts.receipt(ONE, "m1", "12345")
    assert (receipt.fate, receipt.reason) == (Fate.LATE, "the hub knows of no such run")


async def test_only_the_device_that_a_message_was_written_to_asks_for_its_receipt(hub: HubParts, run: Run) -> None:
    """Also when Flower has given the device another number since."""
    other = await hub.enrol("other", node="2")
    pushed = MessagesPushed(round=1, phase="train", nodes=["1", "2", "7"], messages=["m1", "m2", "m7"])
    await hub.reports.take(run.flower_run_id, pushed)
    await hub.devices.node_activated(ONE, "11")
    assert await fate(hub, run, "m1") == (Fate.PENDING, "")
    with pytest.raises(Conflict, match="another device"):
        await hub.receipts.receipt(other, "m1", run.flower_run_id)
    assert await fate(hub, run, "m7") == (Fate.PENDING, ""), "the hub does not know that node"


async def test_what_only_the_journal_knows_is_accepted_while_the_run_goes_on_and_when_it_has_ended(
    hub: HubParts, run: Run, folder: Path
) -> None:
    journal = Journal(folder / "runs" / run.id)
    journal.add("m1")
    assert await fate(hub, run, "m1") == (Fate.ACCEPTED, "")
    journal.add("m2")
    await hub.runs.stop(run.id)
    with pytest.raises(Rejected, match="the run has ended"):
        journal.add("m3")
    journal.close()
    fates = [(await fate(hub, run, message))[0] for message in ("m1", "m2", "m3")]
    assert fates == [Fate.ACCEPTED, Fate.ACCEPTED, Fate.LATE]
    assert list((folder / "runs" / run.id).iterdir()) == []
