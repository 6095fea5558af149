"""Two layers, named `body` and `head`."""

import torch
from torch import nn


class Personal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.body(x)))


def export() -> tuple[nn.Module, torch.Tensor, list[str]]:
    return Personal(), torch.rand(2, 4), ["a", "b"]
