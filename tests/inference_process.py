"""A real `flip-agent serve` process for tests, and a plain HTTP client of it."""

import asyncio
import contextlib
import http.client
import json
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flip_agent.models.store import ModelStore
from flip_demo.perceptron import Array, make_version
from flip_demo.ports import free_port
from flip_runtime.child import Child, port_open


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: Any


class Exchange(NamedTuple):
    status: int
    headers: Mapping[str, str]
    content: bytes


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, path: str, **headers: str) -> Answer:
        return self._call("GET", path, None, headers)

    def post(self, path: str, body: object, **headers: str) -> Answer:
        """`body` is sent as it is when it is bytes, else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._call("POST", path, content, headers)

    def close(self) -> None:
        self._connection.close()

    def exchange(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Exchange:
        """The answer as it is."""
        self._connection.request(method, path, content, dict(headers))
        response = self._connection.getresponse()
        return Exchange(response.status, dict(response.getheaders()), response.read())

    def _call(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> Answer:
        raw = self.exchange(method, path, content, headers)
        return Answer(raw.status, raw.headers, json.loads(raw.content))


class ServeProcess:
    def __init__(
        self, state: Path, port: int, *, samples: Mapping[str, object] | None = None, **settings: object
    ) -> None:
        """`settings` are of section `inference`, `samples` of theirs; without `grpc=True` it takes no second port."""
        self.state = state
        self.store = ModelStore(state / "models")
        self.store.create()
        self.port = port
        self.log = state / "serve.log"
        self.socket = state / "run" / "agent.sock"
        named = {"port": port, "grpc": False, **settings}
        environment = {f"FLIP_INFERENCE__{key.upper()}": str(value) for key, value in named.items()}
        environment |= {f"FLIP_SAMPLES__{key.upper()}": str(value) for key, value in (samples or {}).items()}
        self.child = Child(
            "serve",
            [sys.executable, "-m", "flip_agent", "serve"],
            log_file=self.log,
            environment={"FLIP_AGENT__STATE": str(state), **environment},
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[Client]:
        """Until all models that the store holds were looked at."""
        await self.child.start()
        client = Client(self.port)
        try:
            await self.child.wait_until(lambda: port_open(self.port), within=60)
            await self.child.wait_until(self._loaded, within=60)
            yield client
        finally:
            client.close()
            await self.child.stop()

    async def _loaded(self) -> bool:
        with contextlib.closing(Client(self.port)) as client:
            ready = await asyncio.to_thread(client.get, "/v2/health/ready")
        return ready.status == 200 or "being loaded" not in ready.body["detail"]


@contextlib.contextmanager
def serving(fill: Callable[[ModelStore], None], **settings: Any) -> Generator[Client]:
    """For fixtures of whole modules: a server whose store `fill` has filled."""
    with tempfile.TemporaryDirectory(prefix="flip-") as folder, asyncio.Runner() as runner:
        process = ServeProcess(Path(folder), free_port(), **settings)
        fill(process.store)
        running = process.running()
        client = runner.run(running.__aenter__())
        try:
            yield client
        finally:
            runner.run(running.__aexit__(None, None, None))


def one_version(store: ModelStore) -> None:
    """Version 1 of `digits`."""
    store.activate("digits", make_version(store, "digits", 1, seed=1))


def infer_body(rows: Array, **changes: Any) -> dict[str, Any]:
    """Of one input `x`; `changes` replace its fields."""
    tensor = {"name": "x", "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist()}
    return {"inputs": [tensor | changes]}


def outputs(answer: Answer) -> Array:
    """Of an infer response with one output."""
    assert answer.status == 200, answer.body
    tensor = answer.body["outputs"][0]
    return np.array(tensor["data"], dtype="f4").reshape(tensor["shape"])


def assert_problem(answer: Answer) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["status"] == answer.status
    assert answer.body["error"].startswith(answer.body["detail"])
    text = json.dumps(answer.body)
    assert len(text) < 1500
    for leak in ("/tmp", "Traceback", ".py", "site-packages", "blobs"):
        assert leak not in text
