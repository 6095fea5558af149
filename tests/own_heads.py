"""Heads of a device's own over the perceptron that is drawn from a seed, left for `serve` as `train` leaves them."""

from pathlib import Path
from typing import Any

import numpy as np

from flip_agent.own_parts import OwnParts, OwnPartsFolder, encode_parts
from flip_demo.perceptron import Array, weights
from flip_runtime.atomic import write_file

HEAD = ["2.*"]
"""Patterns of its tensors."""


def head(seed: int) -> dict[str, Any]:
    return {name: array for name, array in weights(seed).items() if name.startswith("2.")}


def personal(version: int, own: int, rows: Array) -> Array:
    """What the version that was drawn from that number answers with the head of that seed."""
    learned = weights(version) | head(own)
    hidden = np.maximum(rows @ learned["0.weight"].T + learned["0.bias"], 0)
    return hidden @ learned["2.weight"].T + learned["2.bias"]


def leave(state: Path, arrays: dict[str, Any], run_id: str = "run-1", number: int = 3) -> Path:
    """As `train` does after that round; gives the file."""
    folder = state / "parts"
    folder.mkdir(exist_ok=True)
    path = OwnPartsFolder(folder).path(run_id)
    write_file(path, encode_parts(OwnParts(run_id=run_id, round=number, trained_at=50.0, arrays=arrays)))
    return path
