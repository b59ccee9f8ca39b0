"""Follows single units: when each last fired, so that born dead, died at step N and revived can be told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasgrad.run import Units


class UnitHistory:
    """The memory behind `dead_fraction`: all units of all layers in one row, so that a sample is a few array operations.

    Args:
        units: what is known so far, by layer; changed in place.
        window: samples without firing after which a unit counts as dead.
    """

    def __init__(self, units: dict[str, Units], window: int) -> None:
        self.units = list(units.values())
        self.window = window
        counts = [len(known.last_fired) for known in self.units]
        self.layers = UnitLayout(np.array(counts, np.int64))
        self._last_fired = np.concatenate([np.zeros(0, np.int64), *(known.last_fired for known in self.units)])
        self._revivals = np.concatenate([np.zeros(0, np.int64), *(known.revivals for known in self.units)])
        for known, fired, revivals in zip(
            self.units, self.layers.split(self._last_fired), self.layers.split(self._revivals), strict=True
        ):
            known.last_fired, known.revivals = fired, revivals  # views: what changes here shows there
        # What fired in an earlier session counts as having fired just before this one.
        before = self._last_fired >= 0
        self._last_sample = np.where(before, 0, -1)
        self._samples = (self.layers.sum(before) > 0).astype(np.int64)

    def silent(self, activity: NDArray[np.float64], step: int) -> NDArray[np.float64]:
        """Takes in one sample.

        Args:
            activity: sum of |a| for each unit, `[units of all layers]`; NaN throughout a layer that was not called.
            step: the sample's step.

        Returns:
            For each layer, how many units fired for no example of the last `window` samples; NaN if there was nothing to
            see.
        """
        seen = np.ones(len(self.units), bool)
        if np.isnan(activity).any():
            seen = self.layers.sum(~np.isnan(activity)) > 0
        samples = self._each(self._samples)
        fired = (activity != 0) & self._each(seen)
        back = fired & (self._last_sample < samples - self.window)
        self._revivals += back
        np.copyto(self._last_fired, step, where=fired)
        np.copyto(self._last_sample, samples, where=fired)
        self._samples += seen
        for known, is_seen in zip(self.units, seen.tolist(), strict=True):
            known.samples += is_seen
        silent = self._last_sample < np.maximum(0, self._each(self._samples) - self.window)
        return np.where(seen, self.layers.sum(silent), np.nan)

    def _each(self, values: NDArray[Any]) -> Any:
        """The value of each unit's layer; one for all where they are the same, as they mostly are."""
        same = len(values) > 0 and (values == values[0]).all()
        return values[0] if same else self.layers.spread(values)


@dataclass(frozen=True)
class UnitLayout:
    """Where the units of each layer lie in a row of all units.

    Attributes:
        counts: number of units of each layer, at least 1.
    """

    counts: NDArray[np.int64]

    def split(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """The part of each layer, as views."""
        return np.split(values, np.cumsum(self.counts)[:-1]) if len(self.counts) else []

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """One value of each layer, for each of its units."""
        return np.repeat(values, self.counts, axis=-1)

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum over the units of each layer, `[..., units]` to `[..., layers]`."""
        starts = np.cumsum(self.counts) - self.counts
        wide = np.int64 if values.dtype == bool else values.dtype
        if not len(starts):
            return np.zeros((*values.shape[:-1], 0), wide)
        return np.add.reduceat(values, starts, axis=-1, dtype=wide)

    def mean(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Mean over the units of each layer."""
        return np.asarray(self.sum(values) / self.counts)


@dataclass(frozen=True)
class PerUnit:
    """A magnitude of every unit that is followed, over some samples.

    Attributes:
        values: sum or mean of |a| or |s|, `[samples, units of all layers]`.
        layers: where the units of each layer lie.
        rows: row of each of these layers among all.
        count: number of all rows.
    """

    values: NDArray[np.float64]
    layers: UnitLayout
    rows: NDArray[np.int64]
    count: int

    def share_below(self, threshold: float) -> NDArray[np.float64]:
        """Share of each layer's units whose magnitude is at most `threshold` of the layer's mean.

        Args:
            threshold: such as `catalogue.of_layers.DORMANT`.

        Returns:
            `[samples, rows]`: 1 where all are zero, NaN where any is NaN and in rows without such units.

        References:
            Sokar et al. 2023, The dormant neuron phenomenon in deep reinforcement learning, definition 3.1.
        """
        mean = self.layers.mean(self.values)
        with np.errstate(invalid="ignore"):
            low = self.layers.mean(self.values <= threshold * self.layers.spread(mean))
        return self.in_rows(np.where(np.isnan(mean), np.nan, low))

    def in_rows(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is known of these layers, `[samples, layers]`, among all rows; NaN in the others."""
        found = np.full((len(values), self.count), np.nan)
        found[:, self.rows] = values
        return found
