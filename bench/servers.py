"""The same perceptron behind three servers: `flip-agent serve`, LitServe and MLServer, each a real process.

All three run onnxruntime on one thread, and are asked for the same row before any of them is measured.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import numpy as np
from msgspec import Struct

from bench.environments import PEERS, environment
from bench.progress import say
from bench.wrk import Post
from flip_agent.models.store import ModelStore
from flip_demo.perceptron import Array, Sizes, expected, make_version, whole_graph
from flip_demo.ports import free_port
from flip_runtime.child import Child
from flip_runtime.errors import Unavailable

MODEL = "perceptron"
MNIST: Sizes = (784, 256, 10)
VERSIONS = (1, 2, 3)
SEED = VERSIONS[0]
_WITHIN = 120.0
"""Seconds until a server answers; Python packages on a cold disk take their time."""


class OipAnswer(Struct):
    """What of an Open Inference Protocol response is used here."""

    class Output(Struct):
        data: list[float]

    outputs: list[Output]
    model_version: str = ""


class LitAnswer(Struct):
    output: list[float]


@dataclass(frozen=True)
class Server:
    name: str
    child: Child
    json: Post

    @property
    def pid(self) -> int:
        assert self.child.pid is not None
        return self.child.pid


class Serve:
    """`flip-agent serve`, with a store that the bench has filled."""

    def __init__(self, folder: Path, sizes: Sizes = MNIST) -> None:
        folder.mkdir()
        self.socket = folder / "run" / "agent.sock"
        self.url = f"http://127.0.0.1:{(port := free_port())}/v2/models/{MODEL}"
        store = ModelStore(folder / "models")
        environment = {"FLIP_AGENT__STATE": str(folder), "FLIP_INFERENCE__PORT": str(port)}
        command = [sys.executable, "-m", "flip_agent", "serve"]
        self.child = Child("flip-agent serve", command, log_file=folder / "serve.log", environment=environment)
        self.manifests = {version: make_version(store, MODEL, version, version, sizes=sizes) for version in VERSIONS}
        """Each is drawn from its number as the seed; the first is active."""
        store.activate(MODEL, self.manifests[SEED])

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with _running(self.child, f"{self.url}/ready"):
            yield


def a_row(sizes: Sizes = MNIST) -> Array:
    """Such as pixels are: 256 grey levels between 0 and 1."""
    return (np.random.RandomState(5).randint(0, 256, (1, sizes[0])) / 255).astype("f4")


def json_post(url: str, folder: Path, row: Array) -> Post:
    """Of the Open Inference Protocol, each number as NumPy's `tolist` gives it."""
    tensor = {"name": "x", "shape": list(row.shape), "datatype": "FP32", "data": row.ravel().tolist()}
    return Post(f"{url}/infer", _body(folder / "oip.json", msgspec.json.encode({"inputs": [tensor]})))


def binary_post(url: str, folder: Path, row: Array) -> Post:
    """With the protocol's binary tensors, both ways."""
    values = row.tobytes()
    size = {"binary_data_size": len(values)}
    tensor = {"name": "x", "shape": list(row.shape), "datatype": "FP32", "parameters": size}
    head = msgspec.json.encode({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    return Post(f"{url}/infer", _body(folder / "oip.binary", head + values), json=len(head))


@asynccontextmanager
async def ours(folder: Path) -> AsyncGenerator[tuple[Server, Post]]:
    """With the request as binary tensors, a form that it alone has."""
    serve = Serve(folder / "flip")
    async with serve.running():
        binary = binary_post(serve.url, folder, a_row())
        server = Server("flip", serve.child, json_post(serve.url, folder, a_row()))
        await _check(server, OipAnswer)
        raw = (await _answer(server.name, binary))[-4 * MNIST[2] :]
        _compare(server.name, np.frombuffer(raw, dtype="<f4").tolist())
        yield server, binary


@asynccontextmanager
async def litserve(folder: Path) -> AsyncGenerator[Server]:
    programs, port = await environment("litserve", folder), free_port()
    graph, url = _graph(folder), f"http://127.0.0.1:{port}"
    command = [str(programs / "python"), str(PEERS / "litserve_server.py"), str(graph), str(port)]
    child = Child("litserve", command, log_file=folder / "litserve.log")
    async with _running(child, f"{url}/health"):
        content = msgspec.json.encode({"input": a_row().ravel().tolist()})
        server = Server("litserve", child, Post(f"{url}/predict", _body(folder / "litserve.json", content)))
        await _check(server, LitAnswer)
        yield server


@asynccontextmanager
async def mlserver(folder: Path) -> AsyncGenerator[Server]:
    """Without its debug log, and without worker processes, which halve its pace for a model as small as this one."""
    programs, home, port = await environment("mlserver", folder), folder / "mlserver", free_port()
    home.mkdir()
    settings: dict[str, object] = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port()}
    settings |= {"metrics_port": free_port(), "debug": False, "parallel_workers": 0}
    (home / "settings.json").write_bytes(msgspec.json.encode(settings))
    model = {"name": MODEL, "implementation": "mlserver_runtime.Perceptron", "parameters": {"uri": str(_graph(folder))}}
    (home / "model-settings.json").write_bytes(msgspec.json.encode(model))
    command = [str(programs / "python"), str(programs / "mlserver"), "start", str(home)]
    child = Child("mlserver", command, log_file=folder / "mlserver.log", environment={"PYTHONPATH": str(PEERS)})
    url = f"http://127.0.0.1:{port}/v2/models/{MODEL}"
    async with _running(child, f"{url}/ready"):
        server = Server("mlserver", child, json_post(url, folder, a_row()))
        await _check(server, OipAnswer)
        yield server


@asynccontextmanager
async def _running(child: Child, ready: str) -> AsyncGenerator[None]:
    async def answers() -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(ready)).is_success
        except httpx.TransportError:
            return False

    say(f"starting {child.name}")
    await child.start()
    try:
        await child.wait_until(answers, within=_WITHIN, every=0.3)
        yield
    finally:
        await child.stop()


async def _check(server: Server, kind: type[OipAnswer] | type[LitAnswer]) -> None:
    answer = msgspec.json.decode(await _answer(server.name, server.json), type=kind)
    _compare(server.name, answer.output if isinstance(answer, LitAnswer) else answer.outputs[0].data)


async def _answer(name: str, post: Post) -> bytes:
    content = await asyncio.to_thread(post.body.read_bytes)
    headers = {} if post.json is None else {"inference-header-content-length": str(post.json)}
    async with httpx.AsyncClient(timeout=30) as client:
        response = await client.post(post.url, content=content, headers=headers)
    if not response.is_success:
        raise Unavailable(f"{name} answers {response.status_code}: {response.text[:200]}")
    return response.content


def _compare(name: str, outputs: Sequence[float]) -> None:
    """Raises `Unavailable` unless they are those of the perceptron of `SEED`."""
    if not np.allclose(outputs, expected(SEED, a_row(), MNIST), atol=1e-4):
        raise Unavailable(f"{name} does not answer as the perceptron does")


def _graph(folder: Path) -> Path:
    return _body(folder / f"{MODEL}.onnx", whole_graph(SEED, MNIST))


def _body(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
