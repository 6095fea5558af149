"""Each device multiplies every parameter by the rate it is told."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

client = ClientApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    rate = float(str(message.content.config_records["config"]["lr"]))
    arrays = message.content.array_records["arrays"]
    scaled = {name: Array(np.asarray(array.numpy() * rate, array.dtype)) for name, array in arrays.items()}
    metrics = MetricRecord({"num-examples": 10, "rate": rate})
    return Message(RecordDict({"arrays": ArrayRecord(scaled), "metrics": metrics}), reply_to=message)


@client.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    return Message(RecordDict({"metrics": MetricRecord({"num-examples": 10, "accuracy": 0.75})}), reply_to=message)
