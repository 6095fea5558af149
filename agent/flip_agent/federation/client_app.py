"""The ClientApp that ships with FLIP: `clientapp = "flip_agent.federation.client_app:app"` in an app's pyproject.toml.

The app then holds no training code, only a module named there as

    [tool.flip]
    task = "MODULE"

with `model() -> torch.nn.Module` and `data(node_config) -> (train, held_out)`, two torch data sets of (input, class).
It answers `train` with the new arrays and `train-loss`, `num-examples`; `evaluate` with `loss`, `accuracy` and
`num-examples` on the device's held-out part. Options (`task.Options`) come from the run's configuration, and over it
from the message's `config`.
"""

import importlib
import os
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import cast

import msgspec
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from flip_agent.federation import task
from flip_agent.federation.task import Options, Parts, Task

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    training, _ = _data(context)
    arrays, metrics = task.train(_task(), _arrays(message), training, _options(message, context))
    return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord(dict(metrics))}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    _, held_out = _data(context)
    metrics = task.evaluate(_task(), _arrays(message), held_out)
    return Message(RecordDict({"metrics": MetricRecord(dict(metrics))}), reply_to=message)


@cache
def _task() -> Task:
    """Raises `LookupError` when the app names none."""
    folder = os.environ.get("FLIP_APP_DIR", "")
    if not folder:
        raise LookupError("FLIP_APP_DIR is not set: this ClientApp runs on flip-agent only")
    pyproject = tomllib.loads((Path(folder) / "pyproject.toml").read_text())
    name = pyproject.get("tool", {}).get("flip", {}).get("task")
    if not isinstance(name, str):
        raise LookupError('the app\'s pyproject.toml names no task: [tool.flip] task = "MODULE"')
    return cast(Task, importlib.import_module(name))


_loaded: dict[tuple[int, int], Parts] = {}


def _data(context: Context) -> Parts:
    """Loaded once: the worker is warm for the length of a run. A process may be several nodes, one after the other."""
    key = context.run_id, context.node_id
    if key not in _loaded:
        _loaded.clear()
        _loaded[key] = _task().data(cast(Mapping[str, task.Value], context.node_config))
    return _loaded[key]


def _arrays(message: Message) -> ArrayRecord:
    return cast(ArrayRecord, message.content["arrays"])


def _options(message: Message, context: Context) -> Options:
    """Raises `msgspec.ValidationError` naming the option that has a wrong value."""
    own = cast(ConfigRecord, message.content.get("config", ConfigRecord()))
    return msgspec.convert({**context.run_config, **own}, Options)
