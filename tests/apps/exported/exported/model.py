"""A network with a BatchNorm, whose statistics the exporter must not fold into the convolution."""

import torch
from torch import nn


def export() -> tuple[nn.Module, torch.Tensor, list[str]]:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    return network, torch.rand(2, 1, 8, 8), ["a", "b", "c"]
