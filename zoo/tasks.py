"""Things to learn: seeded, shaped, small."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
Split = tuple[tuple[Floats, Labels], tuple[Floats, Labels]]


def digits(seed: int = 0) -> Split:
    """The 1,797 handwritten digits, 8 x 8 pixels, that come with scikit-learn; no download.

    Args:
        seed: of the shuffle that splits them.

    Returns:
        `(x, y), (x_test, y_test)`: 1,437 and 360 examples; `x` float32 `[examples, 64]`, standardised with the mean and
        deviation of the training pixels; `y` int64 `[examples]`, 0 to 9.

    Raises:
        ImportError: scikit-learn is not installed.

    References:
        Alpaydin & Kaynak 1998, Optical recognition of handwritten digits, UCI repository.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("The digits come with scikit-learn: pip install 'kerasgrad[zoo]'") from error
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    x, y = images[order].astype(np.float32), labels[order].astype(np.int64)
    x, x_test = _standardised(x[:1437], x[1437:])
    return (x, y[:1437]), (x_test, y[1437:])


def _standardised(train: Any, test: Any) -> tuple[Floats, Floats]:
    mean, deviation = train.mean(), train.std()
    return (train - mean) / deviation, (test - mean) / deviation
