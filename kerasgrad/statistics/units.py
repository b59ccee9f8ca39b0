"""Follows single units: when each last fired, so that born dead, died at step N and revived can be told apart."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kerasgrad.run import Units

DORMANT = 0.025
"""tau of Sokar et al. 2023 (they report 0, 0.025 and 0.1)."""
DORMANT_SIGNAL = 0.01
"""tau of GraMa for the magnitude of the signal."""


@dataclass
class UnitHistory:
    """The memory behind `dead_fraction` for one layer.

    Args:
        units: what is known so far; changed in place.
        window: samples without firing after which a unit counts as dead.
    """

    units: Units
    window: int
    _samples: int = 0
    _last_sample: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        # What fired in an earlier session counts as having fired just before this one.
        self._last_sample = np.where(self.units.last_fired >= 0, 0, -1)
        self._samples = int((self.units.last_fired >= 0).any())

    def dead_fraction(self, activity: NDArray[np.float64], step: int) -> float:
        """Takes in one sample.

        Args:
            activity: sum of |a| for each unit, `[units]`; NaN throughout if the layer was not called.
            step: the sample's step.

        Returns:
            Share of units that fired for no example of the last `window` samples; NaN if there was nothing to see.
        """
        if np.isnan(activity).all():
            return float("nan")
        fired = activity != 0
        dead = self._dead()
        self.units.revivals[fired & dead & (self._samples >= self.window)] += 1
        self.units.last_fired[fired] = step
        self._last_sample[fired] = self._samples
        self._samples += 1
        self.units.samples += 1
        return float(self._dead().mean())

    def _dead(self) -> NDArray[np.bool_]:
        return np.asarray(self._last_sample < max(0, self._samples - self.window))


def dormant_fraction(magnitude: NDArray[np.float64], threshold: float) -> float:
    """Share of units whose magnitude is at most `threshold` of the layer's mean.

    Args:
        magnitude: sum or mean of |a| or |s| for each unit, `[units]`.
        threshold: `DORMANT` or `DORMANT_SIGNAL`.

    Returns:
        The share; 1 if all are zero, NaN if any is NaN.

    References:
        Sokar et al. 2023, The dormant neuron phenomenon in deep reinforcement learning, definition 3.1.
    """
    if not len(magnitude) or np.isnan(magnitude).any():
        return float("nan")
    return float((magnitude <= threshold * magnitude.mean()).mean())
