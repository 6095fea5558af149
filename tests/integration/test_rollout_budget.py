"""A day's byte budget is kept, over kills too; what was downloaded is never downloaded twice."""

import time
from pathlib import Path

import msgspec
import pytest
from agent_rig import eventually
from fake_hub import FakeHub, started
from msgspec.structs import replace
from rollout_rig import enrolled

from flip_wire.models import Manifest, ModelAssignment

MIB = 2**20


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


def files(hub: FakeHub, assignment: ModelAssignment) -> list[int]:
    manifest = msgspec.json.decode(hub.artifacts[assignment.manifest], type=Manifest)
    return [assignment.size, *(file.size for file in manifest.files)]


@pytest.mark.asyncio
async def test_a_cut_at_99_percent_goes_on_from_there(folder: Path, hub: FakeHub) -> None:
    size = 3 * MIB
    first = hub.add_version(1, size=size)
    with started(hub):
        async with enrolled(folder, hub) as device:
            for sha256 in set(hub.artifacts) - {hub.weights_of(first)}:
                device.store.blob(sha256).write_bytes(hub.artifacts[sha256])
            hub.cut_after = size * 99 // 100
            device.want(first)
            await eventually(lambda: device.served() == [1])
    assert hub.ranges == ["bytes=0-", f"bytes={size * 99 // 100}-"]
    assert hub.sent == size, "no byte came twice"


@pytest.mark.asyncio
async def test_only_what_is_new_is_downloaded(folder: Path, hub: FakeHub) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    shared = msgspec.json.decode(hub.artifacts[first.manifest], type=Manifest).graph
    manifest = msgspec.json.decode(hub.artifacts[second.manifest], type=Manifest)
    second = hub.assign(replace(manifest, graph=shared))
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: device.served() == [1])
            assert hub.sent == sum(files(hub, first))
            device.want(second)
            await eventually(lambda: device.served() == [2])
    manifest_size, _, weights = files(hub, second)
    assert hub.sent == sum(files(hub, first)) + manifest_size + weights, "the graph was there"


@pytest.mark.asyncio
async def test_when_the_budget_is_used_up_the_rollout_waits_until_the_next_day(folder: Path, hub: FakeHub) -> None:
    first = hub.add_version(1, size=3 * MIB)
    with started(hub):
        async with enrolled(folder, hub, budget=2 * MIB) as device:
            device.want(first)
            await eventually(lambda: any("used up" in reason for reason in device.failures()))
            (reason,) = device.failures()
            tomorrow = time.strftime("%Y-%m-%d 00:00 UTC", time.gmtime(time.time() + 86400))
            assert f"budget of {2 * MIB:,} bytes is used up; it goes on at {tomorrow}" in reason
            assert hub.sent == 2 * MIB
        async with enrolled(folder, hub, budget=2 * MIB) as device:  # a restart is no new day
            device.want(first)
            await eventually(lambda: any("used up" in reason for reason in device.failures()))
            assert hub.sent == 2 * MIB
            hub.clock_ahead = 86400.0
            device.link.heard(time.time() + hub.clock_ahead)  # as the long poll does
            await eventually(lambda: device.served() == [1])
            assert device.failures() == []
    assert hub.sent == sum(files(hub, first)), "it went on where it had stopped"
