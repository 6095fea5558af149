"""The model, this device's data, and how the model is served."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

HELD_OUT = 0.2
"""Share of a device's samples that it evaluates on and never trains on."""


def model() -> nn.Module:
    """21,546 parameters; class scores (logits)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


def data(
    node_config: Mapping[str, bool | int | float | str],
) -> tuple[Dataset[tuple[Tensor, ...]], Dataset[tuple[Tensor, ...]]]:
    """From the .npz that the device's `node_config` calls `data`: `x` float32 [n, 1, 8, 8] in [0, 1], `y` int64 [n]."""
    with np.load(str(node_config["data"])) as file:
        x, y = torch.from_numpy(file["x"]), torch.from_numpy(file["y"])
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    held_out, training = order.split([int(len(y) * HELD_OUT), len(y) - int(len(y) * HELD_OUT)])
    return TensorDataset(x[training], y[training]), TensorDataset(x[held_out], y[held_out])


def export() -> tuple[nn.Module, Tensor, list[str]]:
    """The model, an example input of two rows, and the names of the classes."""
    return model(), torch.zeros(2, 1, 8, 8), [str(digit) for digit in range(10)]
