"""Back to the version before, by a person or by `serve`: durable, told once, and not brought again."""

from pathlib import Path

import pytest
from agent_rig import eventually
from fake_hub import FakeHub, started
from rollout_rig import Device, enrolled

from flip_agent.local.messages import Activate, Prepare, RolledBack
from flip_agent.models.refused_file import MOST, Refusal, RefusedFile
from flip_agent.models.store import ModelStore
from flip_runtime.errors import Corrupt, Rejected
from flip_wire.models import ModelAssignment, Sha256

pytestmark = pytest.mark.asyncio


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


async def bring(device: Device, *versions: ModelAssignment) -> None:
    for wanted in versions:
        device.want(wanted)
        await eventually(lambda wanted=wanted: device.served() == [wanted.version])


def verdict(given_up: ModelAssignment, to: ModelAssignment) -> RolledBack:
    return RolledBack(
        model="digits",
        version=given_up.version,
        manifest=given_up.manifest,
        to_version=to.version,
        reason="error rate 12 %",
        at=1763740800.25,
    )


async def test_a_person_goes_back_and_the_hub_is_told_once(folder: Path, hub: FakeHub) -> None:
    first, second, third = (hub.add_version(number) for number in (1, 2, 3))
    with started(hub):
        async with enrolled(folder, hub) as device:
            await bring(device, first, second)
            done = await device.rollbacks.by_hand("", "it mistakes 7 for 1")
            assert (done.model, done.from_version, done.to_version, done.detail) == ("digits", 2, 1, "")
            assert device.served() == [1]
            await eventually(lambda: device.failures() == ["rolled back: by hand: it mistakes 7 for 1"])
            await eventually(lambda: len(device.told) == 1)
        async with enrolled(folder, hub) as device:  # all of it was on the disk
            device.serve.answers(1)
            device.want(second)
            await eventually(lambda: device.failures() == ["rolled back: by hand: it mistakes 7 for 1"])
            assert device.store.active("digits") == first.manifest
            assert device.asked(Prepare) == []
            assert device.told == {}
            await bring(device, third)
            assert device.failures() == []
            await eventually(lambda: device.refused.kept.value == {})
            assert device.store.previous("digits") == first.manifest


async def test_serve_s_verdict_is_kept_however_often_it_is_told(folder: Path, hub: FakeHub) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    with started(hub):
        async with enrolled(folder, hub) as device:
            await bring(device, first, second)
            for _ in range(3):
                device.rollbacks.verdict(verdict(second, first))
            assert device.store.active("digits") == first.manifest
            assert device.store.previous("digits") is None
            await eventually(lambda: device.failures() == ["rolled back: error rate 12 %"])
            await eventually(lambda: len(device.told) == 1)
            (event,) = device.told.values()
            assert (event.version, event.to_version, event.reason, event.at) == (2, 1, "error rate 12 %", 1763740800.25)
        async with enrolled(folder, hub) as device:
            device.rollbacks.verdict(verdict(second, first))  # its answer was lost
            device.want(second)
            await eventually(lambda: device.failures() == ["rolled back: error rate 12 %"])
            assert (device.told, device.asked(Activate)) == ({}, [])


async def test_a_late_verdict_is_told_and_leaves_the_newer_version_alone(folder: Path, hub: FakeHub) -> None:
    first, second, third = (hub.add_version(number) for number in (1, 2, 3))
    with started(hub):
        async with enrolled(folder, hub) as device:
            await bring(device, first, second, third)
            device.rollbacks.verdict(verdict(second, first))
            assert device.store.active("digits") == third.manifest
            await eventually(lambda: len(device.told) == 1)
            await eventually(lambda: device.refused.kept.value == {})  # the hub wants another version
            assert device.served() == [3]


async def test_without_serve_the_link_is_turned_and_serve_follows_when_it_comes(folder: Path, hub: FakeHub) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    with started(hub):
        async with enrolled(folder, hub) as device:
            await bring(device, first, second)
            device.serve.leave()
            done = await device.rollbacks.by_hand("digits", "")
            assert "flip-agent serve is not running" in done.detail
            assert device.store.active("digits") == first.manifest
            device.serve.lacks = {1}  # so that it must be loaded first
            device.serve.connect()
            device.serve.answers(2)  # as one that was told of no rollback
            await eventually(lambda: device.served() == [1])
            assert device.asked(Prepare)[-1] == 1


async def test_another_try_needs_no_hub(folder: Path, hub: FakeHub) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    with started(hub):
        async with enrolled(folder, hub) as device:
            await bring(device, first, second)
            await device.rollbacks.by_hand("digits", "")
            await eventually(lambda: len(device.told) == 1)
            downloads = len(hub.ranges)
            device.serve.connect()
            device.serve.answers(1)
            (listed,) = await device.rollbacks.listing(device.desired.value.models)
            assert (listed.active, listed.previous, listed.wanted) == (1, None, 2)
            assert [each.version for each in listed.refused] == [2]
            (refused,) = device.rollbacks.retry("")
            assert (refused.version, refused.reason) == (2, "rolled back: by hand")
            await eventually(lambda: device.served() == [2])
            await eventually(lambda: device.failures() == [])
            assert len(hub.ranges) == downloads
            with pytest.raises(Rejected, match="no version is refused"):
                device.rollbacks.retry("")


async def test_a_refused_version_is_not_brought_again_after_a_restart_nor_in_safe_mode(
    folder: Path, hub: FakeHub
) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    with started(hub):
        async with enrolled(folder, hub) as device:
            await bring(device, first)
            device.serve.refuses = {2}
            device.want(second)
            await eventually(lambda: device.failures() == ["probe differs by 0.5"])
        for only_known in (False, True):
            async with enrolled(folder, hub, only_known=only_known) as device:
                device.want(second)
                await eventually(lambda: device.failures() == ["probe differs by 0.5"])
                device.serve.connect()
                device.serve.answers(1)
                await eventually(lambda: device.served() == [1])
                assert device.asked(Prepare) == []


async def test_there_may_be_nothing_to_go_back_to(folder: Path, hub: FakeHub) -> None:
    first, second, faces = hub.add_version(1), hub.add_version(2), hub.add_version(1, model="faces")
    with started(hub):
        async with enrolled(folder, hub) as device:
            with pytest.raises(Rejected, match="no model is in service"):
                await device.rollbacks.by_hand("", "")
            await bring(device, first)
            with pytest.raises(Rejected, match="no version before the active one"):
                await device.rollbacks.by_hand("digits", "")
            await bring(device, second)
            device.want(second, faces)
            await eventually(lambda: device.store.active("faces") == faces.manifest)
            with pytest.raises(Rejected, match="several models: digits, faces"):
                await device.rollbacks.by_hand("", "")
            with pytest.raises(Rejected, match=r"no model '\.\./digits'"):
                await device.rollbacks.by_hand("../digits", "")
            device.store.blob(hub.weights_of(first)).write_bytes(b"rotten")
            with pytest.raises(Corrupt):
                await device.rollbacks.by_hand("digits", "")
            assert device.store.active("digits") == second.manifest
            assert device.refused.kept.value == {}


async def test_a_power_cut_at_any_point_of_a_rollback_leaves_a_sound_state(folder: Path, hub: FakeHub) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    with started(hub):
        async with enrolled(folder, hub) as device:
            await bring(device, first, second)
            kept, active = folder / "state" / "models" / "refused.json", device.store.active
            await device.rollbacks.by_hand("digits", "")
            await eventually(lambda: len(device.told) == 1)
            told = kept.read_bytes()
        untold = told.replace(b'"told": true', b'"told": false')
        assert untold != told
        for durable, link, events in ((None, second, 0), (untold, second, 1), (untold, first, 1), (told, first, 0)):
            kept.unlink(missing_ok=True)
            if durable is not None:
                kept.write_bytes(durable)
            store = ModelStore(kept.parent)
            (kept.parent / "digits" / "active").unlink()
            (kept.parent / "digits" / "active").symlink_to(f"../blobs/{link.manifest}")
            assert store.models() == ["digits"]
            async with enrolled(folder, hub) as device:
                device.serve.answers(link.version)
                device.want(second)
                wanted = second if durable is None else first
                await eventually(lambda wanted=wanted: device.served() == [wanted.version])
                assert device.store.active("digits") == wanted.manifest
                await eventually(lambda events=events: len(device.told) == events)
    assert active("digits") == first.manifest


async def test_a_power_cut_between_the_two_links_of_a_swap_leaves_the_earlier_version(
    folder: Path, hub: FakeHub
) -> None:
    first, second, third = (hub.add_version(number) for number in (1, 2, 3))
    with started(hub):
        async with enrolled(folder, hub) as device:
            await bring(device, first, second)
            link = folder / "state" / "models" / "digits" / "previous"
            link.unlink()
            link.symlink_to(f"../blobs/{second.manifest}")  # the first of the two
            assert (device.store.active("digits"), device.store.previous("digits")) == (second.manifest, None)
            await bring(device, third)
            assert device.store.previous("digits") == second.manifest


async def test_refusals_are_bounded_and_a_damaged_file_of_them_counts_as_none(folder: Path) -> None:
    refused = RefusedFile(folder)
    for number in range(MOST + 5):
        told = number != 2  # what the hub has not heard of stays
        refusal = Refusal(model="digits", version=number, reason="probe", at=float(number), told=told)
        refused.add(Sha256(f"{number:064x}"), refusal)
    kept = [each.version for each in RefusedFile(folder).kept.value.values()]
    assert kept == [2, *range(6, MOST + 5)]
    (folder / "refused.json").write_bytes(b"\xff{")
    assert RefusedFile(folder).kept.value == {}
