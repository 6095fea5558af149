"""Training that goes on until it is stopped, as a worker of `flip-agent train` does it, at the lowest priority.

It says a word when its first pass is done.
"""

import os
from collections.abc import Mapping

import torch
from flwr.app import ArrayRecord
from torch import Tensor, nn
from torch.utils.data import Dataset

from flip_agent.federation.task import Options, Parts, Value, train

NICE = 19
_SAMPLES = 2048


class Rows(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self) -> None:
        self._x = torch.rand(_SAMPLES, 784, generator=torch.Generator().manual_seed(0))
        self._y = (self._x.sum(dim=1) * 7).long() % 10

    def __len__(self) -> int:
        return _SAMPLES

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return self._x[number], self._y[number]


class Perceptron:
    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))

    def data(self, node_config: Mapping[str, Value], /) -> Parts:
        return Rows(), Rows()


def main() -> None:
    os.nice(NICE)
    task = Perceptron()
    samples, _ = task.data({})
    arrays = ArrayRecord(task.model().state_dict())
    while True:
        arrays, _ = train(task, arrays, samples, Options())
        print("trained", flush=True)


if __name__ == "__main__":
    main()
