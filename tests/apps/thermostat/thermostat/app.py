"""Softmax regression in plain NumPy over readings that never leave the device (here: drawn from a seed)."""

import os
import time

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from numpy.typing import NDArray

Floats = NDArray[np.float32]

client = ClientApp()
server = ServerApp()


def readings(seed: int) -> tuple[Floats, NDArray[np.int64]]:
    x = np.random.default_rng(seed).normal(size=(200, 3)).astype(np.float32)
    return x, (x.sum(axis=1) > 0).astype(np.int64)


@client.train()
def train(message: Message, context: Context) -> Message:
    arrays, config = message.content["arrays"], message.content["config"]
    assert isinstance(arrays, ArrayRecord)
    assert isinstance(config, ConfigRecord)
    with open(str(context.run_config["calls"]), "a") as calls:
        calls.write(f"{config['server-round']} {context.node_id} {os.getpid()}\n")
    time.sleep(float(context.run_config["pause"]))
    x, y = readings(context.node_id % 1000)
    weight, bias = arrays["weight"].numpy().copy(), arrays["bias"].numpy().copy()
    for _ in range(50):
        wrong = _probabilities(x, weight, bias) - np.eye(2, dtype=np.float32)[y]
        weight -= wrong.T @ x / len(x)
        bias -= wrong.mean(axis=0)
    trained = ArrayRecord({"weight": Array(weight), "bias": Array(bias)})
    content = RecordDict({"arrays": trained, "metrics": MetricRecord({"num-examples": len(x)})})
    return Message(content, reply_to=message)


@client.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    arrays = message.content["arrays"]
    assert isinstance(arrays, ArrayRecord)
    x, y = readings(context.node_id % 1000 + 1)
    right = (_probabilities(x, arrays["weight"].numpy(), arrays["bias"].numpy()).argmax(axis=1) == y).mean()
    metrics = MetricRecord({"num-examples": len(x), "accuracy": float(right)})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    devices = int(context.run_config["devices"])
    strategy = FedAvg(
        min_train_nodes=devices, min_evaluate_nodes=devices, min_available_nodes=devices, fraction_evaluate=1.0
    )
    start = {"weight": np.zeros((2, 3), dtype=np.float32), "bias": np.zeros(2, dtype=np.float32)}
    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord({name: Array(value) for name, value in start.items()}),
        num_rounds=int(context.run_config["num-server-rounds"]),
        timeout=90.0,
    )


def _probabilities(x: Floats, weight: Floats, bias: Floats) -> Floats:
    scores = x @ weight.T + bias
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
