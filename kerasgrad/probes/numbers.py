"""Numbers that are none among the data that a probe is given."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


def bad(part: Any) -> NDArray[np.bool_]:
    """Which examples of inputs or targets have NaN or infinity, `[examples]`; `[0]` where there are no floats.

    Args:
        part: an array `[examples, ...]`, or a structure of such, or None.
    """
    arrays = [np.asarray(leaf) for leaf in keras.tree.flatten(part) if leaf is not None]
    found = [~np.isfinite(a.reshape(len(a), -1)).all(axis=1) for a in arrays if a.ndim and len(a) and a.dtype.kind == "f"]
    return np.any(found, axis=0) if found else np.zeros(0, bool)


def not_finite(x: Any, y: Any = None) -> str:
    """Which of inputs and targets have NaN or infinity, in words, and in how many examples; `""` if neither has."""
    parts = [(name, bad(part)) for name, part in (("x", x), ("y", y))]
    return " and ".join(
        f"{name} has NaN or infinity in {rows.sum()} of {len(rows)} examples" for name, rows in parts if rows.any()
    )
