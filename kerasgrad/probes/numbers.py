"""Numbers that are none among the data that a probe is given."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def not_finite(x: Any, y: Any = None) -> str:
    """Which of inputs and targets have NaN or infinity, in words, and in how many examples; `""` if neither has.

    Args:
        x: inputs, `[examples, ...]`, or a structure of such arrays.
        y: targets, likewise, or None.
    """
    said = []
    for name, part in (("x", x), ("y", y)):
        arrays = [np.asarray(leaf) for leaf in keras.tree.flatten(part) if leaf is not None]
        bad = [~np.isfinite(a.reshape(len(a), -1)).all(axis=1) for a in arrays if a.ndim and len(a) and a.dtype.kind == "f"]
        examples = int(np.any(bad, axis=0).sum()) if bad else 0
        if examples:
            said.append(f"{name} has NaN or infinity in {examples} of {len(bad[0])} examples")
    return " and ".join(said)
