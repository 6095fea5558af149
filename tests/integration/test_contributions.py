"""Late contributions at the hub, over a real MongoDB and real files."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from flwr.proto.message_pb2 import ObjectTree
from hub_parts import HubParts, fab_of, hub_parts

from flip_hub.api.pages import Wanted
from flip_hub.artifacts.folder import FolderArtifacts
from flip_hub.contributions.run_contributions import RunContributions
from flip_hub.contributions.schemas import LateCounts
from flip_hub.contributions.store import ContributionStore
from flip_hub.federation.plan import Plan
from flip_hub.federation.schemas import MessagesPushed, ReplyContent, ReplyReceived, Run, RunRequest
from flip_hub.federation.secure.schemas import SecureAggregation
from flip_hub.problem import Conflict, NotFound, TooLarge, TooMany
from flip_runtime.errors import Rejected
from flip_wire.contributions import LateReply
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


class Reply:
    """A late one: of a head and two objects."""

    def __init__(self, run: Run, name: str, size: int = 100, declared: int | None = None) -> None:
        self.contents = {_sha256(content): content for content in (name.encode() * size, b"common")}
        self.objects = list(self.contents)
        tree = ObjectTree(object_id=self.objects[0], children=[ObjectTree(object_id=self.objects[1])])
        self.wire = LateReply(
            run_id=run.flower_run_id,
            message_id=name,
            message=b"head",
            tree=tree.SerializeToString(),
            size=sum(map(len, self.contents.values())) if declared is None else declared,
            seconds=1.5,
            reason="its round had ended",
        )

    async def announce(self, hub: HubParts, device: DeviceId = ONE) -> list[Sha256]:
        return (await hub.late.announce(device, self.wire, self.objects)).objects

    async def put(self, hub: HubParts, sha256: Sha256, device: DeviceId = ONE) -> None:
        await hub.late.put(device, sha256, _once(self.contents[sha256]))

    async def give(self, hub: HubParts, device: DeviceId = ONE) -> int:
        """As a device does; how many objects travelled."""
        wanted = await self.announce(hub, device)
        for sha256 in wanted:
            await self.put(hub, sha256, device)
        assert await self.announce(hub, device) == []
        return len(wanted)


async def kept(hub: HubParts, run: Run) -> list[str]:
    """Newest first."""
    return [late.message_id for late in (await hub.late.of_run(run.id, Wanted())).items]


async def test_what_is_masked_is_not_kept_for_nothing_takes_its_masks_off_later(hub: HubParts, run: Run) -> None:
    for name in ("three", "four"):
        await hub.enrol(name)
    secure = await hub.runs.start(RunRequest(fab_hash=run.fab_hash, plan=Plan(secure=SecureAggregation())))
    pushed = [("m1", "train"), ("m2", "query"), ("m3", "evaluate")]
    for key, phase in pushed:
        report = MessagesPushed(round=3, phase=phase, nodes=["1"], messages=[key])
        await hub.reports.take(secure.flower_run_id, report)
    for key in ("m1", "m2", "unknown"):
        with pytest.raises(Rejected, match="masked for a round that is over"):
            await Reply(secure, key).announce(hub)
    assert await hub.late.counts(secure.id) == LateCounts(uploading=0, dropped=0)
    await Reply(secure, "m3").give(hub)
    assert await kept(hub, secure) == ["m3"], "figures of the model are in the clear"


async def test_a_late_reply_is_kept_once_whole_with_what_is_known_of_it(hub: HubParts, run: Run) -> None:
    pushed = MessagesPushed(round=3, phase="train", nodes=["1"], messages=["m1"])
    await hub.reports.take(run.flower_run_id, pushed)
    reply = Reply(run, "m1")
    first = reply.objects[0]
    assert len(await reply.announce(hub)) == 2
    await reply.put(hub, first)
    assert await kept(hub, run) == [], "cut off, it is not whole"
    with hub.live.reading() as console:
        assert await reply.give(hub) == 1, "only what was lacking travels"
        assert await reply.give(hub) == 0
        assert msgspec.json.decode(await console.next()) == {"topic": "grew", "data": {"of": "late", "id": run.id}}
    (late,) = (await hub.late.of_run(run.id, Wanted())).items
    assert (late.message_id, late.device_id, late.round, late.phase) == ("m1", ONE, 3, "train")
    assert (late.reason, late.seconds) == ("its round had ended", 1.5)
    assert late.size > sum(map(len, reply.contents.values()))


async def test_people_see_the_late_contributions_of_a_run(hub: HubParts, run: Run) -> None:
    for name in ("m1", "m2"):
        await Reply(run, name).give(hub)
    async with hub.http() as http:
        first = await http.get(f"/api/v1/runs/{run.id}/late?limit=1")
        rest = await http.get(first.links["next"]["url"])
        assert [[late["message_id"] for late in page.json()] for page in (first, rest)] == [["m2"], ["m1"]]
        assert "next" not in rest.links
        assert (await http.get(f"/api/v1/runs/{run.id}/late/counts")).json() == {"uploading": 0, "dropped": 0}
        for path in ("late", "late/counts"):
            assert (await http.get(f"/api/v1/runs/run-none/{path}")).status_code == 404


async def test_when_there_is_no_more_room_the_oldest_goes_is_counted_and_never_comes_back(
    hub: HubParts, run: Run
) -> None:
    replies = [Reply(run, f"m{number}") for number in range(3)]  # there is room for two of a run
    for reply in replies:
        await reply.give(hub)
    for reply in replies:  # each device has not heard the answer
        assert await reply.give(hub) == 0
    assert await kept(hub, run) == ["m2", "m1"]
    assert (await hub.late.counts(run.id)).dropped == 1


async def test_what_is_whole_goes_only_for_what_is_whole(hub: HubParts, run: Run) -> None:
    whole = [Reply(run, f"m{number}") for number in range(2)]
    for reply in whole:
        await reply.give(hub)
    announced = [Reply(run, f"later{number}") for number in range(2)]
    for reply in announced:
        assert len(await reply.announce(hub)) == 1, "what it shares with others is here"
    assert await kept(hub, run) == ["m1", "m0"]
    assert (await hub.late.counts(run.id)).uploading == 2
    await announced[0].give(hub)
    assert await kept(hub, run) == ["later0", "m1"]
    assert await hub.late.counts(run.id) == LateCounts(uploading=1, dropped=1)


async def test_a_clock_that_was_set_back_drops_nothing_that_has_just_come(hub: HubParts, run: Run) -> None:
    await Reply(run, "m0").give(hub)
    await Reply(run, "m1").give(hub)
    hub.clock.ahead = -7200.0
    await Reply(run, "m2").give(hub)
    assert set(await kept(hub, run)) == {"m1", "m2"}


async def test_all_together_stay_below_the_limit_of_bytes(hub: HubParts, run: Run, folder: Path) -> None:
    for number in range(2):
        await Reply(run, f"m{number}", size=3000).give(hub)  # 6 kB each, of 10 kB
    assert await kept(hub, run) == ["m1"]
    assert stored(folder) < 10_000
    with pytest.raises(TooLarge, match="more than the hub keeps"):
        await Reply(run, "m9", size=6000).announce(hub)


async def test_devices_wait_for_room_and_none_is_pushed_out_while_it_uploads(hub: HubParts, run: Run) -> None:
    """Five devices at a hub that keeps two of a run, and lets three upload at the same time."""
    devices = [DeviceId(f"dev-{number}") for number in range(5)]
    replies = {device: Reply(run, f"m-{device}") for device in devices}
    for device in devices[:3]:
        await replies[device].announce(hub, device)
    for device in devices[3:]:
        with pytest.raises(TooMany, match="3 late replies") as refused:
            await replies[device].announce(hub, device)
        assert refused.value.retry_after
    for waiting, device in enumerate(devices):
        assert await replies[device].give(hub, device) > 0, f"number {waiting} has come this far"
    assert await kept(hub, run) == ["m-dev-4", "m-dev-3"]
    assert (await hub.late.counts(run.id)).dropped == 3, "each was whole once"


async def test_one_device_takes_not_the_room_of_all(hub: HubParts, run: Run) -> None:
    large = Reply(run, "m0", size=3000)
    await large.announce(hub)
    with pytest.raises(TooMany, match="of this device"):
        await Reply(run, "m1", size=3000).announce(hub)  # 12 kB of 8
    await Reply(run, "m2").announce(hub)
    with pytest.raises(TooMany, match="of this device"):
        await Reply(run, "m3").announce(hub)
    await Reply(run, "other").announce(hub, OTHER)
    await large.give(hub)
    await Reply(run, "m3").announce(hub)


async def test_an_upload_that_stands_still_is_given_up_and_starts_over_with_nothing_lost(
    hub: HubParts, run: Run, folder: Path
) -> None:
    reply = Reply(run, "m0", size=3000)
    first, second = await reply.announce(hub)
    await reply.put(hub, first)
    hub.clock.ahead = 3500.0
    await reply.put(hub, second)
    hub.clock.ahead = 7000.0
    await hub.late.tidy()
    assert (await hub.late.counts(run.id)).uploading == 1, "it came on within the hour"
    hub.clock.ahead = 7200.0
    await hub.late.tidy()
    assert (await hub.late.counts(run.id)).uploading == 0
    assert stored(folder) == 0
    with pytest.raises(NotFound, match="announce it first"):
        await reply.put(hub, first)
    assert await reply.give(hub) == 2, "from the start"
    assert await kept(hub, run) == ["m0"]


async def test_stalled_uploads_make_room_at_once_for_who_asks(hub: HubParts, run: Run) -> None:
    for number in range(2):
        await Reply(run, f"m{number}").announce(hub)
    hub.clock.ahead = 3601.0
    await Reply(run, "m2").announce(hub)
    assert (await hub.late.counts(run.id)).uploading == 1


async def test_an_upload_that_is_given_up_under_its_last_object_leaves_nothing(
    hub: HubParts, run: Run, folder: Path
) -> None:
    reply = Reply(run, "m0")
    (first, _) = await reply.announce(hub)

    async def slowly() -> AsyncIterator[bytes]:
        yield reply.contents[first][:100]
        hub.clock.ahead = 3500.0
        yield reply.contents[first][100:150]
        hub.clock.ahead = 7000.0
        await hub.late.tidy()
        assert (await hub.late.counts(run.id)).uploading == 1, "bytes were coming"
        hub.clock.ahead = 7200.0
        await hub.late.tidy()
        yield reply.contents[first][150:]

    with pytest.raises(NotFound, match="given up"):
        await hub.late.put(ONE, first, slowly())
    assert stored(folder) == 0


async def test_files_that_a_crash_left_without_a_record_are_removed_and_no_others(
    hub: HubParts, run: Run, folder: Path
) -> None:
    await Reply(run, "m0").give(hub)
    begun = Reply(run, "m1")
    await begun.announce(hub)
    before = stored(folder)
    await FolderArtifacts(folder / "late").put(b"orphan" * 1000)
    await hub.late.tidy()
    assert stored(folder) == before
    assert await begun.give(hub) == 1


async def test_no_more_is_stored_than_was_declared(hub: HubParts, run: Run, folder: Path) -> None:
    reply = Reply(run, "m0", size=3000, declared=100)
    first, _ = await reply.announce(hub)
    with pytest.raises(Rejected, match="more bytes than the device declared"):
        await reply.put(hub, first)
    assert stored(folder) < 1000


async def test_an_object_that_comes_twice_counts_once(hub: HubParts, run: Run) -> None:
    reply = Reply(run, "m0", size=1000)
    first, second = await reply.announce(hub)
    for _ in range(3):
        await reply.put(hub, first)
    await reply.put(hub, second)
    assert await reply.announce(hub) == []


async def test_nobody_stores_what_belongs_to_no_late_reply_of_its_own_or_answers_for_another(
    hub: HubParts, run: Run
) -> None:
    with pytest.raises(NotFound):
        await hub.late.put(ONE, _sha256(b"mine"), _once(b"mine"))
    reply = Reply(run, "m1")
    await reply.announce(hub)
    with pytest.raises(Rejected, match="hash"):
        await hub.late.put(ONE, reply.objects[0], _once(b"something else"))
    with pytest.raises(NotFound):
        await reply.put(hub, reply.objects[0], OTHER)
    with pytest.raises(Conflict, match="another device"):
        await reply.announce(hub, OTHER)


async def test_only_the_device_that_a_message_was_written_to_answers_it_late(hub: HubParts, run: Run) -> None:
    other = await hub.enrol("other", node="2")
    await hub.reports.take(run.flower_run_id, MessagesPushed(round=1, phase="train", nodes=["1"], messages=["m1"]))
    with pytest.raises(Conflict, match="another device"):
        await Reply(run, "m1").announce(hub, other)
    await hub.devices.node_activated(ONE, "11")  # Flower has given it another number since
    await Reply(run, "m1").announce(hub, ONE)


async def test_what_a_device_gave_and_what_each_round_weighed_is_known_over_all_runs(hub: HubParts, run: Run) -> None:
    other = await hub.runs.start(RunRequest(fab_hash=run.fab_hash))
    for number, flower in enumerate((run.flower_run_id, other.flower_run_id), start=1):
        for round in (1, 2):
            message = f"m{number}{round}"
            sent = MessagesPushed(round=round, phase="train", nodes=["1"], messages=[message])
            content = ReplyContent(sha256="a" * 64, size=1000 * number * round, weight=5.0)
            got = ReplyReceived(round=round, phase="train", node="1", error="", message=message, content=content)
            await hub.reports.take(flower, sent)
            await hub.reports.take(flower, got)
    known = RunContributions(ContributionStore(hub.mongo.database))
    given = (await known.of_device(ONE, Wanted())).items
    assert {each.flower_run_id for each in given} == {run.flower_run_id, other.flower_run_id}
    assert [each.sent_at for each in given] == sorted((each.sent_at for each in given), reverse=True)
    assert (await known.of_device(OTHER, Wanted())).items == []
    assert [(each.round, each.replies, each.size) for each in await known.traffic(other)] == [
        (1, 1, 2000),
        (2, 1, 4000),
    ]


def stored(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in (folder / "late").rglob("*") if path.is_file())


def _sha256(content: bytes) -> Sha256:
    return Sha256(hashlib.sha256(content).hexdigest())


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
