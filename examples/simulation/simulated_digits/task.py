"""The model, and the part of the digits that a simulated device is given."""

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from flip_demo.digits import split
from flip_demo.partition import FEWEST, Part, Split

HELD_OUT = 0.2
"""Share of a device's samples that it evaluates on and never trains on."""


def model() -> nn.Module:
    """2,410 parameters; class scores (logits) from images [n, 1, 8, 8]."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def data(
    node_config: Mapping[str, bool | int | float | str],
) -> tuple[Dataset[tuple[Tensor, ...]], Dataset[tuple[Tensor, ...]]]:
    """Of the device that the simulation numbers `partition-id`, from 0, of `num-partitions`."""
    part = parts(int(node_config["num-partitions"])).devices[int(node_config["partition-id"])]
    whole = tensors(part)
    held_out = int(len(part.y) * HELD_OUT)
    return TensorDataset(*(each[held_out:] for each in whole)), TensorDataset(*(each[:held_out] for each in whole))


@cache
def parts(devices: int) -> Split:
    """The same in every process. Raises `ValueError` for more devices than the digits are enough for."""
    return split(seed=0, devices=devices, alpha=1.0, least=FEWEST)


def tensors(part: Part) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(part.x), torch.from_numpy(part.y)
