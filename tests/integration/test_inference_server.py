"""The inference server as a process: answers as its model does, and refuses all else by name, never with a 5xx."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from artifacts import expected, make_version, weights
from fake_run import FakeRun
from flip_agent.local.messages import Emit, Serving
from flip_demo.ports import free_port
from flip_wire.telemetry import Priority
from inference_process import Answer, Client, ServeProcess, infer_body, outputs

ROWS = np.random.RandomState(5).rand(4, 64).astype("f4")
INFER = "/v2/models/digits/infer"

MAX_BODY = 500_000


@pytest.fixture
def process(folder: Path, port: int) -> ServeProcess:
    """Not started, without a model."""
    return ServeProcess(folder, port)


@pytest.fixture
def one_model(process: ServeProcess) -> ServeProcess:
    """Not started, with version 1 of `digits`."""
    process.store.activate("digits", make_version(process.store, "digits", 1, seed=1))
    return process


@pytest.fixture(scope="module")
def digits() -> Iterator[Client]:
    """A server with version 1 of `digits`, which these tests leave as it is."""
    with tempfile.TemporaryDirectory(prefix="flip-") as folder, asyncio.Runner() as runner:
        process = ServeProcess(Path(folder), free_port(), max_body=MAX_BODY)
        process.store.activate("digits", make_version(process.store, "digits", 1, seed=1))
        running = process.running()
        client = runner.run(running.__aenter__())
        yield client
        runner.run(running.__aexit__(None, None, None))


def perceptron(seed: int) -> torch.nn.Module:
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    model.load_state_dict({name: torch.from_numpy(values) for name, values in weights(seed).items()})
    return model


def test_it_answers_as_torch_does(digits: Client) -> None:
    wanted = perceptron(1)(torch.from_numpy(ROWS)).detach().numpy()
    flat = digits.post(INFER, infer_body(ROWS) | {"id": "7"})
    nested = digits.post("/v2/models/digits/versions/1/infer", infer_body(ROWS, data=ROWS.tolist()))
    assert np.allclose(outputs(flat), wanted, atol=1e-5)
    assert np.array_equal(outputs(flat), outputs(nested))
    assert flat.body | {"outputs": []} == {"model_name": "digits", "model_version": "1", "id": "7", "outputs": []}
    many = np.tile(ROWS, (50, 1))
    assert np.allclose(outputs(digits.post(INFER, infer_body(many))), np.tile(wanted, (50, 1)), atol=1e-5)


def test_the_short_form_answers_with_outputs_and_labels(digits: Client) -> None:
    scores = expected(1, ROWS)
    for path in ("/predict", "/predict/digits"):
        answer = digits.post(path, {"inputs": ROWS.tolist()})
        assert answer.status == 200
        assert (answer.body["model"], answer.body["version"]) == ("digits", 1)
        assert np.allclose(answer.body["outputs"], scores, atol=1e-5)
        assert answer.body["labels"] == [f"class-{best}" for best in scores.argmax(axis=1)]
    assert digits.post("/predict", {"inputs": {"x": ROWS.tolist()}}).status == 200


def test_health_and_metadata(digits: Client) -> None:
    assert digits.get("/v2/health/live").body == {"live": True}
    assert digits.get("/v2/health/ready").body == {"ready": True}
    assert digits.get("/v2").body["name"] == "flip"
    for path in ("/v2/models/digits", "/v2/models/digits/versions/1"):
        assert digits.get(path).body == {
            "name": "digits",
            "versions": ["1"],
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}],
        }
        assert digits.get(f"{path}/ready").body == {"name": "digits", "ready": True}


def test_openapi_describes_all_calls(digits: Client) -> None:
    document = digits.get("/docs/openapi.json").body
    assert {"/v2", "/v2/health/ready", INFER.replace("digits", "{model}"), "/predict"} <= set(document["paths"])
    references = [part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]]
    assert set(references) <= set(document["components"]["schemas"])


def x(**changes: Any) -> dict[str, Any]:
    return infer_body(ROWS, **changes)


BAD_INFER: list[tuple[str, object, str]] = [
    ("no JSON", b"{", "no valid JSON"),
    ("nothing", b"", "no valid JSON"),
    ("no UTF-8", b'{"inputs": "\xff"}', "body"),
    ("a list", [], "Expected `object`"),
    ("no inputs", {}, "missing required field `inputs`"),
    ("inputs of a wrong type", {"inputs": 3}, "Expected `array`"),
    ("an empty list of inputs", {"inputs": []}, "input 'x' takes FP32 [-1, 64], and is missing"),
    ("no data", {"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP32"}]}, "field `data`"),
    ("another name", x(name="z"), "input 'x' takes FP32 [-1, 64], and is missing"),
    ("an input twice", {"inputs": x()["inputs"] * 2}, "2 inputs where 1 are expected"),
    ("another datatype", x(datatype="FP64"), "input 'x' takes FP32 [-1, 64], got FP64"),
    ("an unknown datatype", x(datatype="BYTES"), "got BYTES"),
    ("another shape", x(shape=[4, 65]), "got shape [4, 65]"),
    ("a shape of text", x(shape="4"), "Expected `array`"),
    ("a shape of fractions", x(shape=[4.5, 64]), "Expected `int`"),
    ("too few values", x(data=[1.0]), "has 256 values, got 1"),
    ("no values", x(shape=[0, 64], data=[]), "got shape [0, 64]"),
    ("a shape bomb", x(shape=[2**40, 64]), "got 256"),
    ("a larger one", x(shape=[2**62, 64]), "too large to show"),
    ("one below zero", x(shape=[-(2**62), 64]), "too large to show"),
    ("a shape of big numbers", x(shape=[10**4299, 64]), "too large to show"),
    ("a shape of many dimensions", x(shape=[1] * 20_000), "20000 dimensions"),
    ("ragged lists", x(data=[[1.0] * 64] * 3 + [[1.0]]), "different lengths"),
    ("text for numbers", x(data=["1"] * 256), "input 'x': Expected `float`"),
    ("NaN", json.dumps(x(data=[float("nan")] * 256)).encode(), "no valid JSON"),
    ("Infinity", json.dumps(x(data=[float("inf")] * 256)).encode(), "no valid JSON"),
    ("numbers beyond FP32", x(data=[1e300] * 256), "cannot hold"),
    ("deep nesting", b'{"inputs": ' + b"[" * 50_000, "body"),
    ("an unknown output", x() | {"outputs": [{"name": "q"}]}, "no output 'q'"),
    ("a wrong timeout", x() | {"parameters": {"timeout": "soon"}}, "takes a number of microseconds"),
    ("a negative timeout", x() | {"parameters": {"timeout": -1}}, "takes a number of microseconds"),
]
BAD_SHORT: list[tuple[str, object, str]] = [
    ("no JSON", b"inputs=1", "no valid JSON"),
    ("no inputs", {}, "missing required field `inputs`"),
    ("a wrong row", {"inputs": [[1, 2]]}, "input 'x' takes FP32 [-1, 64], got shape [1, 2]"),
    ("no rows", {"inputs": []}, "got shape [0]"),
    ("another name", {"inputs": {"z": []}}, "'inputs' takes an object with ['x']"),
    ("text", {"inputs": "seven"}, "got 0 levels of lists"),
]


def test_bad_input_is_refused_by_name(digits: Client) -> None:
    cases = [(INFER, *case) for case in BAD_INFER] + [("/predict", *case) for case in BAD_SHORT]
    for path, name, body, says in cases:
        answer = digits.post(path, body)
        assert answer.status == 400, f"{name}: {answer}"
        assert says in answer.body["detail"], f"{name}: {answer}"
        assert_problem(answer)
    assert digits.post(INFER, infer_body(ROWS)).status == 200


@pytest.mark.parametrize("path", ["/v2/models/nope/infer", "/predict/nope", "/v2/models/..%2Fdigits/infer"])
def test_an_unknown_model_is_answered_with_the_known_ones(digits: Client, path: str) -> None:
    answer = digits.post(path, infer_body(ROWS) if path.endswith("infer") else {"inputs": []})
    assert answer.status == 404
    assert_problem(answer)
    if "%2F" not in path:
        assert "['digits']" in answer.body["hint"]


def test_unknown_versions_and_routes(digits: Client) -> None:
    for answer in (
        digits.post("/v2/models/digits/versions/2/infer", infer_body(ROWS)),
        digits.get("/v2/models/digits/versions/0"),
        digits.get("/v2/models/nope"),
        digits.get("/v2/models/nope/ready"),
        digits.get("/nope"),
        digits.get("/v2/../../etc/passwd"),
    ):
        assert answer.status == 404
        assert_problem(answer)
    assert digits.post("/v2/health/live", {}).status == 405


def test_a_body_over_the_limit_is_refused(digits: Client) -> None:
    answer = digits.post(INFER, b" " * (MAX_BODY + 1))
    assert answer.status == 413
    assert "inference.max_body" in answer.body["hint"]
    with socket.create_connection(("127.0.0.1", digits.port), timeout=20) as chunked:
        chunked.sendall(f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        chunked.sendall((b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 8 + b"0\r\n\r\n")
        assert chunked.recv(100).startswith(b"HTTP/1.1 413 ")


def test_other_hosts_and_origins_are_refused(digits: Client) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        for answer in (digits.get("/v2", **headers), digits.post(INFER, infer_body(ROWS), **headers)):
            assert answer.status == 403
            assert_problem(answer)


def test_a_timeout_that_is_over_before_its_turn_is_no_failure_of_the_server(digits: Client) -> None:
    answer = digits.post(INFER, infer_body(ROWS) | {"parameters": {"timeout": 0}})
    assert answer.status == 504
    assert_problem(answer)


@pytest.mark.asyncio
async def test_without_a_model_it_says_so(process: ServeProcess) -> None:
    async with process.running() as client:
        assert client.get("/v2/health/live").status == 200
        for answer in (
            client.get("/v2/health/ready"),
            client.post(INFER, infer_body(ROWS)),
            client.post("/predict", {"inputs": ROWS.tolist()}),
            client.get("/v2/models/digits/ready"),
        ):
            assert answer.status == 503
            assert "no model is there yet" in answer.body["detail"]
            assert answer.headers["retry-after"] == "1"
            assert_problem(answer)


@pytest.mark.asyncio
async def test_several_models_want_a_name(process: ServeProcess) -> None:
    for name, seed in (("digits", 1), ("letters", 2)):
        process.store.activate(name, make_version(process.store, name, 1, seed))
    async with process.running() as client:
        answer = client.post("/predict", {"inputs": ROWS.tolist()})
        assert (answer.status, answer.body["hint"]) == (400, "name one: POST /predict/MODEL")
        letters = client.post("/predict/letters", {"inputs": ROWS.tolist()})
        assert np.allclose(letters.body["outputs"], expected(2, ROWS), atol=1e-5)


@pytest.mark.asyncio
@pytest.mark.parametrize("damaged", ["weights", "graph", "manifest"])
async def test_a_damaged_active_version_gives_way_to_the_previous_one_and_is_reported(
    process: ServeProcess, damaged: str
) -> None:
    store = process.store
    store.activate("digits", make_version(store, "digits", 1, seed=1))
    active = make_version(store, "digits", 2, seed=2, sizes=(64, 16, 10))
    store.activate("digits", active)
    manifest = store.manifest(active)
    assert manifest.graph is not None
    named = {"manifest": active, "graph": manifest.graph.sha256, "weights": manifest.weights.sha256}
    flip_a_bit(store.blob(named[damaged]))
    async with FakeRun().listening(process.socket) as run, process.running() as client:
        assert np.allclose(outputs(client.post(INFER, infer_body(ROWS))), expected(1, ROWS), atol=1e-5)
        assert (await run.hears(Serving)).version == 1
        event = await run.hears(Emit)
        assert (event.kind, b"model-refused" in bytes(event.body)) == ("condition", True)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.asyncio
async def test_a_damaged_version_is_told_though_serve_was_killed_before_it_could_tell(process: ServeProcess) -> None:
    store = process.store
    for version in (1, 2):
        store.activate("digits", make_version(store, "digits", version, seed=version))
    active = store.active("digits")
    assert active is not None
    flip_a_bit(store.blob(store.manifest(active).weights.sha256))
    for _ in range(2):
        async with process.running() as client:
            assert client.post(INFER, infer_body(ROWS)).status == 200
            pid = process.child.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
    async with FakeRun().listening(process.socket) as run, process.running():
        event = await run.hears(Emit)
        assert (event.kind, event.priority, b"model-refused" in bytes(event.body)) == (
            "condition",
            Priority.ALERT,
            True,
        )
        assert (await run.hears(Serving)).version == 1


@pytest.mark.asyncio
async def test_it_needs_no_run_and_finds_one_that_comes_later(one_model: ServeProcess) -> None:
    async with one_model.running() as client:
        for _ in range(2):
            assert client.post(INFER, infer_body(ROWS)).status == 200
            async with FakeRun().listening(one_model.socket) as run:
                serving = await run.hears(Serving)
                assert (serving.model, serving.version) == ("digits", 1)
                assert serving.url == f"http://127.0.0.1:{one_model.port}"


@pytest.mark.asyncio
async def test_sigterm_lets_what_is_in_flight_finish(one_model: ServeProcess) -> None:
    content = json.dumps(infer_body(ROWS)).encode()
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    async with one_model.running() as client:
        pid = one_model.child.pid
        assert pid is not None
        with socket.create_connection(("127.0.0.1", one_model.port), timeout=20) as slow:
            slow.sendall(head + content[:100])
            assert client.get("/v2/health/live").status == 200  # the half request is known by now
            os.kill(pid, signal.SIGTERM)
            await one_model.child.wait_until(lambda: refuses(one_model.port), within=10)
            slow.sendall(content[100:])
            assert slow.recv(100).startswith(b"HTTP/1.1 200 ")
        assert await asyncio.wait_for(one_model.child.wait(), 10) == 0


async def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.asyncio
async def test_a_taken_port_and_a_public_interface_are_configuration_errors(folder: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        taken = ServeProcess(folder, port)
        await taken.child.start()
        assert await asyncio.wait_for(taken.child.wait(), 60) == 78
    assert f"port {port}" in taken.log.read_text()
    assert "inference.port" in taken.log.read_text()
    public = ServeProcess(folder, port, host="0.0.0.0")
    await public.child.start()
    assert await asyncio.wait_for(public.child.wait(), 60) == 78
    assert "inference.token_file" in public.log.read_text()


def test_neither_torch_nor_flwr_is_loaded() -> None:
    program = "import sys, flip_agent.inference.server; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "onnxruntime" in loaded
    assert not {"torch", "flwr", "onnx"} & set(loaded)


def assert_problem(answer: Answer) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["status"] == answer.status
    text = json.dumps(answer.body)
    assert len(text) < 1000
    for leak in ("/tmp", "Traceback", ".py", "site-packages", "blobs"):
        assert leak not in text
