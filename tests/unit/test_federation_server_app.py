"""FLIP's own ServerApp starts FedAvg from the exported module, as the run configuration says."""

from pathlib import Path

import numpy as np
import pytest

from flip_hub.federation.server_app import initial_arrays
from flip_runtime.errors import Rejected

MODEL = """
import torch

def export():
    return torch.nn.Linear(3, 2), torch.rand(2, 3), []
"""


def test_the_same_seed_gives_the_same_initial_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f"seeded_{folder.name.replace('-', '_')}"
    (folder / f"{module}.py").write_text(MODEL)
    (folder / "pyproject.toml").write_text(f'[project]\nname = "a"\n[tool.flip]\nexport = "{module}:export"\n')
    monkeypatch.syspath_prepend(folder)
    first, second, other = (initial_arrays(folder, seed) for seed in (0, 0, 1))
    assert list(first) == ["weight", "bias"]
    assert np.array_equal(first["weight"].numpy(), second["weight"].numpy())
    assert not np.array_equal(first["weight"].numpy(), other["weight"].numpy())


def test_an_app_that_exports_nothing_is_told_what_is_missing(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[project]\nname = "a"\n')
    with pytest.raises(Rejected, match=r"\[tool\.flip\] export"):
        initial_arrays(folder, 0)
