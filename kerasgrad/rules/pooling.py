"""Where a mean over positions stands between two layers: it divides a signal, per entry, by the positions; nothing is lost.

Pooling has no weights, so that it shows in the sizes alone: behind convolutions, a kernel with as many inputs as the last of
them has channels sees no positions any more. A convolution has several inputs for each channel of the layer before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgrad.rules.evidence import Evidence

PATCHES = (3, 4, 5, 7, 9, 11, 25, 27, 49, 121)
"""Inputs per channel of a usual convolution: 3 to 11 in a row, 2 x 2 to 11 x 11, 3 x 3 x 3."""
MOST = 1.8
"""Orders of magnitude at most that a mean over the last maps takes: 64 positions, as many as nets for CIFAR-10 end with (He
et al. 2016); those for ImageNet end with 49. The number itself is not recorded."""


def pooled(seen: Evidence) -> int | None:
    """Place, among the layers with weights, of the first one that sees no positions any more; None if there is none."""
    channels, maps = 0, False
    for place, row in enumerate(seen.learners):
        sizes = _sizes(seen, row)
        units = sizes.get("bias") or sizes.get("gamma") or _normalised(seen, place)
        inputs = sizes.get("kernel", 0) // units if units else 0
        if inputs and channels:
            if maps and inputs == channels:
                return place
            maps = maps or (inputs % channels == 0 and inputs // channels in PATCHES)
        channels = units or channels
    return None


def without_division(levels: Any, *, place: int | None) -> Any:
    """Levels of a signal as they would be without the division by positions.

    Args:
        levels: log10 of the signal by depth, `[..., layers]`, of the layers with weights that have one.
        place: the first of them behind the mean, None if there is none.

    Returns:
        Those before it raised by what is lost in that one step, at most by `MOST`.
    """
    if place is None or place == 0:
        return levels
    lost = np.clip(levels[..., place] - levels[..., place - 1], 0.0, MOST)
    before = np.arange(levels.shape[-1]) < place
    return levels + np.where(before, np.nan_to_num(lost)[..., None], 0.0)


def _sizes(seen: Evidence, row: Any) -> dict[str, int]:
    own = np.flatnonzero(seen.owners == row)
    return {seen.run.variables[i].rpartition("/")[2]: seen.run.schema.sizes[i] for i in own}


def _normalised(seen: Evidence, place: int) -> int:
    """Units of a layer without a bias, by the normalisation behind it; 0 if there is none."""
    return _sizes(seen, seen.learners[place + 1]).get("gamma", 0) if place + 1 < len(seen.learners) else 0
