"""Raw moments, as they leave the step, to the statistics of the catalogue; on the host, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kerasgrad.statistics.measure import ABSENT, GRADIENT_COLUMNS, LAYER_COLUMNS, OVERALL_COLUMNS
from kerasgrad.statistics.moments import COLUMNS

Array = NDArray[np.float64]

_GRADIENT = {name: i for i, name in enumerate(GRADIENT_COLUMNS)}
_NORMS = slice(len(COLUMNS), None)  # clipped, weight, update: where one was not taken it is ABSENT
_EXAMPLES = OVERALL_COLUMNS.index("examples")
_LAYER = {name: i for i, name in enumerate(LAYER_COLUMNS)}


def merge_replicas(name: str, values: Array) -> Array:
    """Adds up what the replicas of a strategy saw.

    Args:
        name: of the tensor, see `measure.measure`.
        values: `[replicas, ...]`.

    Returns:
        The array without that axis. Gradients, the loss and the scalars are the same on every replica already, but for
        the number of examples.
    """
    if name == "units" or name.startswith("time/"):
        return np.asarray(values.sum(axis=0))
    if name == "overall":
        merged = np.array(values[0])
        merged[_EXAMPLES] = values[:, _EXAMPLES].sum()
        return merged
    if name != "layers":
        return np.asarray(values[0])
    merged = np.asarray(values.sum(axis=0))
    merged[:, _LAYER["largest"]] = values[:, :, _LAYER["largest"]].max(axis=0)
    return merged


@dataclass(frozen=True)
class Statistics:
    """The statistics of some samples, by name: `[samples, rows]`, and `[samples]` for the whole model."""

    variable: dict[str, Array]
    layer: dict[str, Array]
    overall: dict[str, Array]


def statistics(columns: Array, layers: Array, scalars: Array, owners: NDArray[np.int64]) -> Statistics:
    """Computes every statistic that needs no memory of earlier samples, for some samples at once.

    Args:
        columns: raw moments of the variables, `[samples, rows, GRADIENT_COLUMNS]`.
        layers: those of the layers, `[samples, rows, LAYER_COLUMNS]`.
        scalars: `[samples, OVERALL_COLUMNS]`.
        owners: layer row of each variable in ascending order, -1 for none.

    Returns:
        The statistics. After a loss-scale overflow those of gradients and signals are NaN: the optimizer threw the
        gradients away, and they say nothing about the model.
    """
    overall = {name: scalars[:, i].copy() for i, name in enumerate(OVERALL_COLUMNS)}
    overflow = _overflowed(columns, overall["loss_scale"])
    if overflow.any():
        columns, layers = columns.copy(), layers.copy()
        columns[overflow, :, : len(COLUMNS)] = np.nan
        columns[overflow, :, _GRADIENT["clipped_square_sum"]] = ABSENT
        layers[overflow, :, _LAYER["signal_square_sum"]] = np.nan
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        together = _merged(columns, np.zeros(len(owners), np.int64), 1)
        variable = _of_gradients(columns)
        layer = _of_gradients(_merged(columns, owners, layers.shape[1])) | _of_layers(layers)
        overall["gradient_norm"] = np.sqrt(together[:, 0, _GRADIENT["square_sum"]])
        overall["loss_scale_overflow"] = overflow.astype(float)
        overall["loss_scale"][np.isnan(overall["loss_scale"])] = 1.0
        overall |= through_depth(layer["signal_rms"][:, np.unique(owners[owners >= 0])])
    return Statistics(variable, layer, overall)


def _overflowed(columns: Array, loss_scale: Array) -> NDArray[np.bool_]:
    """Whether loss scaling skipped the update: a gradient was not finite, and no weight moved."""
    bad = np.nansum(columns[:, :, _GRADIENT["nonfinite"]], axis=1) > 0
    updates = columns[:, :, _GRADIENT["update_square_sum"]]
    moved = ((updates != ABSENT) & (updates != 0)).any(axis=1)
    return np.asarray(~np.isnan(loss_scale) & bad & ~moved)


def _merged(columns: Array, owners: NDArray[np.int64], layers: int) -> Array:
    """One row for all variables of each layer: of each column what those have that have it, a NaN among them included."""
    merged = np.full((len(columns), layers, columns.shape[2]), np.nan)
    merged[:, :, _NORMS] = ABSENT
    owned = owners >= 0
    if not owned.any():
        return merged
    columns, rows = columns[:, owned], owners[owned]
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    has_gradient = ~np.isnan(columns[:, :, [_GRADIENT["zeros"]]])
    has_norm = columns[:, :, _NORMS] != ABSENT
    largest = _GRADIENT["largest"]
    for part, present, how, blank, missing in (
        (slice(0, largest), has_gradient, np.add, 0.0, np.nan),
        (slice(largest, largest + 1), has_gradient, np.maximum, 0.0, np.nan),
        (_NORMS, has_norm, np.add, 0.0, ABSENT),
    ):
        found = how.reduceat(np.where(present, columns[:, :, part], blank), starts, axis=1)
        any_present = np.logical_or.reduceat(present, starts, axis=1)
        merged[:, rows[starts], part] = np.where(any_present, found, missing)
    return merged


def _norm(square_sum: Array) -> Array:
    return np.sqrt(np.where(square_sum == ABSENT, np.nan, square_sum))


def _of_gradients(columns: Array) -> dict[str, Array]:
    count, zeros, nonfinite, square_sum, total, largest, clipped, weight, update = np.moveaxis(columns, 2, 0)
    weight_norm, update_norm = _norm(weight), _norm(update)
    return {
        "gradient_norm": np.sqrt(square_sum),
        "gradient_mean": total / count,
        "gradient_std": _deviation(count, square_sum, total),
        "gradient_max": largest,
        "gradient_zeros": zeros / count,
        "gradient_nonfinite": nonfinite,
        "gradient_norm_clipped": _norm(clipped),
        "weight_norm": weight_norm,
        "update_norm": update_norm,
        "update_ratio": np.where(weight_norm == 0, np.nan, update_norm / weight_norm),
    }


def _of_layers(columns: Array) -> dict[str, Array]:
    count, zeros, nonfinite, square_sum, total, largest, signal_count, signal, saturated = np.moveaxis(columns, 2, 0)
    return {
        "activation_mean": total / count,
        "activation_std": _deviation(count, square_sum, total),
        "activation_max": largest,
        "activation_zeros": zeros / count,
        "activation_nonfinite": nonfinite,
        "signal_rms": np.sqrt(signal / signal_count),
        "saturated_fraction": saturated / count,
    }


def _deviation(count: Array, square_sum: Array, total: Array) -> Array:
    return np.asarray(np.sqrt(np.maximum(square_sum / count - np.square(total / count), 0.0)))


def through_depth(signal: Array) -> dict[str, Array]:
    """How the signal changes from the output back to the input.

    Args:
        signal: `signal_rms` of the layers that own variables, in depth order, `[samples, layers]`.

    Returns:
        `depth_ratio` and `decay_factor`, see the catalogue; NaN for fewer than two layers with a signal.
    """
    given = ~np.isnan(signal)
    number = given.cumsum(axis=1)
    total = given.sum(axis=1, keepdims=True)
    quarter = np.maximum(1, total // 4)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_squares = [
            np.where(part, np.square(signal), 0.0).sum(axis=1) / part.sum(axis=1)
            for part in (given & (number <= quarter), given & (number > total - quarter))
        ]
        ratio = np.where(mean_squares[1] > 0, np.sqrt(mean_squares[0]) / np.sqrt(mean_squares[1]), np.nan)
        slope = _slope(np.where(np.isfinite(signal) & (signal > 0), np.log(signal), np.nan))
    few = total[:, 0] < 2
    return {"depth_ratio": np.where(few, np.nan, ratio), "decay_factor": np.where(few, np.nan, np.exp(-slope))}


def _slope(values: Array) -> Array:
    """Slope of the least-squares line through each row against its position; NaN entries are left out."""
    given = ~np.isnan(values)
    count = given.sum(axis=1, keepdims=True)
    position = np.where(given, np.arange(values.shape[1], dtype=float), 0.0)
    position = np.where(given, position - position.sum(axis=1, keepdims=True) / count, 0.0)
    return np.asarray((position * np.where(given, values, 0.0)).sum(axis=1) / np.square(position).sum(axis=1))
