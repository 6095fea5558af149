"""Two inference servers on one device, started by `run`: each with its own port, models, folder and socket."""

import contextlib
from pathlib import Path

import numpy as np
from agent_rig import Agent, until

from flip_agent.models.store import ModelStore
from flip_demo.perceptron import expected, make_version
from flip_demo.ports import free_port
from inference_process import Client, infer_body, outputs

ROWS = np.random.RandomState(5).rand(1, 64).astype("f4")


def test_each_instance_answers_for_its_own_models(folder: Path) -> None:
    agent = Agent(folder, supervise=True)
    store = ModelStore(agent.state / "models")
    for seed, model in enumerate(("digits", "letters"), start=1):
        store.activate(model, make_version(store, model, 1, seed=seed))
    ports = {"vision": free_port(), "default": free_port()}
    agent.configure("inference", grpc=False)
    agent.configure("inference.instances.vision", port=ports["vision"], models=["digits"])
    agent.configure("inference.instances.default", port=ports["default"])
    with agent.running(), clients(ports) as by_name:
        served = {"vision": ("digits", 1), "default": ("letters", 2)}
        for name, client in by_name.items():
            until(lambda client=client: answers(client), within=60)
            model, seed = served[name]
            answer = client.post(f"/v2/models/{model}/infer", infer_body(ROWS))
            assert np.allclose(outputs(answer), expected(seed, ROWS), atol=1e-5)
            (other,) = {"digits", "letters"} - {model}
            assert client.post(f"/v2/models/{other}/infer", infer_body(ROWS)).status == 404
            assert (agent.state / "serve" / name / "samples.db").exists()
        until(lambda: serving(agent) == {"digits": ports["vision"], "letters": ports["default"]})


@contextlib.contextmanager
def clients(ports: dict[str, int]):
    opened = {name: Client(port) for name, port in ports.items()}
    try:
        yield opened
    finally:
        for client in opened.values():
            client.close()


def answers(client: Client) -> bool:
    try:
        return client.get("/v2/health/ready").status == 200
    except OSError:
        client.close()
        return False


def serving(agent: Agent) -> dict[str, int]:
    """Ports by model, as the daemon says."""
    status = agent.status()
    models = [] if status is None else status.reported.serving
    return {each.model: int(each.url.rpartition(":")[2]) for each in models}
