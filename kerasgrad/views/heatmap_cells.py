"""What the cells of a picture mean: a number, not a number, or not examined."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasgrad.catalogue import STATISTICS

USUAL_UPDATE_RATIO = (1e-4, 1e-1)
"""Where the update-to-weight ratio usually is (TheDeepChecker); about 1e-3 in the middle of training (Karpathy 2022)."""

SHARES = tuple(s.name for s in STATISTICS if s.of == "layer" and s.scale == "share")
"""Statistics from 0 to 1, drawn on a linear scale; the others are magnitudes over many orders."""

BAD, NOT_EXAMINED = "#b4000f", "#c9c9c9"
"""Colours of cells that are no numbers, and of those that hold nothing."""

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6d1f", "#7f7f7f")
"""Okabe and Ito's, which colour-blind people can tell apart."""

TICKS = 40
"""Most layer names on an axis; of deeper models every second, third ... is named."""

LOWEST_DECADES = 16.0
"""A logarithmic scale ends this many factors of ten below its top: float32 resolves 7, so twice that and a little."""


def bad(values: NDArray[np.float32], nonfinite: NDArray[np.float32] | None = None) -> NDArray[np.bool_]:
    """Which cells were measured and are not numbers, as against those that were not examined.

    A statistic is NaN in both cases. It was measured if its own row counts non-finite entries, or if some row does at that
    sample and this row has a number at another.

    Args:
        values: float32 `[samples, rows]`, of one statistic of the layers.
        nonfinite: non-finite entries of what the statistic is made of, float32 `[samples, rows]`; None if not known.

    Returns:
        bool `[samples, rows]`.
    """
    nan = np.isnan(values)
    found = np.isinf(values)
    if nonfinite is None or not nan.any():
        return found
    counted = nonfinite > 0
    somewhere = counted.any(axis=1, keepdims=True) & ~nan.all(axis=0, keepdims=True)
    return np.asarray(found | (nan & (counted | somewhere)))


def bad_over_time(values: NDArray[np.float32], gradient_norm: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The same of a signal over time, which nothing counts: it is no number where the gradient of the step was none.

    Args:
        values: float32 `[samples, time]`, NaN also where sequences were shorter or masked.
        gradient_norm: of the whole model, float32 `[samples]`.

    Returns:
        bool `[samples, time]`.
    """
    return np.asarray(np.isinf(values) | (np.isnan(values) & ~np.isfinite(gradient_norm)[:, None]))


def witness(statistic: str) -> str:
    """The statistic that counts the non-finite entries behind another one of the layers."""
    of_activations = statistic.startswith("activation_") or statistic in SHARES[2:4] or statistic == SHARES[5]
    return "activation_nonfinite" if of_activations else "gradient_nonfinite"


def is_logarithmic(statistic: str) -> bool:
    """Whether a statistic spans orders of magnitude, rather than 0 to 1 or a count."""
    return statistic not in SHARES and not statistic.endswith("_nonfinite")


def span(values: Any, logarithmic: bool) -> tuple[float, float]:
    """The ends of the colour scale that shows all of some values.

    Args:
        values: any array; what is not finite, and on a logarithmic scale what is 0, is left out.
        logarithmic: whether the scale is; signed values then count by their size.

    Returns:
        Lowest and highest value, of log10 if logarithmic; (0, 1) where there is nothing to show.
    """
    finite = np.asarray(values)[np.isfinite(values)]
    if logarithmic:
        finite = np.abs(finite)
        finite = np.log10(finite[finite > 0])
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    low = max(low, high - LOWEST_DECADES) if logarithmic else min(low, 0.0)
    return (low, high) if high > low else (low, low + 1.0)
