"""What people told one device about its answers is what it trains on, and only what the ClientApp replies leaves it."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agent_rig import Agent, eventually
from fault_proxy import FaultProxy, Message
from session_lab import APPS, Hub, reach

from flip_agent.models.store import ModelStore
from flip_demo.perceptron import Array, make_version
from flip_demo.ports import free_port
from inference_process import Client, infer_body

pytestmark = pytest.mark.asyncio(loop_scope="module")

DRAWN = np.random.RandomState(11)
POSTED, PREDICTED = DRAWN.rand(60, 64).astype("f4"), DRAWN.rand(20, 64).astype("f4")
LABELS = DRAWN.randint(10, size=80).tolist()


class Recorded(FaultProxy):
    """Keeps what `train` says to the hub."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.bodies: list[bytes] = []

    async def _pass(self, scope: Message, body: bytes, send: Any) -> None:
        self.bodies.append(body)
        await super()._pass(scope, body, send)


async def test_a_round_trains_on_samples_and_feedback_and_nothing_else_of_them_leaves_the_device(
    hub: Hub, folder: Path
) -> None:
    proxy, port = Recorded(hub.settings, free_port(), []), free_port()
    agent = Agent(folder, supervise=True, heartbeat=1.0)
    await hub.enrol(agent.state, "a")
    reach(agent.state, proxy.address)
    agent.configure("governor", load_max=0)
    agent.configure("inference", port=port, grpc=False)
    agent.configure("samples", log_inputs=True, predictions=1000)
    store = ModelStore(agent.state / "models")
    store.activate("digits", make_version(store, "digits", 1, seed=1))
    out = folder / "out.npy"
    async with proxy.running():
        with agent.running(), contextlib.closing(Client(port)) as client:
            await eventually(lambda: answers(port), within=120)
            await asyncio.to_thread(tell_all, client)
            run_id = await hub.submit(APPS / "sampled", out=str(out))
            assert (await hub.finished(run_id)).run.status == "finished"
            await hub.told("delivered")
            events = [event for device in hub.api.devices() for event in hub.api.events(device.id, 1000)]
    assert np.allclose(np.load(out), fitted(np.concatenate([POSTED, PREDICTED]), LABELS))
    sent, told = b"".join(proxy.bodies), b"".join(bytes(event.body) for event in events)
    assert np.load(out).tobytes() in sent, "the reply is there, as it is"
    assert {event.kind for event in events} > {"session", "state"}
    for row in (*POSTED, *PREDICTED):
        assert row[:2].tobytes() not in sent + told
        assert repr(float(row[0])).encode() not in told


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), contextlib.closing(Client(port)) as client:
        return client.get("/v2/health/ready").status == 200
    return False


def tell_all(client: Client) -> None:
    samples = {"model": "digits", "inputs": POSTED.tolist(), "labels": LABELS[:60]}
    assert client.post("/v1/samples", samples).status == 200
    for number, (row, label) in enumerate(zip(PREDICTED, LABELS[60:], strict=True)):
        assert client.post("/v2/models/digits/infer", infer_body(row[None]) | {"id": str(number)}).status == 200
        assert client.post("/v1/feedback", {"id": str(number), "label": f"class-{label}"}).body["samples"] == 1


def fitted(x: Array, labels: list[int]) -> Any:
    wide = x.astype("f8")
    return np.linalg.solve(wide.T @ wide + np.eye(64), wide.T @ np.eye(10)[labels])
