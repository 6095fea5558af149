"""Each device adds 1; the hub tells how far the model is from what stands in its dataset."""

import os
from typing import cast

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

client = ClientApp()
server = ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    arrays = [array + 1 for array in cast(ArrayRecord, message.content["arrays"]).to_numpy_ndarrays()]
    metrics = MetricRecord({"num-examples": 10})
    return Message(RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=message)


def evaluate(server_round: int, arrays: ArrayRecord) -> dict[str, float]:
    with open(os.environ["FLIP_DATASET"]) as file:
        wanted = float(file.read())
    return {"distance": float(np.abs(arrays.to_numpy_ndarrays()[0] - wanted).mean())}


@server.main()
def main(grid: Grid, context: Context) -> None:
    devices = int(context.run_config["devices"])
    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=devices, min_available_nodes=devices)
    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord([np.zeros(8, dtype=np.float32)]),
        num_rounds=int(context.run_config["num-server-rounds"]),
        timeout=300.0,
    )
