"""A federation in one process: Flower's FedAvg, an example app's ClientApp, real data, and the mods between them.

What a reply costs is counted as devices send it: the deflated objects that Flower makes of it.
"""

import importlib
import os
import random
import statistics
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import Mod
from flwr.common.config import get_fused_config_from_dir
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.object_ref import load_app
from flwr.supercore.task_identity import TaskIdentity
from msgspec import Struct
from numpy.typing import NDArray
from torch import nn

from flip_demo import breast_cancer, digits
from flip_demo.partition import Split
from flip_hub.federation.aggregator.unpacking import Unpacking

_JUDGED = 4
"""Rounds: a single one may be lucky."""
EXAMPLES = Path(__file__).parents[1] / "examples"
_SPLITS: dict[str, Callable[[int, int], Split]] = {"digits": digits.split, "breast_cancer": breast_cancer.split}


class Learned(Struct, frozen=True):
    accuracy: float
    """On what no device has seen; the mean of the last `_JUDGED` rounds."""
    update_bytes: int
    """Of one reply's arrays, with all that Flower adds to name, type and chunk them; the mean of all replies."""
    reply_bytes: int
    """Of one whole reply."""
    last: tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]
    """The global models of the last two rounds."""


class Federation:
    """Of one example app, on one split of its data; each `learn` starts anew."""

    def __init__(self, name: str, folder: Path, *, devices: int, seed: int) -> None:
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
        self._root = EXAMPLES / name
        os.environ["FLIP_APP_DIR"] = str(self._root)
        pyproject = tomllib.loads((self._root / "pyproject.toml").read_text())
        self._app = _client_app(self._root, pyproject["tool"]["flwr"]["app"]["components"]["clientapp"])
        module, _, function = pyproject["tool"]["flip"]["export"].partition(":")
        self._export = getattr(importlib.import_module(module), function)
        self._config = get_fused_config_from_dir(self._root, {})
        self._split = _SPLITS[name](seed, devices)
        self._seed = seed
        self._data = [folder / f"{name}-{seed}-{number}.npz" for number in range(devices)]
        for file, part in zip(self._data, self._split.devices, strict=True):
            np.savez(file, x=part.x, y=part.y)

    def learn(self, rounds: int, mods: Sequence[Mod] = (), local: Sequence[str] = ()) -> Learned:
        torch.manual_seed(self._seed)
        model: nn.Module = self._export()[0]
        nodes = [
            Context(number + 1, number + 1, {"data": str(file)}, RecordDict(), self._config)
            for number, file in enumerate(self._data)
        ]
        grid = OneProcess(_wrapped(self._app, mods), nodes, local)
        models: list[dict[str, NDArray[Any]]] = []

        def keep(number: int, arrays: ArrayRecord) -> None:
            models.append({name: array.numpy() for name, array in arrays.items()})

        random.seed(self._seed)  # the order of nodes is that of a sum, which decides digits
        strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=len(nodes), min_available_nodes=len(nodes))
        result = strategy.start(
            grid, ArrayRecord(model.state_dict()), rounds, train_config=ConfigRecord({}), evaluate_fn=keep
        )
        assert result.arrays is not None
        judged = [self._accuracy(model.eval(), weights) for weights in models[-_JUDGED:]]
        sizes = grid.update_bytes // grid.replies, grid.bytes // grid.replies
        return Learned(statistics.fmean(judged), *sizes, (models[-2], models[-1]))

    def _accuracy(self, model: nn.Module, weights: dict[str, NDArray[Any]]) -> float:
        model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        with torch.inference_mode():
            guessed = model(torch.from_numpy(self._split.held_back.x)).argmax(dim=1)
        return float((guessed == torch.from_numpy(self._split.held_back.y)).float().mean())


class OneProcess(Grid):
    """Devices that answer while they are asked, through their mods, and whose replies are unpacked as by the hub."""

    def __init__(self, app: Callable[[Message, Context], Message], nodes: list[Context], local: Sequence[str]) -> None:
        self._app = app
        self._nodes = {node.node_id: node for node in nodes}
        self._local = local
        self.replies = self.bytes = self.update_bytes = 0

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def set_run(self, run: Any) -> None: ...

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return list(self._nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        return [self._answer(message) for message in messages]

    def _answer(self, message: Message) -> Message:
        message.metadata.__dict__["_message_id"] = message.object_id
        unpacking = Unpacking(RecordDict(dict(message.content)), self._local)
        reply = self._app(message, self._nodes[message.metadata.dst_node_id])
        self.replies += 1
        self.bytes += _deflated(reply)
        self.update_bytes += _deflated(reply.content["arrays"])
        return unpacking.unpack(reply)


def _deflated(item: Any) -> int:
    return sum(len(each.deflate()) for each in get_all_nested_objects(item).values())


def _client_app(root: Path, reference: str) -> ClientApp:
    sys.path.insert(0, str(root))
    return load_app(reference, ImportError, root)


def _wrapped(app: ClientApp, mods: Sequence[Mod]) -> Callable[[Message, Context], Message]:
    """The first mod is the outermost."""
    return reduce(lambda inner, mod: partial(_through, mod, inner), reversed(mods), partial(_run, app))


def _run(app: ClientApp, message: Message, context: Context) -> Message:
    return app(message=message, context=context)


def _through(mod: Mod, inner: Callable[[Message, Context], Message], message: Message, context: Context) -> Message:
    return mod(message, context, inner)
