"""Trains and evaluates on the device's own patients."""

from typing import cast

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from torch import Tensor, nn

from breast_cancer.model import network

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    config = context.run_config
    model = _model(message)
    x, y = _patients(context, held_out=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=float(config["lr"]), momentum=0.9)
    shuffle = torch.Generator().manual_seed(0)
    loss = torch.zeros(())
    for _ in range(int(config["local-epochs"])):
        for batch in torch.randperm(len(y), generator=shuffle).split(int(config["batch-size"])):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
    metrics = MetricRecord({"train-loss": loss.item(), "num-examples": len(y)})
    content = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics})
    return Message(content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    model = _model(message)
    x, y = _patients(context, held_out=True)
    with torch.inference_mode():
        scores = model(x)
    metrics = MetricRecord(
        {
            "loss": nn.functional.cross_entropy(scores, y).item(),
            "accuracy": float((scores.argmax(dim=1) == y).float().mean()),
            "num-examples": len(y),
        }
    )
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


def _model(message: Message) -> nn.Module:
    model = network()
    model.load_state_dict(cast(ArrayRecord, message.content["arrays"]).to_torch_state_dict())
    return model


def _patients(context: Context, *, held_out: bool) -> tuple[Tensor, Tensor]:
    """From the .npz that the device's `node_config` calls `data`: `x` float32 [n, 30], standardised, `y` int64 [n].

    A fifth, always the same, is held out.
    """
    with np.load(str(context.node_config["data"])) as file:
        x, y = torch.from_numpy(file["x"]), torch.from_numpy(file["y"])
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    chosen = order[: len(y) // 5] if held_out else order[len(y) // 5 :]
    return x[chosen], y[chosen]
