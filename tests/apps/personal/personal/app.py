"""Each training adds an eighth to the body, and the device's own step to the head; in the second round it is cut off
once, by kill -9 of the session that runs it."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

client = ClientApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    step = float(context.node_config["step"])
    _cut_off(message, Path(str(context.run_config["killed"])) / str(step))
    arrays = message.content.array_records["arrays"]
    trained = {
        name: Array(np.asarray(array.numpy() + (step if name.startswith("head.") else 0.125), np.float32))
        for name, array in arrays.items()
    }
    metrics = MetricRecord({"num-examples": 10})
    return Message(RecordDict({"arrays": ArrayRecord(trained), "metrics": metrics}), reply_to=message)


@client.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    return Message(RecordDict({"metrics": MetricRecord({"num-examples": 10, "accuracy": 0.75})}), reply_to=message)


def _cut_off(message: Message, mark: Path) -> None:
    if message.content.config_records["config"]["server-round"] == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
