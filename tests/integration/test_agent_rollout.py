"""A model version is fetched, verified, checked by `serve` and only then served; the earlier one goes on until then."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
from agent_rig import eventually
from fake_hub import FakeHub, started
from rollout_rig import enrolled

from flip_agent.local.messages import Prepare, Try
from flip_wire.models import Sha256
from flip_wire.spans import trace_of_rollout

pytestmark = pytest.mark.asyncio


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


async def test_a_version_that_passes_everything_is_served(folder: Path, hub: FakeHub) -> None:
    first = hub.add_version(1)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: device.served() == [1])
            assert device.store.active("digits") == first.manifest
            assert device.failures() == []


async def test_a_download_that_is_cut_goes_on_where_it_ended(folder: Path, hub: FakeHub) -> None:
    first = hub.add_version(1, size=300_000)
    weights = hub.weights_of(first)
    with started(hub):
        async with enrolled(folder, hub) as device:
            for sha256 in set(hub.artifacts) - {weights}:  # so that the cut falls into the weights
                device.store.blob(sha256).write_bytes(hub.artifacts[sha256])
            hub.cut_after = 100_000
            device.want(first)
            await eventually(lambda: device.served() == [1])
    assert hub.ranges == ["bytes=0-", "bytes=100000-"]


async def test_a_file_whose_hash_is_wrong_is_never_admitted_and_the_earlier_version_goes_on(
    folder: Path, hub: FakeHub
) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    weights = hub.weights_of(second)
    good = hub.artifacts[weights]
    hub.artifacts[weights] = bytes(len(good))
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: device.served() == [1])
            device.want(second)
            await eventually(lambda: any("has hash" in reason for reason in device.failures()))
            assert device.served() == [1]
            assert device.store.active("digits") == first.manifest
            assert not device.store.holds(weights)
            hub.artifacts[weights] = good
            await eventually(lambda: device.served() == [2])
            assert device.failures() == []


async def test_more_bytes_than_announced_are_not_stored(folder: Path, hub: FakeHub) -> None:
    first = hub.add_version(1)
    weights = hub.weights_of(first)
    hub.artifacts[weights] += b"more"
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: any("longer" in reason for reason in device.failures()))
            assert not device.store.holds(weights)


async def test_a_version_that_serve_refuses_is_reported_and_not_tried_again(folder: Path, hub: FakeHub) -> None:
    first, second, third = hub.add_version(1), hub.add_version(2), hub.add_version(3)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.serve.refuses = {2}
            device.want(first)
            await eventually(lambda: device.served() == [1])
            device.want(second)
            await eventually(lambda: device.failures() == ["probe differs by 0.5"])
            assert device.store.active("digits") == first.manifest
            assert device.served() == [1]
            device.serve.connect()
            device.want(third)
            await eventually(lambda: device.served() == [3])
            assert device.failures() == []
    assert device.asked(Prepare) == [1, 2, 3]


async def test_a_version_whose_trial_goes_badly_never_becomes_active(folder: Path, hub: FakeHub) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: device.served() == [1])
            device.serve.outdone = {2}
            device.want(second)
            await eventually(lambda: device.failures() == ["agreement 0.4"])
            assert device.store.active("digits") == first.manifest
            assert device.served() == [1]
            device.want(first)
            await eventually(lambda: device.failures() == [])
    assert device.asked(Try) == [1, 2], "what was in service has nothing to prove"


async def test_without_an_inference_server_the_version_waits(folder: Path, hub: FakeHub) -> None:
    first = hub.add_version(1)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.serve.leave()
            device.want(first)
            await eventually(lambda: device.store.holds(hub.weights_of(first)))
            assert device.store.active("digits") is None
            device.serve.connect()
            await eventually(lambda: device.served() == [1])


async def test_a_restarted_inference_server_is_asked_again(folder: Path, hub: FakeHub) -> None:
    first = hub.add_version(1)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: device.served() == [1])
            device.serve.leave()
            assert device.served() == []
            device.serve.connect()
            await eventually(lambda: device.served() == [1])


async def test_old_files_go_once_a_newer_version_is_served(folder: Path, hub: FakeHub) -> None:
    versions = [hub.add_version(number) for number in (1, 2, 3)]
    with started(hub):
        async with enrolled(folder, hub) as device:
            for number, version in enumerate(versions, 1):
                device.want(version)
                await eventually(lambda number=number: device.served() == [number])
            await eventually(lambda: not device.store.holds(hub.weights_of(versions[0])))
            assert device.store.holds(hub.weights_of(versions[1])), "the previous version stays, for a rollback"


async def test_a_version_that_is_wanted_while_old_files_go_is_brought_after_that(folder: Path, hub: FakeHub) -> None:
    """What came meanwhile would be taken for old."""
    first, second = hub.add_version(1), hub.add_version(2)
    removing, wanted = threading.Event(), threading.Event()
    came: list[int] = []
    with started(hub):
        async with enrolled(folder, hub) as device:
            collect = device.store.collect

            def slowly(keep: set[Sha256]) -> int:
                if not came:
                    removing.set()
                    wanted.wait(10)
                    before, patience = hub.sent, time.monotonic() + 0.5
                    while hub.sent == before and time.monotonic() < patience:
                        time.sleep(0.01)
                    came.append(hub.sent - before)
                return collect(keep)

            device.store.collect = slowly
            device.want(first)
            await eventually(removing.is_set)
            device.want(second)
            wanted.set()
            await eventually(lambda: device.served() == [2])
    assert came == [0]


async def test_after_too_many_failures_the_hub_can_go_back_to_the_version_before_and_to_no_new_one(
    folder: Path, hub: FakeHub
) -> None:
    first, second, third = (hub.add_version(version) for version in (1, 2, 3))
    with started(hub):
        async with enrolled(folder, hub) as device:
            for wanted in (first, second):
                device.want(wanted)
                await eventually(lambda wanted=wanted: device.served() == [wanted.version])
        downloads = len(hub.ranges)
        async with enrolled(folder, hub, only_known=True) as device:
            device.want(third)
            device.want(first)
            await eventually(lambda: device.served() == [1])
            assert device.store.active("digits") == first.manifest
            device.want(third)
            await asyncio.sleep(0)
            assert device.served() == [1]
    assert len(hub.ranges) == downloads


async def test_where_the_time_of_a_rollout_went_is_told_once_it_is_over(folder: Path, hub: FakeHub) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.serve.refuses = {2}
            began = time.time()
            device.want(first)
            await eventually(lambda: len(device.spans) == 1)
            device.want(second)
            await eventually(lambda: len(device.spans) == 2)
    served, refused = ({span.name: span for span in told.spans} for told in device.spans)
    root = served["rollout"]
    assert list(served) == ["rollout", "verify", "fetch", "prepare", "try", "activate"]
    assert {span.trace_id for span in served.values()} == {trace_of_rollout(first.manifest)}
    assert root.attributes == {"model": "digits", "version": "1"}
    assert began - 1 <= root.start <= root.start + root.duration <= time.time() + 1
    assert sum(served[name].duration for name in list(served)[1:]) <= root.duration + 0.01
    assert list(refused) == ["rollout", "verify", "fetch", "prepare"]
    assert refused["rollout"].error == refused["prepare"].error == "probe differs by 0.5"
