"""The hub makes what turns one version's file into the next, once for all devices, and says when it is not worth it."""

import asyncio
import hashlib
import io
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import pytest_asyncio
from hub_parts import HubParts, hub_parts
from msgspec.structs import replace
from numpy.typing import NDArray

from core_hub import problem
from flip_hub.models.deltas import Deltas
from flip_wire.file_delta import FileDelta, applied
from flip_wire.models import FileRef, Sha256

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[HubParts]:
    async with hub_parts(mongo_url, folder) as hub:
        yield hub


def weights(seed: int, count: int = 300_000, dtype: str = "f4") -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=count).astype(dtype)


async def version(hub: HubParts, content: bytes) -> Sha256:
    file = FileRef(name="weights.safetensors", sha256=await hub.artifacts.put(content), size=len(content))
    await hub.models.register(replace(await hub.manifest(), weights=file))
    return file.sha256


async def a_device(hub: HubParts) -> dict[str, str]:
    return {"Authorization": f"Bearer {hub.tokens.for_device(await hub.enrol('one')).token}"}


def url(sha256: str, base: str = "") -> str:
    return f"/api/v1/device/artifacts/{sha256}" + (f"/delta/{base}" if base else "")


@pytest.mark.parametrize("dtype", ["f4", "f2", "f8"])
async def test_a_delta_is_smaller_is_fetched_like_any_file_and_makes_the_one_of_the_other(
    hub: HubParts, dtype: str
) -> None:
    before = weights(0, dtype=dtype)
    after = (before * (1 + 0.001 * weights(1))).astype(dtype)
    base, wanted = await version(hub, before.tobytes()), await version(hub, after.tobytes())
    device = await a_device(hub)
    async with hub.http() as http:
        answers = await asyncio.gather(*(http.get(url(wanted, base), headers=device) for _ in range(8)))
        (delta,) = {msgspec.json.decode(answer.content, type=FileDelta) for answer in answers}
        assert delta.size < 0.8 * after.nbytes
        first = await http.get(url(delta.sha256), headers={**device, "Range": "bytes=0-999"})
        rest = await http.get(url(delta.sha256), headers={**device, "Range": "bytes=1000-"})
    content = first.content + rest.content
    assert (len(content), hashlib.sha256(content).hexdigest()) == (delta.size, delta.sha256)
    made = b"".join(applied(io.BytesIO(before.tobytes()), io.BytesIO(content), after.nbytes))
    assert hashlib.sha256(made).hexdigest() == wanted


async def test_what_is_no_smaller_is_looked_at_once_and_said_at_once_from_then_on(hub: HubParts) -> None:
    random = np.random.default_rng(0)
    base, wanted = await version(hub, random.bytes(2**20)), await version(hub, random.bytes(2**20))
    device = await a_device(hub)
    async with hub.http() as http:
        assert "smaller" in problem(await http.get(url(wanted, base), headers=device), 404).detail
        hub.artifacts.path(base).write_bytes(b"damaged")  # which nobody reads again
        assert "smaller" in problem(await http.get(url(wanted, base), headers=device), 404).detail


async def test_only_files_of_versions_are_made_of_each_other_and_only_for_devices(hub: HubParts) -> None:
    known, fab = await version(hub, weights(0).tobytes()), await hub.artifacts.put(b"an app")
    device = await a_device(hub)
    async with hub.http() as http:
        for one, other in ((known, fab), (fab, known), (known, "a" * 64), (known, "..%2Fca.key"), ("x", known)):
            problem(await http.get(url(one, other), headers=device), 404)
        problem(await http.get(url(known, known)), 401)  # a person's token
        problem(await http.get(url("b" * 64), headers=device), 404)


async def test_only_one_file_of_one_model_is_made_of_another(hub: HubParts) -> None:
    """Else one device could have the hub make as many deltas as there are pairs of files."""
    manifest = await hub.manifest()
    assert manifest.graph is not None
    ours = await version(hub, weights(0).tobytes())
    other = FileRef(name="weights.safetensors", sha256=await hub.artifacts.put(weights(1).tobytes()), size=1_200_000)
    await hub.models.register(replace(manifest, model="another", weights=other))
    device = await a_device(hub)
    async with hub.http() as http:
        for one, base in ((other.sha256, ours), (ours, other.sha256), (ours, manifest.graph.sha256)):
            told = problem(await http.get(url(one, base), headers=device), 404)
            assert "no versions of one model have these as the same file" in told.detail


async def test_a_damaged_file_makes_no_delta(hub: HubParts) -> None:
    base, wanted = await version(hub, weights(0).tobytes()), await version(hub, (weights(0) * 1.001).tobytes())
    hub.artifacts.path(base).write_bytes(b"damaged")
    device = await a_device(hub)
    async with hub.http() as http:
        assert "damaged" in problem(await http.get(url(wanted, base), headers=device), 404).detail


async def test_the_oldest_go_when_there_are_too_many_and_are_made_anew_when_they_are_asked_for(
    hub: HubParts, folder: Path
) -> None:
    content = [weights(0) * (1 + number / 1000) for number in range(4)]
    files = [await version(hub, each.astype("f4").tobytes()) for each in content]
    few = Deltas(folder / "few", hub.deltas.files, hub.artifacts, hub.models, kept=content[0].nbytes)
    few.create()
    made = [await few.delta(files[number + 1], files[number]) for number in range(3)]
    held = [await few.holds(delta.sha256) for delta in made]
    assert held[-1]
    assert not held[0]
    assert len(list((folder / "few").glob("*.json"))) == sum(held)
    assert await few.delta(files[1], files[0]) == made[0]
    assert await few.holds(made[0].sha256)
