"""What was uploaded becomes an app, a version of a model, or a dataset; then the upload is gone, and not before."""

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
import pytest_asyncio
from hub_parts import SIGNER, HubParts, fab_of, hub_parts
from safetensors.numpy import save

from core_hub import problem
from flip_hub.apps.signatures import load_public_key
from flip_hub.auth.permissions import Role
from flip_hub.uploads.routes import PART, TUS
from flip_wire.models import ModelAssignment

pytestmark = pytest.mark.asyncio

UPLOADS, APPS, VERSIONS, DATASETS = (
    *("/api/v1/uploads", "/api/v1/apps/uploaded", "/api/v1/models/tiny/versions", "/api/v1/datasets"),
)
SPEAKS = {"Tus-Resumable": TUS}
CONTENT = os.urandom(300_000)
WEIGHTS = save({"scale": np.arange(75_000, dtype=np.float32)})


def graph(*taken: str) -> bytes:
    """Of a model that takes these tensors from its weights."""
    x, y = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    outside = [
        onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, data_location=onnx.TensorProto.EXTERNAL)
        for name in taken
    ]
    identity = onnx.helper.make_node("Identity", ["x"], ["y"])
    made = onnx.helper.make_model(onnx.helper.make_graph([identity], "tiny", [x], [y], outside))
    return made.SerializeToString()


@pytest_asyncio.fixture
async def hub(mongo_url: str, folder: Path) -> AsyncGenerator[HubParts]:
    async with hub_parts(mongo_url, folder) as parts:
        yield parts


async def upload(http: httpx.AsyncClient, content: bytes, *, parts: int = 2) -> str:
    """By the protocol; gives its id."""
    begun = await http.post(UPLOADS, headers={**SPEAKS, "Upload-Length": str(len(content))})
    assert begun.status_code == 201, begun.text
    size = len(content) // parts + 1
    for offset in range(0, len(content), size):
        said = {**SPEAKS, "Content-Type": PART, "Upload-Offset": str(offset)}
        sent = await http.patch(begun.headers["Location"], content=content[offset : offset + size], headers=said)
        assert sent.status_code == 204, sent.text
    return begun.json()["id"]


async def uploads(http: httpx.AsyncClient) -> list[str]:
    return [each["id"] for each in (await http.get(UPLOADS)).json()]


def version_of(weights: str, graph: str | None) -> dict[str, Any]:
    probe = {"inputs": [{"name": "x", "dtype": "float32", "shape": [1], "data": [0.5]}], "outputs": []}
    return {"weights": weights, "graph": graph, "probe": probe, "metrics": {"accuracy": 0.9}}


async def dataset(http: httpx.AsyncClient, name: str, content: bytes = CONTENT) -> dict[str, Any]:
    added = await http.post(DATASETS, json={"name": name, "upload": await upload(http, content)})
    assert added.status_code == 201, added.text
    return added.json()


# ---- apps and versions ----


async def test_an_uploaded_fab_becomes_an_app(hub: HubParts) -> None:
    fab = fab_of()
    async with hub.http() as http:
        made = await http.post(APPS, json={"upload": await upload(http, fab)})
        assert made.status_code == 201, made.text
        assert (made.json()["name"], made.json()["fab_hash"]) == ("tiny", hashlib.sha256(fab).hexdigest())
        assert [app["fab_hash"] for app in (await http.get("/api/v1/apps")).json()] == [made.json()["fab_hash"]]
        assert await uploads(http) == []


async def test_an_upload_that_is_no_app_stays_and_none_is_made(hub: HubParts) -> None:
    async with hub.http() as http:
        no_app = await upload(http, b"no FAB at all")
        assert (await http.post(APPS, json={"upload": no_app})).status_code in (400, 422)
        assert (await http.get("/api/v1/apps")).json() == []
        assert await uploads(http) == [no_app]


async def test_uploaded_weights_and_graph_become_a_signed_version_that_is_promoted(hub: HubParts) -> None:
    async with hub.http() as http:
        asked = version_of(await upload(http, WEIGHTS), await upload(http, graph("scale")))
        made = await http.post(VERSIONS, json=asked)
        assert made.status_code == 201, made.text
        assert (made.json()["version"], made.json()["deployable"], made.json()["promoted"]) == (1, True, False)
        assert await uploads(http) == []
        weights = await http.get(f"{VERSIONS}/1/files/weights.safetensors")
        assert weights.content == WEIGHTS
        promoted = await http.post(f"{VERSIONS}/1/promote")
        assert promoted.status_code == 200, promoted.text
    (wanted,) = (await hub.devices.desired()).models
    bare = ModelAssignment(model="tiny", version=1, manifest=wanted.manifest, size=wanted.size)
    ((key, line),) = SIGNER.keys.items()
    load_public_key(line).verify(base64.b64decode(wanted.signatures[key]), bare.statement())


async def test_a_version_whose_graph_is_not_whole_is_not_made_and_its_weights_stay(hub: HubParts) -> None:
    async with hub.http() as http:
        weights = await upload(http, WEIGHTS)
        begun = await http.post(UPLOADS, headers={**SPEAKS, "Upload-Length": "10"})
        refused = await http.post(VERSIONS, json=version_of(weights, begun.json()["id"]))
        assert "0 of 10 bytes" in problem(refused, 409).detail
        problem(await http.get(VERSIONS), 404)
        assert set(await uploads(http)) == {weights, begun.json()["id"]}


@pytest.mark.parametrize(
    ("weights", "model", "says"),
    [
        (b"", None, "no safetensors"),
        (CONTENT, None, "no safetensors"),
        (WEIGHTS[:-4], None, "no safetensors"),
        (save({}), None, "no tensor"),
        (WEIGHTS, b"", "no ONNX"),
        (WEIGHTS, CONTENT, "no ONNX"),
        (WEIGHTS, graph("scale", "shift"), "do not hold: shift"),
    ],
)
async def test_what_is_no_model_becomes_no_version_and_stays(
    hub: HubParts, weights: bytes, model: bytes | None, says: str
) -> None:
    async with hub.http() as http:
        brought = [await upload(http, content) for content in (weights, model) if content is not None]
        refused = await http.post(VERSIONS, json=version_of(brought[0], brought[1] if model is not None else None))
        assert says in problem(refused, 422).detail
        problem(await http.get(VERSIONS), 404)
        assert set(await uploads(http)) == set(brought)


async def test_another_s_upload_becomes_nothing(hub: HubParts) -> None:
    async with hub.http() as ada, hub.http("eve", Role.OPERATOR) as eve:
        hers = await upload(ada, fab_of())
        problem(await eve.post(APPS, json={"upload": hers}), 404)
        problem(await eve.post(VERSIONS, json=version_of(hers, None)), 404)
        problem(await eve.post(DATASETS, json={"name": "mine", "upload": hers}), 404)
        assert await uploads(ada) == [hers]
        assert (await eve.get(DATASETS)).json() == []


# ---- datasets ----


async def test_an_upload_becomes_a_dataset_that_is_listed_and_downloaded_in_parts(hub: HubParts) -> None:
    async with hub.http() as http:
        made = await dataset(http, "digits.test")
        assert (made["sha256"], made["size"], made["added_by"]) == (
            *(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "ada"),
        )
        assert (await http.get(DATASETS)).json() == [made]
        assert await uploads(http) == []
        whole = await http.get(f"{DATASETS}/digits.test/content")
        assert (whole.status_code, whole.content) == (200, CONTENT)
        part = await http.get(f"{DATASETS}/digits.test/content", headers={"Range": "bytes=1000-1999"})
        assert (part.status_code, part.content) == (206, CONTENT[1000:2000])
        assert part.headers["Content-Range"] == f"bytes 1000-1999/{len(CONTENT)}"


async def test_a_name_that_is_taken_or_none_is_refused_and_the_upload_is_kept(hub: HubParts) -> None:
    async with hub.http() as http:
        made = await dataset(http, "digits")
        other = await upload(http, b"other data")
        problem(await http.post(DATASETS, json={"name": "digits", "upload": other}), 409)
        for name in ("", "..", "../up", "Digits", "x" * 65, ".hidden"):
            problem(await http.post(DATASETS, json={"name": name, "upload": other}), 422)
        assert await uploads(http) == [other]
        assert (await http.get(DATASETS)).json() == [made]
        assert (await http.post(DATASETS, json={"name": "others", "upload": other})).status_code == 201


async def test_of_two_who_take_a_name_at_once_one_has_it_and_no_file_is_left_over(hub: HubParts) -> None:
    async with hub.http() as http:
        ids = [await upload(http, content) for content in (b"one", b"two")]
        answers = await asyncio.gather(*(http.post(DATASETS, json={"name": "same", "upload": each}) for each in ids))
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        (kept,) = (await http.get(DATASETS)).json()
        assert await hub.datasets.files.all() == [kept["sha256"]]


async def test_a_viewer_sees_that_there_are_datasets_and_no_more(hub: HubParts) -> None:
    async with hub.http() as ada, hub.http("vera", Role.VIEWER) as vera:
        made = await dataset(ada, "digits")
        assert (await vera.get(DATASETS)).json() == [made]
        problem(await vera.post(DATASETS, json={"name": "mine", "upload": "0" * 32}), 403)
        problem(await vera.get(f"{DATASETS}/digits/content"), 403)
        problem(await vera.delete(f"{DATASETS}/digits"), 403)


async def test_a_dataset_s_file_goes_with_the_last_that_has_it(hub: HubParts) -> None:
    async with hub.http() as http:
        one, two = [await dataset(http, name) for name in ("one", "two")]
        assert one["sha256"] == two["sha256"]
        assert (await http.delete(f"{DATASETS}/one")).json() == one
        assert (await http.get(f"{DATASETS}/two/content")).content == CONTENT
        assert (await http.delete(f"{DATASETS}/two")).json() == two
        assert await hub.datasets.files.all() == []
        for gone in (http.get(f"{DATASETS}/two/content"), http.delete(f"{DATASETS}/two")):
            problem(await gone, 404)
