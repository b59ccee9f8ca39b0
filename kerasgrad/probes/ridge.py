"""Ridge regression with the penalty chosen by leaving one out, in closed form; NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PENALTIES = 10.0 ** np.arange(-6, 7)
"""Candidates, as shares of the mean squared singular value of the features."""
NEGLIGIBLE = 1e-10
"""Singular values below this share of the largest are rounding."""


def predictions(features: Array, targets: Array, others: Array) -> Array:
    """Fits targets to features and predicts those of other examples.

    Features are centred and scaled to deviation 1 (those that do not vary are left out), targets centred. With the singular
    value decomposition `X = U S V'`, the error of each example when it is left out is `(y - H y) / (1 - h)` with
    `H = 1/n + U S^2 / (S^2 + penalty) U'`, so that all penalties cost one decomposition.

    Args:
        features: `[examples, features]`.
        targets: `[examples, outputs]`.
        others: `[others, features]`.

    Returns:
        float64 `[others, outputs]`.

    References:
        Hoerl & Kennard 1970, Ridge regression. Golub, Heath & Wahba 1979, Generalized cross-validation, equation 1.2.
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    varies = deviation > NEGLIGIBLE * max(float(np.abs(features).max(initial=0.0)), 1e-300)
    scaled, unseen = ((part[:, varies] - mean[varies]) / deviation[varies] for part in (features, others))
    centre = targets.mean(axis=0)
    if not varies.any():
        return np.repeat(centre[None], len(others), axis=0)
    left, sizes, right = np.linalg.svd(scaled, full_matrices=False)
    kept = sizes > NEGLIGIBLE * sizes[0]
    left, sizes, right = left[:, kept], sizes[kept], right[kept]
    wanted = left.T @ (targets - centre)
    penalties = PENALTIES * np.square(sizes).mean()
    penalty = min(penalties, key=lambda p: _left_out(left, sizes, wanted, targets - centre, p))
    weights = right.T @ (wanted * (sizes / (np.square(sizes) + penalty))[:, None])
    return np.asarray(unseen @ weights + centre)


def _left_out(left: Array, sizes: Array, wanted: Array, targets: Array, penalty: float) -> float:
    """Mean squared error of the examples, each predicted from all others."""
    shrunk = np.square(sizes) / (np.square(sizes) + penalty)
    own = np.minimum(1 / len(left) + np.square(left) @ shrunk, 1 - 1e-9)
    residual = targets - left @ (shrunk[:, None] * wanted)
    return float(np.square(residual / (1 - own)[:, None]).mean())
