"""The handwritten digits that come with scikit-learn, in three forms."""

from __future__ import annotations

import numpy as np

from zoo.tasks.split import Split, standardized

TRAINING = 1437
"""Of 1,797, four fifths."""


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
    x, x_test = standardized(x[:TRAINING], x[TRAINING:])
    return (x, y[:TRAINING]), (x_test, y[TRAINING:])


def digits_sequence(seed: int = 0) -> Split:
    """The digits read pixel by pixel: `x` float32 `[examples, 64 steps, 1]`. Else as `digits`."""
    (x, y), (x_test, y_test) = digits(seed)
    return (x[:, :, None], y), (x_test[:, :, None], y_test)


def digits_images(seed: int = 0) -> Split:
    """The digits as images: `x` float32 `[examples, 8, 8, 1]`. Else as `digits`."""
    (x, y), (x_test, y_test) = digits(seed)
    return (x.reshape(-1, 8, 8, 1), y), (x_test.reshape(-1, 8, 8, 1), y_test)
