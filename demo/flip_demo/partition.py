"""Divides labelled samples so that devices differ, as real ones do (Hsu et al., arXiv:1909.06335)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LEAST = 40
"""Samples of a device: below that its held-out part says nothing."""
FEWEST = 5
"""Samples of a virtual device in a lab: one of them is held out."""


@dataclass(frozen=True, slots=True)
class Part:
    x: NDArray[np.float32]
    """[n, ...]: the samples."""
    y: NDArray[np.int64]
    """[n]: their classes."""


@dataclass(frozen=True, slots=True)
class Split:
    devices: list[Part]
    held_back: Part
    """For the judgement alone: never on a device."""


def written(parts: Sequence[Part], folder: Path) -> list[dict[str, str]]:
    """Each part as a file in the folder, as devices' `node_config` names it."""
    paths = [folder / f"{number}.npz" for number in range(1, len(parts) + 1)]
    for path, part in zip(paths, parts, strict=True):
        np.savez(path, x=part.x, y=part.y)
    return [{"data": str(path)} for path in paths]


def by_class(
    labels: NDArray[np.int64], devices: int, alpha: float, random: np.random.Generator, least: int = LEAST
) -> list[NDArray[np.intp]]:
    """Indices for each device, every sample once. Shares of each class are drawn from Dirichlet(alpha) until all
    devices have `least` samples. Raises `ValueError` when there are too few for that many devices."""
    if len(labels) < 2 * least * devices:
        raise ValueError(f"{len(labels)} samples are too few for {devices} devices")
    while True:
        parts = _draw(labels, devices, alpha, random)
        if min(map(len, parts)) >= least:
            return parts


def _draw(labels: NDArray[np.int64], devices: int, alpha: float, random: np.random.Generator) -> list[NDArray[np.intp]]:
    parts: list[list[NDArray[np.intp]]] = [[] for _ in range(devices)]
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        bounds = (np.cumsum(random.dirichlet([alpha] * devices))[:-1] * len(members)).astype(int)
        for part, share in zip(parts, np.split(members, bounds), strict=True):
            part.append(share)
    return [random.permutation(np.concatenate(part)) for part in parts]
