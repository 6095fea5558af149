"""Versions are numbered, kept, offered to devices, and promoted only when they can be served."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
import pytest_asyncio
from hub_parts import INTERNAL_SECRET, SIGNER, HubParts, hub_parts
from msgspec.structs import replace

from flip_hub.api.pages import Wanted
from flip_hub.apps.signatures import load_public_key
from flip_hub.models.schemas import Model, ModelVersion
from flip_hub.models.service import ModelService
from flip_hub.models.store import ModelStore
from flip_hub.problem import Conflict, NotFound, Unprocessable
from flip_wire.models import ModelAssignment, decode_manifest
from flip_wire.problem import Problem

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def hub(mongo_url: str, folder: Path) -> AsyncIterator[HubParts]:
    async with hub_parts(mongo_url, folder) as parts:
        yield parts


def problem(answer: httpx.Response, status: int) -> Problem:
    assert answer.status_code == status, answer.text
    return msgspec.json.decode(answer.content, type=Problem)


# ---- registering ----


async def test_versions_are_numbered_and_their_manifests_are_artifacts(hub: HubParts) -> None:
    first = await hub.models.register(await hub.manifest(run_id="run-1", round=1))
    second = await hub.models.register(await hub.manifest(run_id="run-1", round=2))
    assert (first.version, second.version) == (1, 2)
    stored = decode_manifest(await hub.artifacts.read(second.manifest_sha256))
    assert stored == second.manifest
    assert (stored.version, stored.run_id, stored.round) == (2, "run-1", 2)
    assert [version.version for version in (await hub.models.versions("tiny", Wanted())).items] == [2, 1]


async def test_the_same_round_of_the_same_run_is_registered_once(hub: HubParts) -> None:
    manifest = await hub.manifest(run_id="run-1", round=1)
    first = await hub.models.register(manifest)
    assert await hub.models.register(manifest) == first
    assert len((await hub.models.versions("tiny", Wanted())).items) == 1


async def test_versions_registered_at_once_get_numbers_of_their_own(hub: HubParts) -> None:
    other = ModelService(ModelStore(hub.mongo.database), hub.artifacts, hub.devices, hub.live, SIGNER)
    manifests = [await hub.manifest(run_id="run-1", round=number) for number in range(1, 9)]
    made = await asyncio.gather(
        *(service.register(manifest) for manifest, service in zip(manifests, [hub.models, other] * 4, strict=True))
    )
    assert sorted(version.version for version in made) == list(range(1, 9))
    for version in made:
        assert decode_manifest(await hub.artifacts.read(version.manifest_sha256)).version == version.version


async def test_a_round_reported_twice_at_once_is_one_version(hub: HubParts) -> None:
    other = ModelService(ModelStore(hub.mongo.database), hub.artifacts, hub.devices, hub.live, SIGNER)
    manifest = await hub.manifest(run_id="run-1", round=1)
    one, two = await asyncio.gather(hub.models.register(manifest), other.register(manifest))
    assert one == two


async def test_metrics_that_are_no_numbers_are_left_out(hub: HubParts) -> None:
    made = await hub.models.register(await hub.manifest(accuracy=0.5, loss=float("nan")))
    assert made.manifest.metrics == {"accuracy": 0.5}


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", "Tiny", "blobs", "x" * 65, ".hidden"])
async def test_a_name_that_is_no_model_is_refused(hub: HubParts, name: str) -> None:
    with pytest.raises(Unprocessable, match="no name for a model"):
        await hub.models.register(replace(await hub.manifest(), model=name))


async def test_a_manifest_of_files_that_were_never_stored_is_refused(hub: HubParts) -> None:
    manifest = await hub.manifest()
    missing = replace(manifest.weights, sha256=hashlib.sha256(b"never stored").hexdigest())
    with pytest.raises(Unprocessable, match="never stored"):
        await hub.models.register(replace(manifest, weights=missing))
    with pytest.raises(Unprocessable, match="bytes"):
        await hub.models.register(replace(manifest, weights=replace(manifest.weights, size=1)))
    with pytest.raises(Unprocessable, match=r"weights\.safetensors belongs"):
        await hub.models.register(replace(manifest, weights=replace(manifest.weights, name="../weights")))
    with pytest.raises(NotFound):
        await hub.models.versions("tiny", Wanted())


async def test_what_is_registered_is_signed_with_the_hub_s_key_and_shown_so(hub: HubParts) -> None:
    made = await hub.models.register(await hub.manifest())
    size = await hub.artifacts.size(made.manifest_sha256)
    bare = ModelAssignment(model="tiny", version=made.version, manifest=made.manifest_sha256, size=size)
    (key, signature), (known, line) = *made.signatures.items(), *SIGNER.keys.items()
    assert key == known
    load_public_key(line).verify(base64.b64decode(signature), bare.statement())
    async with hub.http() as http:
        shown = (await http.get("/api/v1/models/tiny/versions")).json()
    assert shown[0]["signatures"] == made.signatures


# ---- promoting ----


async def test_a_version_whose_number_the_registry_cannot_hold_is_not_there(hub: HubParts) -> None:
    for version in (2**63, 10**20):
        with pytest.raises(NotFound):
            await hub.models.promote("tiny", version)


async def test_a_version_from_before_the_hub_signed_is_not_promoted(hub: HubParts) -> None:
    await hub.models.register(await hub.manifest())
    await hub.mongo.database["model_versions"].update_one({}, {"$unset": {"signatures": 1}})
    with pytest.raises(Conflict, match="before this hub signed versions") as refused:
        await hub.models.promote("tiny", 1)
    assert "run its app again" in refused.value.hint


async def test_promotion_changes_what_every_device_shall_serve(hub: HubParts) -> None:
    first = await hub.models.register(await hub.manifest(round=1, run_id="run-1"))
    second = await hub.models.register(await hub.manifest(round=2, run_id="run-1"))
    assert (await hub.models.promote("tiny", 1)).promoted
    assert (await hub.models.promote("tiny", 2)).promoted
    desired = await hub.devices.desired()
    size = await hub.artifacts.size(second.manifest_sha256)
    bare = ModelAssignment(model="tiny", version=2, manifest=second.manifest_sha256, size=size)
    assert desired.models == [replace(bare, signatures=second.signatures)]
    assert not (await hub.models.get("tiny", first.version)).promoted
    assert [(model.name, model.versions, model.promoted) for model in (await hub.models.models(Wanted())).items] == [
        ("tiny", 2, 2)
    ]


async def test_the_console_is_told_of_both_versions_whose_standing_changed(hub: HubParts) -> None:
    for round in (1, 2):
        await hub.models.register(await hub.manifest(round=round, run_id="run-1"))
    await hub.models.promote("tiny", 1)
    with hub.live.reading() as reader:
        await hub.models.promote("tiny", 2)
        frames = [msgspec.json.decode(await reader.next()) for _ in range(2)]
    told = [(frame["data"]["version"], frame["data"]["promoted"]) for frame in frames if frame["topic"] == "model"]
    assert told == [(1, False), (2, True)]


async def test_a_version_of_weights_only_is_not_promoted(hub: HubParts) -> None:
    await hub.models.register(await hub.manifest(deployable=False))
    with pytest.raises(Conflict, match="weights only") as refused:
        await hub.models.promote("tiny", 1)
    assert "[tool.flip]" in refused.value.hint
    assert (await hub.devices.desired()).models == []


@pytest.mark.parametrize("damage", [b"other bytes", None])
async def test_a_version_with_a_damaged_or_missing_file_is_not_promoted(hub: HubParts, damage: bytes | None) -> None:
    made = await hub.models.register(await hub.manifest())
    path = hub.artifacts.path(made.manifest.weights.sha256)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    with pytest.raises(Conflict, match=r"cannot be served: artifact .* is (damaged|missing)"):
        await hub.models.promote("tiny", 1)
    assert (await hub.devices.desired()).models == []


# ---- over HTTP ----


async def test_people_see_models_versions_and_files(hub: HubParts) -> None:
    made = await hub.models.register(await hub.manifest(accuracy=0.9))
    async with hub.http() as http:
        models = msgspec.json.decode((await http.get("/api/v1/models")).content, type=list[Model])
        answer = await http.get("/api/v1/models/tiny/versions")
        versions = msgspec.json.decode(answer.content, type=list[ModelVersion])
        file = await http.get("/api/v1/models/tiny/versions/1/files/weights.safetensors")
        promoted = await http.post("/api/v1/models/tiny/versions/1/promote")
    assert [(model.name, model.latest, model.promoted) for model in models] == [("tiny", 1, None)]
    assert versions == [made]
    assert hashlib.sha256(file.content).hexdigest() == made.manifest.weights.sha256
    assert 'filename="tiny-1-weights.safetensors"' in file.headers["content-disposition"]
    assert promoted.status_code == 200
    assert msgspec.json.decode(promoted.content, type=ModelVersion).promoted


async def test_refusals_are_problems_with_hints(hub: HubParts) -> None:
    await hub.models.register(await hub.manifest(deployable=False))
    async with hub.http() as http:
        assert problem(await http.post("/api/v1/models/tiny/versions/1/promote"), 409).hint
        assert problem(await http.post("/api/v1/models/tiny/versions/9/promote"), 404).hint
        assert problem(await http.get("/api/v1/models/other/versions"), 404).hint
        problem(await http.get("/api/v1/models/tiny/versions/1/files/..%2F..%2Fca.key"), 404)
        problem(await http.get("/api/v1/models/tiny/versions/1/files/graph.onnx"), 404)
        problem(await http.get("/api/v1/models", headers={"Authorization": ""}), 401)


async def test_a_download_that_stopped_at_99_percent_goes_on(hub: HubParts) -> None:
    made = await hub.models.register(await hub.manifest())
    weights = made.manifest.weights
    headers = {"Authorization": f"Bearer {hub.tokens.for_device(await hub.enrol('one')).token}"}
    url = f"/api/v1/device/artifacts/{weights.sha256}"
    async with hub.http() as http:
        whole = await http.get(url, headers=headers)
        assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
        assert whole.headers["etag"] == f'"{weights.sha256}"'
        assert int(whole.headers["content-length"]) == weights.size
        have = whole.content[: weights.size * 99 // 100]
        resume = {**headers, "Range": f"bytes={len(have)}-", "If-Range": whole.headers["etag"]}
        rest = await http.get(url, headers=resume)
        assert rest.status_code == 206
        assert rest.headers["content-range"] == f"bytes {len(have)}-{weights.size - 1}/{weights.size}"
        assert hashlib.sha256(have + rest.content).hexdigest() == weights.sha256
        beyond = await http.get(url, headers={**headers, "Range": f"bytes={weights.size}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{weights.size}")
        other = await http.get(url, headers={**resume, "If-Range": '"another"'})
        assert (other.status_code, len(other.content)) == (200, weights.size)


async def test_devices_get_manifests_and_files_of_versions_and_nothing_else(hub: HubParts) -> None:
    made = await hub.models.register(await hub.manifest())
    fab = await hub.artifacts.put(b"an app that is no file of a model")
    headers = {"Authorization": f"Bearer {hub.tokens.for_device(await hub.enrol('one')).token}"}
    async with hub.http() as http:
        manifest = await http.get(f"/api/v1/device/artifacts/{made.manifest_sha256}", headers=headers)
        assert decode_manifest(manifest.content) == made.manifest
        problem(await http.get(f"/api/v1/device/artifacts/{fab}", headers=headers), 404)
        problem(await http.get("/api/v1/device/artifacts/..%2F..%2Fca.key", headers=headers), 404)
        problem(await http.get(f"/api/v1/device/artifacts/{made.manifest_sha256}"), 401)  # a person's token


async def test_a_damaged_file_is_not_handed_to_a_device(hub: HubParts) -> None:
    made = await hub.models.register(await hub.manifest())
    hub.artifacts.path(made.manifest.weights.sha256).write_bytes(b"damaged")
    headers = {"Authorization": f"Bearer {hub.tokens.for_device(await hub.enrol('one')).token}"}
    async with hub.http() as http:
        answer = await http.get(f"/api/v1/device/artifacts/{made.manifest.weights.sha256}", headers=headers)
    assert "damaged" in problem(answer, 404).detail


async def test_the_serverapp_stores_files_and_only_what_they_claim_to_be(hub: HubParts) -> None:
    content = bytes(3 * 2**20)
    name = hashlib.sha256(content).hexdigest()
    headers = {"Authorization": f"Bearer {INTERNAL_SECRET.decode()}"}
    async with hub.http() as http:
        wrong = await http.put(f"/internal/v1/artifacts/{name}", content=b"else", headers=headers)
        assert "has hash" in problem(wrong, 400).detail
        assert not await hub.artifacts.holds(name)
        stored = await http.put(f"/internal/v1/artifacts/{name}", content=content, headers=headers)
        assert stored.status_code == 204
        assert await hub.artifacts.size(name) == len(content)
        problem(await http.put(f"/internal/v1/artifacts/{name}", content=content), 401)  # a person's token
        problem(await http.put("/internal/v1/artifacts/ca.key", content=b"x", headers=headers), 400)
