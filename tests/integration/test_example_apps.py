"""The example apps learn: FedAvg in plain torch over the devices' parts, judged on what no device has seen."""

import importlib
import sys
import tomllib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.common.config import get_fab_config
from flwr.supercore.task_identity import TaskIdentity
from session_lab import EXAMPLES, fab_of
from torch import nn

from flip_agent.federation.app_store import AppStore, missing
from flip_agent.federation.flower import load_client_app, run_config
from flip_agent.settings import Value
from flip_demo import breast_cancer, digits
from flip_demo.partition import Split
from signed_apps import TRUSTED, signed_fab


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """As in a worker; with more, small models wait for each other's threads on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture
def example(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """The app's folder, on the module path as in a worker."""
    folder = EXAMPLES / request.param
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
    monkeypatch.setenv("FLIP_APP_DIR", str(folder))
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == request.param]:
        del sys.modules[name]


def export_of(folder: Path) -> tuple[nn.Module, torch.Tensor, list[str]]:
    module, _, function = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["flip"]["export"].partition(
        ":"
    )
    return getattr(importlib.import_module(module), function)()


def round_of(app: Any, kind: str, arrays: ArrayRecord, contexts: Sequence[Context], number: int) -> list[RecordDict]:
    """What the devices answer to the shipped or the app's own ServerApp."""
    config = ConfigRecord({"server-round": number})
    replies: list[RecordDict] = []
    for context in contexts:
        content = RecordDict({"arrays": arrays, "config": config})
        message = Message(content, dst_node_id=context.node_id, message_type=kind)
        replies.append(app(message=message, context=context).content)
    return replies


def mean(replies: Sequence[RecordDict]) -> ArrayRecord:
    weights = [cast(float, cast(MetricRecord, reply["metrics"])["num-examples"]) for reply in replies]
    states = [cast(ArrayRecord, reply["arrays"]).to_torch_state_dict() for reply in replies]
    shares = [weight / sum(weights) for weight in weights]
    return ArrayRecord(
        {
            name: torch.stack([state[name] * share for state, share in zip(states, shares, strict=True)]).sum(0)
            for name in states[0]
        }
    )


def learn(folder: Path, split: Split, data: Path, rounds: int) -> tuple[nn.Module, list[RecordDict]]:
    """The global model after that many rounds, and the devices' last evaluation."""
    contexts: list[Context] = []
    app = load_client_app(folder, get_fab_config(fab_of(folder))["tool"]["flwr"]["app"]["components"]["clientapp"])
    for number, part in enumerate(split.devices):
        np.savez(data / f"{number}.npz", x=part.x, y=part.y)
        node: dict[str, Value] = {"data": str(data / f"{number}.npz")}
        config = run_config(folder, {})
        contexts.append(Context(number + 1, number + 1, node, RecordDict(), config))
    torch.manual_seed(0)
    model, _, _ = export_of(folder)
    arrays = ArrayRecord(model.state_dict())
    for number in range(1, rounds + 1):
        arrays = mean(round_of(app, "train", arrays, contexts, number))
    evaluations = round_of(app, "evaluate", arrays, contexts, rounds)
    model.load_state_dict(arrays.to_torch_state_dict())
    return model.eval(), evaluations


def accuracy(model: nn.Module, split: Split) -> float:
    with torch.inference_mode():
        guessed = model(torch.from_numpy(split.held_back.x)).argmax(dim=1)
    return float((guessed == torch.from_numpy(split.held_back.y)).float().mean())


@pytest.mark.parametrize("example", ["digits"], indirect=True)
def test_digits_reaches_93_percent_in_eight_rounds_on_devices_that_see_different_classes(
    example: Path, folder: Path
) -> None:
    split = digits.split(1, 3)  # of the demo's seeds the one whose devices differ most
    model, evaluations = learn(example, split, folder, rounds=8)
    assert accuracy(model, split) >= 0.93
    for evaluation in evaluations:
        metrics = cast(MetricRecord, evaluation["metrics"])
        assert set(metrics) == {"loss", "accuracy", "num-examples"}


@pytest.mark.parametrize("example", ["breast_cancer"], indirect=True)
def test_breast_cancer_reaches_93_percent_in_five_rounds(example: Path, folder: Path) -> None:
    split = breast_cancer.split(0, 3)
    model, evaluations = learn(example, split, folder, rounds=5)
    assert accuracy(model, split) >= 0.93
    assert all(cast(MetricRecord, one["metrics"])["num-examples"] for one in evaluations)


@pytest.mark.parametrize("example", ["digits", "breast_cancer"], indirect=True)
def test_an_example_builds_installs_and_exports_a_small_model(example: Path, folder: Path) -> None:
    fab_hash, fab = signed_fab(fab_of(example))
    store = AppStore(folder / "apps", TRUSTED)
    store.install(fab_hash, fab)
    assert missing(store.app(fab_hash)) == []
    model, inputs, labels = export_of(example)
    assert sum(parameter.numel() for parameter in model.parameters()) <= 30_000
    assert model(inputs).shape == (2, len(labels))


@pytest.mark.parametrize("example", ["digits"], indirect=True)
def test_the_shipped_client_app_answers_the_same_for_the_same_seed(example: Path, folder: Path) -> None:
    split = digits.split(0, 3)
    first, _ = learn(example, split, folder, rounds=1)
    again, _ = learn(example, split, folder, rounds=1)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
