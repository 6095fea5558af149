"""The inference server as a process: what it starts with, what it outlives, and how it ends."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fake_run import FakeRun
from flip_agent.local.messages import Emit, Serving
from flip_demo.perceptron import expected, make_version
from flip_wire.telemetry import Priority
from inference_process import ServeProcess, assert_problem, infer_body, outputs

ROWS = np.random.RandomState(5).rand(4, 64).astype("f4")
INFER = "/v2/models/digits/infer"


@pytest.fixture
def process(folder: Path, port: int) -> ServeProcess:
    """Not started, without a model."""
    return ServeProcess(folder, port)


@pytest.fixture
def one_model(process: ServeProcess) -> ServeProcess:
    """Not started, with version 1 of `digits`."""
    process.store.activate("digits", make_version(process.store, "digits", 1, seed=1))
    return process


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
async def test_a_taken_port_is_a_configuration_error(folder: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        taken = ServeProcess(folder, port)
        await taken.child.start()
        assert await asyncio.wait_for(taken.child.wait(), 60) == 78
    assert f"port {port}" in taken.log.read_text()
    assert "inference.port" in taken.log.read_text()


def test_neither_torch_nor_flwr_is_loaded() -> None:
    program = "import sys, flip_agent.inference.server; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "onnxruntime" in loaded
    assert not {"torch", "flwr", "onnx"} & set(loaded)
