"""An example app on simulated devices: its own ClientApp trains on data divided as the demo divides it."""

import importlib
import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from msgspec import Struct
from torch import nn

from flip_demo import breast_cancer, digits
from flip_demo.partition import Split

_EXAMPLES = Path(__file__).parents[1] / "examples"
_SPLITS: dict[str, Callable[..., Split]] = {"digits": digits.split, "breast_cancer": breast_cancer.split}


class Case(Struct, frozen=True, kw_only=True):
    app: str
    """Folder of an example."""
    devices: int
    least: int
    """Samples of a device."""


class SimulatedApp:
    """In this process there may be one of each app at a time."""

    def __init__(self, case: Case, seed: int, folder: Path) -> None:
        """`seed`: of the division of the data and of the first model. The folder takes the devices' data."""
        torch.set_num_threads(1)
        root = _EXAMPLES / case.app
        project = tomllib.loads((root / "pyproject.toml").read_text())["tool"]
        sys.path.insert(0, str(root))
        os.environ["FLIP_APP_DIR"] = str(root)
        self.nodes = range(1, case.devices + 1)
        self._config = project["flwr"]["app"]["config"]
        self._client = cast(ClientApp, _named(project["flwr"]["app"]["components"]["clientapp"]))
        self._folder = folder
        split = _SPLITS[case.app](seed, case.devices, least=case.least)
        for node, part in zip(self.nodes, split.devices, strict=True):
            np.savez(self._data(node), x=part.x, y=part.y)
        self._x, self._y = torch.from_numpy(split.held_back.x), torch.from_numpy(split.held_back.y)
        torch.manual_seed(seed)
        self._model = cast(nn.Module, _named(project["flip"]["export"])()[0])
        self.first = ArrayRecord(self._model.state_dict())
        """What a run begins with."""

    def answer(self, message: Message) -> Message:
        """What the device that the message is for replies."""
        node = message.metadata.dst_node_id
        context = Context(
            run_id=node,  # what an app keeps for a run, it keeps for a device
            node_id=node,
            node_config={"data": str(self._data(node))},
            state=RecordDict(),
            run_config=dict(self._config),
        )
        return self._client(message, context)

    def accuracy(self, arrays: ArrayRecord) -> float:
        """On what no device has."""
        self._model.load_state_dict(arrays.to_torch_state_dict())
        self._model.eval()
        with torch.inference_mode():
            return float((self._model(self._x).argmax(dim=1) == self._y).float().mean())

    def _data(self, node: int) -> Path:
        return self._folder / f"{node}.npz"


def _named(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
