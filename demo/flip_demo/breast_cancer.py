"""scikit-learn's breast cancer data, divided among hospitals with different shares of either class."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer

from flip_demo.partition import FEWEST, LEAST, Part, Split, by_class, written


def split(seed: int, devices: int, alpha: float = 1.0, held_back: float = 0.2, least: int = LEAST) -> Split:
    """The same for the same arguments. Class shares are drawn from Dirichlet(alpha): the smaller, the less alike;
    each device has `least` samples or more.

    x: [n, 30], standardised by mean and deviation of all that is on devices; y: 0 malignant, 1 benign.
    """
    features, labels = load_breast_cancer(return_X_y=True)
    y = labels.astype(np.int64)
    random = np.random.default_rng(seed)
    order = random.permutation(len(y))
    kept = int(len(y) * held_back)
    given = order[kept:]
    x = ((features - features[given].mean(axis=0)) / features[given].std(axis=0)).astype(np.float32)
    parts = by_class(y[given], devices, alpha, random, least)
    return Split(
        devices=[Part(x[given[part]], y[given[part]]) for part in parts],
        held_back=Part(x[order[:kept]], y[order[:kept]]),
    )


def give_out(folder: Path, devices: int, seed: int) -> list[dict[str, str]]:
    """For a lab: each device's `node_config`. Raises `ValueError` for too many devices."""
    return written(split(seed, devices, least=FEWEST).devices, folder)
