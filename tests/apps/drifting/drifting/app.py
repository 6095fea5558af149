"""FedAdam over devices that drift by who they are, by how often they were asked, and by what they got."""

import os
import time
from typing import cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAdam

client = ClientApp()
server = ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    note(message, context)
    time.sleep(float(context.run_config["seconds"]))
    counted = cast(MetricRecord, context.state.get("counted", MetricRecord({"calls": 0})))
    counted["calls"] = calls = cast(int, counted["calls"]) + 1
    context.state["counted"] = counted
    who = np.float32(1 + context.node_id % 97) / 97
    given = cast(ArrayRecord, message.content["arrays"]).to_numpy_ndarrays()
    arrays = [np.sin(array * who + np.float32(calls)) + array for array in given]
    metrics = MetricRecord({"num-examples": 10 + context.node_id % 7, "calls": calls})
    return Message(RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=message)


@client.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    note(message, context)
    given = cast(ArrayRecord, message.content["arrays"]).to_numpy_ndarrays()
    metrics = MetricRecord({"num-examples": 10, "accuracy": float(np.abs(np.cos(given[0])).mean())})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


def note(message: Message, context: Context) -> None:
    number = cast(ConfigRecord, message.content["config"])["server-round"]
    line = f"{message.metadata.message_type} {number} {context.node_id}\n".encode()
    calls = os.open(str(context.run_config["calls"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(calls, line)
    os.close(calls)


@server.main()
def main(grid: Grid, context: Context) -> None:
    devices, fraction = int(context.run_config["devices"]), float(context.run_config["fraction"])
    least = max(1, int(devices * fraction))  # Flower counts who is there before it waits for enough
    strategy = FedAdam(
        fraction_train=fraction,
        min_train_nodes=least,
        min_evaluate_nodes=devices,
        min_available_nodes=devices,
        beta_1=0.9,
    )
    model = [np.linspace(-1, 1, 1000, dtype=np.float32)]
    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(model),
        num_rounds=int(context.run_config["num-server-rounds"]),
        timeout=300.0,
    )
