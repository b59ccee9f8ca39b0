"""What every task gives: arrays to train on and arrays held out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Examples = tuple[NDArray[Any], NDArray[Any]]
Split = tuple[Examples, Examples]
"""`(x, y), (x_test, y_test)`."""


def standardized(train: Any, test: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both less the mean of the training data and divided by its deviation: one number each for all entries."""
    mean, deviation = train.mean(), train.std()
    return ((train - mean) / deviation).astype(np.float32), ((test - mean) / deviation).astype(np.float32)


def split(x: Any, y: Any, held_out: float = 0.2) -> Split:
    """The last share of the examples held out."""
    kept = len(x) - round(len(x) * held_out)
    return (x[:kept], y[:kept]), (x[kept:], y[kept:])
