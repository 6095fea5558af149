"""The fast path at the ASGI level: what only shows when a forward is slow, a client leaves, or the queue is full."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
import pytest_asyncio

from flip_agent.inference.engine.engine import Engine
from flip_agent.inference.engine.predictor import Predictor
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.http.infer import InferEndpoint
from flip_agent.inference.tensors import Array
from flip_agent.models.store import ModelStore
from flip_demo.perceptron import expected, make_version
from inference_process import infer_body

ROWS = np.random.RandomState(5).rand(1, 64).astype("f4")

pytestmark = pytest.mark.asyncio


class Held:
    """Holds up every forward until `go`, and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        self.started = threading.Event()
        self.rows: list[int] = []
        run = Predictor.run

        def held(predictor: Predictor, inputs: Sequence[Array]) -> list[Array]:
            self.started.set()
            assert self.go.wait(10)
            self.rows.append(len(inputs[0]))
            return run(predictor, inputs)

        monkeypatch.setattr(Predictor, "run", held)


class Request:
    """One POST; `leave` closes the client's connection."""

    def __init__(self, body: object) -> None:
        self._body = msgspec.json.encode(body)
        self._asked = False
        self._left = asyncio.Event()
        self.sent: list[Any] = []

    async def answered_by(self, endpoint: InferEndpoint) -> None:
        scope: Any = {"type": "http", "method": "POST", "path": "/v2/models/digits/infer"}
        assert await endpoint.takes(scope, {}, self._receive, self._send)

    def leave(self) -> None:
        self._left.set()

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def values(self) -> Array:
        return np.array(msgspec.json.decode(self.sent[1]["body"])["outputs"][0]["data"], dtype="f4")

    async def _receive(self) -> Any:
        if self._asked:
            await self._left.wait()
            return {"type": "http.disconnect"}
        self._asked = True
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)


@pytest_asyncio.fixture
async def endpoint(folder: Any) -> AsyncGenerator[InferEndpoint]:
    """Of a server with one model and room for two waiting requests."""
    store = ModelStore(folder / "models")
    store.create()
    store.activate("digits", make_version(store, "digits", 1, seed=1))
    models = ServedModels(store, max_rows=64, max_queue=2)
    await models.load()
    yield InferEndpoint(Engine(models, []), max_body=10_000)
    models.close()


async def test_requests_of_clients_that_left_are_not_computed_and_a_full_queue_answers_429(
    endpoint: InferEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    first, leaving, patient, surplus = (Request(infer_body(ROWS)) for _ in range(4))
    async with asyncio.TaskGroup() as group:
        group.create_task(first.answered_by(endpoint))
        await asyncio.to_thread(held.started.wait, 10)
        gone = group.create_task(leaving.answered_by(endpoint))
        group.create_task(patient.answered_by(endpoint))
        await asyncio.sleep(0)  # both are in the queue now
        await surplus.answered_by(endpoint)
        leaving.leave()
        await gone
        held.go.set()
    assert surplus.status == 429
    assert (b"retry-after", b"1") in surplus.sent[0]["headers"]
    assert leaving.sent == []
    for served in (first, patient):
        assert served.status == 200
        assert np.allclose(served.values, expected(1, ROWS).ravel(), atol=1e-5)
    assert held.rows == [1, 1]


async def test_a_request_that_waited_longer_than_it_wanted_is_answered_504(
    endpoint: InferEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    first, hasty = Request(infer_body(ROWS)), Request(infer_body(ROWS) | {"parameters": {"timeout": 1}})
    async with asyncio.TaskGroup() as group:
        group.create_task(first.answered_by(endpoint))
        await asyncio.to_thread(held.started.wait, 10)
        group.create_task(hasty.answered_by(endpoint))
        await asyncio.sleep(0)  # it is in the queue now
        held.go.set()
    assert (first.status, hasty.status) == (200, 504)
    assert held.rows == [1]
