"""`serve` gives a bad version up, and `run` makes it durable: the link, the refusal. There is no hub."""

import contextlib
import time
from pathlib import Path

import numpy as np
from agent_rig import Agent, until

from flip_agent.models.store import ModelStore
from flip_demo.perceptron import expected, make_version
from flip_demo.ports import free_port
from inference_process import Client

ROWS = np.random.RandomState(5).rand(1, 64).astype("f4")
TRUTH = int(expected(1, ROWS).argmax())


def test_a_bad_version_is_given_up_by_a_whole_device_and_stays_so_after_a_kill(folder: Path) -> None:
    port = free_port()
    agent = Agent(folder, supervise=True)
    agent.configure("inference", port=port, grpc=False)
    agent.configure("models", min_accuracy=0.8, judged_by=5)
    store = ModelStore(agent.state / "models")
    good, bad = (make_version(store, "digits", version, seed=version) for version in (1, 2))
    for manifest in (good, bad):
        store.activate("digits", manifest)
    verdicts = agent.state / "serve" / "default" / "verdicts.json"
    with contextlib.closing(Client(port)) as client:
        with agent.running() as run:
            until(lambda: version(client) == 2, within=60)
            tell_truth(client, 5)
            until(lambda: version(client) == 1)
            until(lambda: store.active("digits") == good)
            until(lambda: verdicts.read_bytes() == b"[]")
            refused = (agent.state / "models" / "refused.json").read_text()
            assert bad in refused
            assert "accuracy 0.00" in refused
            run.kill()
            run.wait()
        with agent.running():
            until(lambda: version(client) == 1, within=60)


def version(client: Client) -> int | None:
    """That answers; None when none does."""
    try:
        return client.post("/predict", {"inputs": ROWS.tolist()}).body.get("version")
    except OSError:
        client.close()
        return None


def tell_truth(client: Client, times: int) -> None:
    ids = [client.post("/predict", {"inputs": ROWS.tolist()}).body["id"] for _ in range(times)]
    for each in ids:
        while not client.post("/v1/feedback", {"id": each, "label": TRUTH}).body["accepted"]:
            time.sleep(0.05)  # predictions are on the disk within a second
