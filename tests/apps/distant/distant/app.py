"""Each device pulls the model towards a place of its own, with some noise; accuracy falls with the distance to it."""

import random
from typing import cast

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from numpy.typing import NDArray

SIZE = 20_000
client = ClientApp()
server = ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    counted = cast(MetricRecord, context.state.get("counted", MetricRecord({"calls": 0})))
    counted["calls"] = cast(int, counted["calls"]) + 1
    context.state["counted"] = counted
    noise = random.random() + np.random.normal(0.0, 0.1, SIZE)
    trained = _model(message) + 0.5 * (_place(context) - _model(message)) + 0.1 * noise
    metrics = MetricRecord({"num-examples": 10 + int(context.node_config["partition-id"]), "calls": counted["calls"]})
    content = RecordDict({"arrays": ArrayRecord([trained.astype(np.float32)]), "metrics": metrics})
    return Message(content, reply_to=message)


@client.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    distance = float(np.abs(_model(message) - _place(context)).mean())
    metrics = MetricRecord({"accuracy": 1.0 / (1.0 + distance), "num-examples": 10})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    FedAvg(min_train_nodes=2, min_evaluate_nodes=2, min_available_nodes=2).start(
        grid=grid,
        initial_arrays=ArrayRecord([np.zeros(SIZE, dtype=np.float32)]),
        num_rounds=int(context.run_config["num-server-rounds"]),
        timeout=300.0,
    )


def _model(message: Message) -> NDArray[np.float64]:
    (array,) = cast(ArrayRecord, message.content["arrays"]).to_numpy_ndarrays()
    return array.astype(np.float64)


def _place(context: Context) -> NDArray[np.float64]:
    """Around 1."""
    return 1.0 + 0.1 * np.random.default_rng(int(context.node_config["partition-id"])).normal(size=SIZE)
