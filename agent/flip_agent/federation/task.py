"""Training and evaluation of any torch classifier on a device's own data; deterministic for a seed and a round."""

from collections.abc import Mapping, Sized
from typing import Protocol, cast

import torch
from flwr.app import ArrayRecord
from msgspec import Struct
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

Value = bool | int | float | str
Samples = Dataset[tuple[Tensor, Tensor]]
"""Each an input and its class; must have a length."""
Parts = tuple[Samples, Samples]
"""What this device trains on, and what it holds out for evaluation."""

_EVALUATION_ROWS = 256


class Task(Protocol):
    """What an app's module provides."""

    def model(self) -> nn.Module: ...
    def data(self, node_config: Mapping[str, Value], /) -> Parts: ...


class Options(Struct, frozen=True, kw_only=True, rename="kebab"):
    local_epochs: int = 1
    lr: float = 0.01
    momentum: float = 0.9
    batch_size: int = 32
    seed: int = 0
    server_round: int = 0
    """So that each round shuffles anew."""


def train(task: Task, arrays: ArrayRecord, samples: Samples, options: Options) -> tuple[ArrayRecord, dict[str, float]]:
    """The new arrays, with the mean loss of the last epoch."""
    model = _model(task, arrays)
    model.train()
    descent = _Descent(model, options)
    shuffle = torch.Generator().manual_seed(options.seed * 100_003 + options.server_round)
    torch.manual_seed(options.seed * 100_003 + options.server_round)  # for dropout and the like
    batches = DataLoader(samples, batch_size=options.batch_size, shuffle=True, generator=shuffle)
    loss = 0.0
    for _ in range(options.local_epochs):
        loss = _epoch(model, batches, descent)
    return ArrayRecord(model.state_dict()), {"train-loss": loss, "num-examples": _length(samples)}


def evaluate(task: Task, arrays: ArrayRecord, samples: Samples) -> dict[str, float]:
    model = _model(task, arrays)
    model.eval()
    count, loss, correct = _length(samples), 0.0, 0
    with torch.inference_mode():
        for inputs, classes in DataLoader(samples, batch_size=_EVALUATION_ROWS):
            scores = model(inputs)
            loss += nn.functional.cross_entropy(scores, classes, reduction="sum").item()
            correct += int((scores.argmax(dim=1) == classes).sum())
    return {"loss": loss / count, "accuracy": correct / count, "num-examples": count}


class _Descent:
    """Stochastic gradient descent with momentum, step for step as `torch.optim.SGD`, whose first step imports torch's
    compiler: 3 s of CPU, more than the training of a small model."""

    def __init__(self, model: nn.Module, options: Options) -> None:
        self._options = options
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._velocities = [torch.zeros_like(parameter) for parameter in self._parameters]

    @torch.no_grad()
    def step(self, loss: Tensor) -> None:
        gradients = torch.autograd.grad(loss, self._parameters)
        for parameter, velocity, gradient in zip(self._parameters, self._velocities, gradients, strict=True):
            velocity.mul_(self._options.momentum).add_(gradient)
            parameter.sub_(velocity, alpha=self._options.lr)


def _epoch(model: nn.Module, batches: DataLoader[tuple[Tensor, Tensor]], descent: _Descent) -> float:
    total, count = 0.0, 0
    for inputs, classes in batches:
        loss = nn.functional.cross_entropy(model(inputs), classes)
        descent.step(loss)
        total, count = total + loss.item() * len(classes), count + len(classes)
    return total / max(count, 1)


def _model(task: Task, arrays: ArrayRecord) -> nn.Module:
    model = task.model()
    model.load_state_dict(arrays.to_torch_state_dict())
    return model


def _length(samples: Samples) -> int:
    """Raises `ValueError` when there are none: a mean over nothing would poison the aggregate."""
    count = len(cast(Sized, samples))
    if count == 0:
        raise ValueError("this device has no samples")
    return count
