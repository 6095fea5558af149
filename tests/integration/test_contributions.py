"""Receipts and late contributions at the hub, over a real MongoDB and real files."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from flwr.proto.message_pb2 import ObjectTree
from hub_parts import HubParts, fab_of, hub_parts

from flip_hub.contributions.schemas import LateContributions
from flip_hub.federation.schemas import MessagesPushed, RepliesMissed, ReplyReceived, Run, RunRequest
from flip_hub.problem import Conflict, NotFound
from flip_runtime.errors import Rejected
from flip_wire.contributions import Fate, LateReply
from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256

pytestmark = pytest.mark.asyncio

ONE, OTHER = DeviceId("dev-one"), DeviceId("dev-other")


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
    await hub.runs.report(run.flower_run_id, pushed)
    assert await fate(hub, run, "m1") == (Fate.PENDING, "")
    got = ReplyReceived(round=1, phase="train", node="1", error="", message="m1")
    await hub.runs.report(run.flower_run_id, got)
    await hub.runs.report(run.flower_run_id, RepliesMissed(messages=["m1", "m2"], reason="its round had ended"))
    assert await fate(hub, run, "m1") == (Fate.ACCEPTED, "")
    assert await fate(hub, run, "m2") == (Fate.LATE, "its round had ended")


async def test_what_was_not_seen_when_the_run_ends_is_late_and_what_was_is_not(hub: HubParts, run: Run) -> None:
    got = ReplyReceived(round=1, phase="train", node="1", error="", message="m1")
    await hub.runs.report(run.flower_run_id, got)
    assert await fate(hub, run, "never reported") == (Fate.PENDING, "")
    await hub.runs.stop(run.id)
    assert await fate(hub, run, "m1") == (Fate.ACCEPTED, "")
    late, reason = await fate(hub, run, "never reported")
    assert (late, "run had ended" in reason) == (Fate.LATE, True)


async def test_a_reply_to_a_run_that_the_hub_does_not_know_is_late(hub: HubParts) -> None:
    receipt = await hub.receipts.receipt(ONE, "m1", "12345")
    assert (receipt.fate, receipt.reason) == (Fate.LATE, "the hub knows of no such run")


class Reply:
    """A late one: of a head and two objects."""

    def __init__(self, run: Run, name: str, size: int = 100) -> None:
        self.contents = {_sha256(content): content for content in (name.encode() * size, b"common")}
        self.objects = list(self.contents)
        tree = ObjectTree(object_id=self.objects[0], children=[ObjectTree(object_id=self.objects[1])])
        self.wire = LateReply(
            run_id=run.flower_run_id,
            message_id=name,
            message=b"head",
            tree=tree.SerializeToString(),
            seconds=1.5,
            reason="its round had ended",
        )

    async def give(self, hub: HubParts, device: DeviceId = ONE) -> int:
        """As a device does; how many objects travelled."""
        wanted = (await hub.late.announce(device, self.wire, self.objects)).objects
        for sha256 in wanted:
            await hub.late.put(sha256, _once(self.contents[sha256]))
        assert (await hub.late.announce(device, self.wire, self.objects)).objects == []
        return len(wanted)


async def test_a_late_reply_is_kept_once_whole_with_what_is_known_of_it(hub: HubParts, run: Run) -> None:
    pushed = MessagesPushed(round=3, phase="train", nodes=["1"], messages=["m1"])
    await hub.runs.report(run.flower_run_id, pushed)
    reply = Reply(run, "m1")
    first = reply.objects[0]
    assert len((await hub.late.announce(ONE, reply.wire, reply.objects)).objects) == 2
    await hub.late.put(first, _once(reply.contents[first]))
    assert (await hub.late.of_run(run.id)).kept == [], "cut off, it is not whole"
    with hub.live.reading() as console:
        assert await reply.give(hub) == 1, "only what was lacking travels"
        assert await reply.give(hub) == 0
        assert msgspec.json.decode(await console.next()) == {"topic": "grew", "data": {"of": "late", "id": run.id}}
    (kept,) = (await hub.late.of_run(run.id)).kept
    assert (kept.message_id, kept.device_id, kept.round, kept.phase) == ("m1", ONE, 3, "train")
    assert (kept.reason, kept.seconds) == ("its round had ended", 1.5)
    assert kept.size > sum(map(len, reply.contents.values()))


async def test_people_see_the_late_contributions_of_a_run(hub: HubParts, run: Run) -> None:
    await Reply(run, "m1").give(hub)
    async with hub.http() as http:
        answer = await http.get(f"/api/v1/runs/{run.id}/late")
        assert answer.status_code == 200
        assert [late["message_id"] for late in answer.json()["kept"]] == ["m1"]
        assert (await http.get("/api/v1/runs/run-none/late")).status_code == 404


async def test_when_there_is_no_more_room_the_oldest_goes_and_is_counted(hub: HubParts, run: Run) -> None:
    replies = [Reply(run, f"m{number}") for number in range(3)]  # there is room for two of a run
    for reply in replies:
        await reply.give(hub)
    listed: LateContributions = await hub.late.of_run(run.id)
    assert [late.message_id for late in listed.kept] == ["m2", "m1"]
    assert listed.dropped == 1
    assert await replies[0].give(hub) == 1, "what it shared with others is still here, the rest is gone"


async def test_all_together_stay_below_the_limit_of_bytes(hub: HubParts, run: Run) -> None:
    for number in range(2):
        await Reply(run, f"m{number}", size=3000).give(hub)  # 6 kB each, of 10 kB
    assert [late.message_id for late in (await hub.late.of_run(run.id)).kept] == ["m1"]
    with pytest.raises(Rejected, match="more than the hub keeps"):
        await Reply(run, "m9", size=6000).give(hub)


async def test_nobody_stores_what_belongs_to_no_late_reply_or_answers_for_another(hub: HubParts, run: Run) -> None:
    with pytest.raises(NotFound):
        await hub.late.put(_sha256(b"mine"), _once(b"mine"))
    reply = Reply(run, "m1")
    await hub.late.announce(ONE, reply.wire, reply.objects)
    with pytest.raises(Rejected, match="hash"):
        await hub.late.put(reply.objects[0], _once(b"something else"))
    with pytest.raises(Conflict, match="another device"):
        await hub.late.announce(OTHER, reply.wire, reply.objects)


def _sha256(content: bytes) -> Sha256:
    return Sha256(hashlib.sha256(content).hexdigest())


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
