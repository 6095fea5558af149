"""A version after another one is brought as its difference where that is smaller; whatever is wrong, whole."""

import asyncio
import hashlib
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from agent_rig import eventually
from fake_hub import FakeHub, started
from msgspec.structs import replace
from rollout_rig import Device, enrolled

from flip_wire.file_delta import BLOCK, FileDelta, block, head
from flip_wire.models import FileRef, Manifest, ModelAssignment, Sha256

pytestmark = pytest.mark.asyncio

SIZE = 2 * 2**20


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


class Versions:
    """Two, of which the second has moved a little."""

    def __init__(self, hub: FakeHub) -> None:
        random = np.random.default_rng(0)
        before = random.normal(size=SIZE // 4).astype(np.float32)
        after = before + (0.001 * random.normal(size=before.shape)).astype(np.float32)
        self.hub = hub
        self.before, self.after = before.tobytes(), after.tobytes()
        self.first = self._version(1, self.before)
        self.second = self._version(2, self.after)
        self.base, self.wanted = hub.weights_of(self.first), hub.weights_of(self.second)

    def _version(self, number: int, weights: bytes) -> ModelAssignment:
        manifest = msgspec.json.decode(self.hub.artifacts[self.hub.add_version(number).manifest], type=Manifest)
        reference = FileRef(name="weights.safetensors", sha256=self.hub.keep(weights), size=len(weights))
        return self.hub.assign(replace(manifest, weights=reference))

    def offer(self, delta: bytes | None = None) -> int:
        """Its size."""
        if delta is None:
            starts = range(0, len(self.after), BLOCK)
            pieces = (block(self.before[at : at + BLOCK], self.after[at : at + BLOCK], 4) for at in starts)
            delta = head(len(self.after), 4) + b"".join(pieces)
        self.hub.deltas[self.wanted, self.base] = FileDelta(sha256=self.hub.keep(delta), size=len(delta))
        return len(delta)

    async def brought(self, device: Device) -> int:
        """Bytes that the second one took."""
        device.want(self.first)
        await eventually(lambda: device.served() == [1])
        before = self.hub.sent
        device.want(self.second)
        await eventually(lambda: device.served() == [2])
        assert device.store.blob(self.wanted).read_bytes() == self.after
        return self.hub.sent - before

    @property
    def small(self) -> int:
        """Bytes of the second version's manifest and graph."""
        manifest = msgspec.json.decode(self.hub.artifacts[self.second.manifest], type=Manifest)
        assert manifest.graph is not None
        return self.second.size + manifest.graph.size


async def test_the_version_after_comes_as_its_difference_and_nothing_of_that_stays(folder: Path, hub: FakeHub) -> None:
    versions = Versions(hub)
    size = versions.offer()
    assert size < 0.75 * SIZE
    with started(hub):
        async with enrolled(folder, hub) as device:
            assert await versions.brought(device) == versions.small + size
            assert [path.name for path in device.store.blob(versions.base).parent.glob("*.part")] == []
            assert not device.store.holds(hub.deltas[versions.wanted, versions.base].sha256)
    assert hub.asked_deltas == [(versions.wanted, versions.base)], "the first version has nothing to differ from"


async def test_a_cut_goes_on_from_there_over_a_restart(folder: Path, hub: FakeHub) -> None:
    versions = Versions(hub)
    size = versions.offer()
    delta = hub.deltas[versions.wanted, versions.base].sha256
    with started(hub):
        async with enrolled(folder, hub) as device:
            old = device.store.blob(Sha256("0" * 64))
            old.write_bytes(b"old")
            device.want(versions.first)
            await eventually(lambda: device.served() == [1] and not old.exists())
            hub.ranges = []  # old files are gone: what lies there from now on stays
            for sha256 in set(hub.artifacts) - {versions.wanted, delta}:
                device.store.blob(sha256).write_bytes(hub.artifacts[sha256])
            hub.cut_after = size // 2
            device.want(versions.second)
            part = device.store.part(delta)
            await eventually(lambda: part.exists() and part.stat().st_size >= size // 2)
        async with enrolled(folder, hub) as device:
            device.want(versions.second)
            await eventually(lambda: device.served() == [2])
    starts = [int(wanted.removeprefix("bytes=").rstrip("-")) for wanted in hub.ranges]
    assert starts[:2] == [0, size // 2]
    assert starts == sorted(starts), "it may have tried again before it was stopped, and asked for no byte twice"


async def test_it_counts_in_the_day_s_budget(folder: Path, hub: FakeHub) -> None:
    versions = Versions(hub)
    size = versions.offer()
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(versions.first)
            await eventually(lambda: device.served() == [1])
        before, budget = hub.sent, versions.small + size // 2
        async with enrolled(folder, hub, budget=budget) as device:
            device.want(versions.second)
            await eventually(lambda: any("used up" in reason for reason in device.failures()))
            assert hub.sent - before == budget
            hub.clock_ahead = 86400.0
            device.link.heard(time.time() + hub.clock_ahead)
            await eventually(lambda: device.served() == [2])
    assert hub.sent - before == versions.small + size


@pytest.mark.parametrize("wrong", ["none", "other bytes", "of another file", "not smaller", "gone"])
async def test_whatever_is_wrong_with_the_difference_the_whole_file_comes(
    folder: Path, hub: FakeHub, wrong: str
) -> None:
    versions = Versions(hub)
    match wrong:
        case "other bytes":
            versions.offer(b"flipxor1" + bytes(1000))
        case "of another file":
            versions.before, before = versions.after, versions.before
            versions.offer()
            versions.before = before
        case "not smaller":
            hub.deltas[versions.wanted, versions.base] = FileDelta(sha256=Sha256("a" * 64), size=SIZE)
        case "gone":
            hub.deltas[versions.wanted, versions.base] = FileDelta(sha256=Sha256("../etc"), size=10)
        case _:
            pass
    with started(hub):
        async with enrolled(folder, hub) as device:
            assert await versions.brought(device) >= versions.small + SIZE


async def test_a_file_that_is_rotten_on_the_device_is_found_out_by_the_result(folder: Path, hub: FakeHub) -> None:
    versions = Versions(hub)
    versions.offer()
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(versions.first)
            await eventually(lambda: device.served() == [1])
            rotten = bytearray(versions.before)
            rotten[1000] ^= 1
            await asyncio.to_thread(device.store.blob(versions.base).write_bytes, rotten)
            device.want(versions.second)
            await eventually(lambda: device.served() == [2])
            content = device.store.blob(versions.wanted).read_bytes()
    assert hashlib.sha256(content).hexdigest() == versions.wanted
