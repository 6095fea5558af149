"""`/v1` of a real `flip-agent serve`: what was acknowledged is there, what is wrong is named, samples are read by this
user's programs alone."""

import asyncio
import contextlib
import gzip
import http.client
import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from flip_agent import samples
from flip_demo.perceptron import Array, make_version
from flip_demo.ports import free_port
from flip_runtime.errors import Unavailable
from inference_process import Client, ServeProcess, infer_body

ROWS = np.random.RandomState(5).rand(4, 64).astype("f4")
INFER = "/v2/models/digits/infer"
MAX_BODY = 500_000
KILLS = 3


@pytest.fixture(scope="module")
def process() -> Iterator[ServeProcess]:
    """With one model, running; it keeps the inputs of predictions."""
    with TemporaryDirectory(prefix="flip-") as folder, asyncio.Runner() as runner:
        process = serving(Path(folder))
        running = process.running()
        runner.run(running.__aenter__())
        yield process
        runner.run(running.__aexit__(None, None, None))


@pytest.fixture
def client(process: ServeProcess) -> Iterator[Client]:
    with contextlib.closing(Client(process.port)) as client:
        yield client


def serving(folder: Path, **samples: object) -> ServeProcess:
    """Not started, with version 1 of `digits`."""
    process = ServeProcess(
        folder, free_port(), max_body=MAX_BODY, samples={"log_inputs": True, "predictions": 10_000, **samples}
    )
    process.store.activate("digits", make_version(process.store, "digits", 1, seed=1))
    return process


def only(found: samples.Samples) -> Array:
    """The inputs of a model that has one."""
    assert not isinstance(found.inputs, dict)
    return found.inputs


def predict(client: Client, id: str, rows: Any = ROWS[:1]) -> None:
    assert client.post(INFER, infer_body(rows) | {"id": id}).status == 200


def test_feedback_to_an_answer_becomes_a_sample_of_its_inputs(process: ServeProcess, client: Client) -> None:
    predict(client, "one", ROWS[:1])
    predict(client, "two", ROWS[1:3])
    assert client.post("/v1/feedback", {"id": "one", "label": "class-7"}).body == {
        "accepted": 1,
        "samples": 1,
        "unknown": [],
    }
    several = [{"id": "two", "label": [3, "class-4"]}, {"id": "nobody's", "label": 1}]
    answer = client.post("/v1/feedback", several)
    assert (answer.status, answer.body) == (200, {"accepted": 1, "samples": 2, "unknown": ["nobody's"]})
    found = samples.load("digits", newest=3, sockets=process.socket.parent)
    assert np.array_equal(only(found), ROWS[:3])
    assert found.labels.tolist() == [7, 3, 4]
    assert found.from_feedback.all()


def test_samples_in_bulk_are_read_as_they_were_sent(process: ServeProcess, client: Client) -> None:
    many = np.random.RandomState(6).rand(200, 64).astype("f4")
    labels = [f"class-{number % 10}" for number in range(200)]
    sent = {"model": "digits", "inputs": many.tolist(), "labels": labels}
    assert client.post("/v1/samples", sent).body == {"samples": 200, "repeated": False}
    found = samples.load("digits", newest=200, sockets=process.socket.parent)
    inputs = only(found)
    assert np.array_equal(inputs, many)
    assert found.labels.tolist() == [number % 10 for number in range(200)]
    inputs[0] = 0  # the arrays are the reader's own
    parts = list(samples.batches("digits", 64, newest=200, sockets=process.socket.parent))
    assert [len(part) for part in parts] == [64, 64, 64, 8]
    assert np.array_equal(np.concatenate([only(part) for part in parts]), many)
    assert len(samples.load("nothing", sockets=process.socket.parent)) == 0
    assert len(samples.load("digits", max_age=0.0, sockets=process.socket.parent)) == 0


BAD: list[tuple[str, str, object, int, str]] = [
    ("no JSON", "/v1/feedback", b"{", 400, "no valid JSON"),
    ("no label", "/v1/feedback", {"id": "x"}, 400, "field `label`"),
    ("a label of another kind", "/v1/feedback", {"id": "x", "label": True}, 400, "Expected"),
    ("an unknown prediction", "/v1/feedback", {"id": "never", "label": 1}, 404, "'never'"),
    ("a label that is none", "/v1/feedback", {"id": "known", "label": "zebra"}, 400, "no label 'zebra'"),
    ("an index beyond the classes", "/v1/feedback", {"id": "known", "label": 10}, 400, "no label 10"),
    ("too many at once", "/v1/feedback", [{"id": "x", "label": 1}] * 10_001, 413, "at most 10000"),
    ("another model", "/v1/samples", {"model": "nope", "inputs": [], "labels": []}, 404, "no model 'nope'"),
    ("rows of another shape", "/v1/samples", {"model": "digits", "inputs": [[1]], "labels": [1]}, 400, "FP32 [-1, 64]"),
    ("fewer labels", "/v1/samples", {"model": "digits", "inputs": ROWS.tolist(), "labels": [1]}, 400, "1 labels for 4"),
    ("no rows", "/v1/samples", {"model": "digits", "inputs": [], "labels": []}, 400, "got shape [0]"),
    ("a long name", "/v1/samples", {"model": "digits", "inputs": [], "labels": [], "id": "n" * 129}, 400, "128"),
    ("a large body", "/v1/samples", b" " * (MAX_BODY + 1), 413, f"more than {MAX_BODY} bytes"),
]


def test_what_is_wrong_is_refused_by_name(client: Client) -> None:
    predict(client, "known")
    for name, path, body, status, says in BAD:
        answer = client.post(path, body)
        assert answer.status == status, f"{name}: {answer}"
        assert says in answer.body["detail"], f"{name}: {answer}"
        assert answer.headers["content-type"] == "application/problem+json", name


def test_a_packed_body_is_taken_and_a_client_that_leaves_is_nobody_s_bug(process: ServeProcess, client: Client) -> None:
    packed = gzip.compress(json.dumps(sent(5)).encode())
    assert client.post("/v1/samples", packed, **{"Content-Encoding": "gzip"}).status == 200
    for path in ("/v1/feedback", "/v1/samples"):
        with socket.create_connection(("127.0.0.1", process.port), timeout=20) as leaving:
            leaving.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{{".encode())
            assert client.get("/v1/samples/status").status == 200  # the half request is known by now
    assert client.get("/v1/samples/status").status == 200
    assert "Traceback" not in process.log.read_text()


def test_samples_are_not_read_over_tcp_and_other_pages_change_nothing(process: ServeProcess, client: Client) -> None:
    assert client.get("/v1/samples/digits").status == 404
    assert client.post("/v1/feedback", {"id": "x", "label": 1}, Host="evil.example").status == 403
    place = process.socket.parent / "serve-default.sock"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE((process.state / "serve" / "default").stat().st_mode) == 0o700
    described = client.get("/docs/openapi.json").body["paths"]
    assert {"/v1/feedback", "/v1/samples", "/v1/samples/status"} <= set(described)
    assert not [path for path in described if path.startswith("/v1/samples/{")]


@pytest.mark.asyncio
async def test_what_was_acknowledged_outlives_kills_and_nothing_is_there_twice(folder: Path) -> None:
    process, acknowledged, labels = serving(folder), set[str](), dict[str, int]()
    for life in range(KILLS):
        async with process.running():
            loading = asyncio.create_task(
                asyncio.to_thread(post_until_it_ends, process.port, life, acknowledged, labels)
            )
            async with asyncio.timeout(60):
                before = len(acknowledged)
                while len(acknowledged) < before + 3 * (life + 1):
                    await asyncio.sleep(0.005)
            assert process.child.pid is not None
            os.kill(process.child.pid, signal.SIGKILL)
            await loading
    async with process.running() as client:
        found = samples.load("digits", sockets=process.socket.parent)
        markers = only(found)[:, 0]
        there = markers[~found.from_feedback].tolist()
        assert len(there) == len(set(there)), "none twice"
        assert {float(name) for name in acknowledged if not name.startswith("p")} <= set(there)
        judged = dict(zip(markers.tolist(), found.labels.tolist(), strict=True))
        assert all(judged[float(name[1:]) + 0.5] == label for name, label in labels.items() if name in acknowledged)
        repeated = client.post("/v1/samples", sent(int(max(there)))).body
        assert repeated == {"samples": 1, "repeated": True}


def sent(number: int) -> dict[str, Any]:
    return {"model": "digits", "id": f"n{number}", "inputs": marked(number).tolist(), "labels": [number % 10]}


def marked(number: float) -> Any:
    row = np.zeros((1, 64), "f4")
    row[0, 0] = number
    return row


def post_until_it_ends(port: int, life: int, acknowledged: set[str], labels: dict[str, int]) -> None:
    """Samples under a name of their own, and feedback to a prediction between two of them."""
    with contextlib.closing(Client(port)) as client:
        number = 10_000 * (life + 1)
        while True:
            number += 1
            try:
                predict(client, f"p{number}", marked(number + 0.5))
                answer = client.post("/v1/feedback", {"id": f"p{number}", "label": number % 10})
                if answer.status == 200:
                    acknowledged.add(f"p{number}")
                    labels[f"p{number}"] = number % 10
                if client.post("/v1/samples", sent(number)).status == 200:
                    acknowledged.add(str(number))
            except (OSError, http.client.HTTPException):
                return


@pytest.mark.asyncio
async def test_without_serve_a_reader_is_told_how_to_start_it(folder: Path) -> None:
    with pytest.raises(Unavailable, match="start it: flip-agent serve"):
        await asyncio.to_thread(samples.load, "digits", sockets=folder, patience=0.1)


@pytest.mark.asyncio
async def test_a_reader_waits_for_a_serve_that_starts_again(folder: Path) -> None:
    process = serving(folder)
    async with process.running() as client:
        assert client.post("/v1/samples", sent(1)).status == 200
        assert process.child.pid is not None
        os.kill(process.child.pid, signal.SIGKILL)
        await process.child.wait()
    assert (folder / "run" / "serve-default.sock").exists()
    reading = asyncio.create_task(asyncio.to_thread(samples.load, "digits", sockets=folder / "run", patience=60.0))
    async with process.running():
        assert len(await reading) == 1
