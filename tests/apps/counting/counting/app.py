"""Each device adds 1 to every parameter, so that after round r the mean is r, and counts its calls in its state."""

import json
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

client = ClientApp()
server = ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    with open(str(context.run_config["calls"]), "a") as calls:
        calls.write(f"{os.getpid()}\n")
    match context.run_config["behave"]:
        case "raise":
            raise ZeroDivisionError("no such luck")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill-session":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(600)
        case "slow":
            time.sleep(float(context.run_config["seconds"]))
        case "hang":
            time.sleep(600)
        case _:
            pass
    counted = cast(MetricRecord, context.state.get("counted", MetricRecord({"calls": 0})))
    counted["calls"] = cast(int, counted["calls"]) + 1
    context.state["counted"] = counted
    arrays = [array + 1 for array in cast(ArrayRecord, message.content["arrays"]).to_numpy_ndarrays()]
    metrics = MetricRecord({"num-examples": 10, "calls": counted["calls"]})
    return Message(RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=message)


class RecordedFedAvg(FedAvg):
    out: Path

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Any:
        replies = list(replies)
        arrays, metrics = super().aggregate_train(server_round, replies)
        mean = None if arrays is None else float(arrays.to_numpy_ndarrays()[0].mean())
        errors = [f"{reply.error.code}: {reply.error.reason}" for reply in replies if reply.has_error()]
        calls = None if metrics is None else metrics["calls"]
        with self.out.open("a") as out:
            out.write(json.dumps({"replies": len(replies), "errors": errors, "mean": mean, "calls": calls}) + "\n")
        return arrays, metrics


@server.main()
def main(grid: Grid, context: Context) -> None:
    devices = int(context.run_config["devices"])
    strategy = RecordedFedAvg(fraction_evaluate=0.0, min_train_nodes=devices, min_available_nodes=devices)
    strategy.out = Path(str(context.run_config["out"]))
    size = int(context.run_config["size"])
    model = np.linspace(-0.5, 0.5, size) if context.run_config["varied"] else np.zeros(size)
    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord([model.astype(np.float32)]),
        num_rounds=int(context.run_config["num-server-rounds"]),
        timeout=900.0,
    )
