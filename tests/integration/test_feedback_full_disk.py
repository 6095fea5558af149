"""On a disk that is really full (a small tmpfs) samples are refused and predictions counted; inference goes on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from full_disk import fill, small_disk

from flip_demo.perceptron import make_version
from flip_demo.ports import free_port
from inference_process import Client, ServeProcess, infer_body

ROWS = np.random.RandomState(5).rand(100, 64).astype("f4")
INFER = "/v2/models/digits/infer"


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    with small_disk(folder / "disk", 8 * 2**20) as place:
        yield place


def post(client: Client) -> Any:
    return client.post("/v1/samples", {"model": "digits", "inputs": ROWS.tolist(), "labels": [1] * 100})


@pytest.mark.asyncio
async def test_on_a_full_disk_samples_are_refused_while_inference_goes_on_and_taken_when_there_is_room(
    disk: Path,
) -> None:
    process = ServeProcess(disk, free_port(), samples={"predictions": 1000})
    process.store.activate("digits", make_version(process.store, "digits", 1, seed=1))
    async with process.running() as client:
        assert post(client).status == 200
        greedy = fill(disk)
        taken = 0
        while (refused := post(client)).status == 200:  # the file has some room of its own
            taken += 1
        assert (refused.status, refused.headers["retry-after"]) == (507, "60")
        assert refused.body["hint"] == "make room on the disk, or raise samples.max_bytes"
        async with asyncio.timeout(60):
            while client.get("/v1/samples/status").body["lost"]["not_written"] == 0:
                assert client.post(INFER, infer_body(ROWS[:60]) | {"id": "a"}).status == 200
                await asyncio.sleep(0.05)
        greedy.unlink()
        assert post(client).status == 200
        assert client.post(INFER, infer_body(ROWS[:1]) | {"id": "b"}).status == 200
        assert client.post("/v1/feedback", {"id": "b", "label": 1}).status == 200
        assert client.get("/v1/samples/status").body["samples"] == (taken + 2) * 100


@pytest.mark.asyncio
async def test_serve_starts_on_a_full_disk_and_keeps_samples_once_there_is_room(disk: Path) -> None:
    process = ServeProcess(disk, free_port())
    process.store.activate("digits", make_version(process.store, "digits", 1, seed=1))
    greedy = fill(disk)
    async with process.running() as client:
        assert client.post(INFER, infer_body(ROWS)).status == 200
        assert post(client).status in {503, 507}
        greedy.unlink()
        assert post(client).status == 200
