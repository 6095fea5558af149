"""scikit-learn's digits, divided among devices that see different classes, with a part that no device is ever given."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from flip_demo.partition import FEWEST, LEAST, Part, Split, by_class, written

CLASSES = 10


def split(seed: int, devices: int, alpha: float = 0.3, held_back: float = 0.2, least: int = LEAST) -> Split:
    """The same for the same arguments. Class shares are drawn from Dirichlet(alpha): the smaller, the less alike;
    each device has `least` samples or more.

    x: images, [n, 1, 8, 8], scaled to [0, 1]; y: the digit.
    """
    pixels, labels = load_digits(return_X_y=True)
    x = (pixels / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
    y = labels.astype(np.int64)
    random = np.random.default_rng(seed)
    order = random.permutation(len(y))
    kept = int(len(y) * held_back)
    parts = by_class(y[order[kept:]], devices, alpha, random, least)
    return Split(
        devices=[Part(x[order[kept:]][part], y[order[kept:]][part]) for part in parts],
        held_back=Part(x[order[:kept]], y[order[:kept]]),
    )


def give_out(folder: Path, devices: int, seed: int) -> list[dict[str, str]]:
    """For a lab: each device's `node_config`. Raises `ValueError` for too many devices."""
    return written(split(seed, devices, alpha=1.0, least=FEWEST).devices, folder)
