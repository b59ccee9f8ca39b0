"""Raw moments, as they leave the step, to the statistics of the catalogue; on the host, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasgrad.statistics.measure import ABSENT, GRADIENT_COLUMNS, LAYER_COLUMNS, OVERALL_COLUMNS
from kerasgrad.statistics.moments import COLUMNS

Array = NDArray[np.float64]

_GRADIENT = {name: i for i, name in enumerate(GRADIENT_COLUMNS)}
_NORMS = [_GRADIENT[name] for name in ("clipped_square_sum", "weight_square_sum", "update_square_sum")]
_LAYER = {name: i for i, name in enumerate(LAYER_COLUMNS)}


def merge_replicas(raw: dict[str, Array]) -> dict[str, Array]:
    """Adds up what the replicas of a strategy saw.

    Args:
        raw: arrays with the replicas on the leading axis.

    Returns:
        The arrays without that axis. Gradients, the loss and the scalars are the same on every replica already.
    """
    merged = {}
    for name, values in raw.items():
        if name == "layers":
            merged[name] = values.sum(axis=0)
            merged[name][:, _LAYER["max"]] = values[:, :, _LAYER["max"]].max(axis=0)
            merged[name][:, _LAYER["min"]] = values[:, :, _LAYER["min"]].min(axis=0)
        elif name == "units" or name.startswith("time/"):
            merged[name] = values.sum(axis=0)
        else:
            merged[name] = values[0]
    return merged


@dataclass(frozen=True)
class Statistics:
    """The statistics of one sample, by name; arrays have one entry a row."""

    variable: dict[str, Array]
    layer: dict[str, Array]
    overall: dict[str, float]


def statistics(raw: dict[str, Array], owners: NDArray[np.int64]) -> Statistics:
    """Computes every statistic that needs no memory of earlier samples.

    Args:
        raw: merged raw moments, see `measure.measure`.
        owners: layer row of each variable, -1 for none.

    Returns:
        The statistics. After a loss-scale overflow those of gradients and signals are NaN: the optimizer threw the
        gradients away, and they say nothing about the model.
    """
    columns, layers = raw["variables"].copy(), raw["layers"].copy()
    scalars = dict(zip(OVERALL_COLUMNS, raw["overall"].tolist(), strict=True))
    overflow = _overflowed(columns, scalars["loss_scale"])
    if overflow:
        columns[:, : len(COLUMNS)] = np.nan
        columns[:, _GRADIENT["clipped_square_sum"]] = ABSENT
        layers[:, _LAYER["signal_square_sum"]] = np.nan
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        variable = _of_gradients(columns)
        layer = _of_gradients(_by_layer(columns, owners, len(layers))) | _of_layers(layers)
        scalars["gradient_norm"] = float(np.sqrt(_together(columns)[_GRADIENT["square_sum"]]))
        scalars["loss_scale_overflow"] = float(overflow)
        if np.isnan(scalars["loss_scale"]):
            scalars["loss_scale"] = 1.0
        scalars |= through_depth(layer["signal_rms"][np.unique(owners[owners >= 0])])
    return Statistics(variable, layer, scalars)


def _overflowed(columns: Array, loss_scale: float) -> bool:
    """Whether loss scaling skipped the update: a gradient was not finite, and no weight moved."""
    bad = np.nansum(columns[:, _GRADIENT["nonfinite"]]) > 0
    updates = columns[:, _GRADIENT["update_square_sum"]]
    moved = (updates[updates != ABSENT] != 0).any()
    return bool(not np.isnan(loss_scale) and bad and not moved)


def _by_layer(columns: Array, owners: NDArray[np.int64], layers: int) -> Array:
    """The same columns for all variables of each layer together."""
    return np.stack([_together(columns[owners == row]) for row in range(layers)]) if layers else columns[:0]


def _together(columns: Array) -> Array:
    """One row for several variables: of each column the sum over those that have it, a NaN among them included."""
    merged = np.full(columns.shape[1], np.nan)
    merged[_NORMS] = ABSENT
    given = columns[~np.isnan(columns[:, _GRADIENT["zeros"]])]
    if len(given):
        merged[: len(COLUMNS)] = given[:, : len(COLUMNS)].sum(axis=0)
        merged[_GRADIENT["max"]] = given[:, _GRADIENT["max"]].max()
        merged[_GRADIENT["min"]] = given[:, _GRADIENT["min"]].min()
    for column in _NORMS:
        taken = columns[columns[:, column] != ABSENT, column]
        merged[column] = taken.sum() if len(taken) else ABSENT
    return merged


def _norm(square_sum: Array) -> Array:
    return np.sqrt(np.where(square_sum == ABSENT, np.nan, square_sum))


def _of_gradients(columns: Array) -> dict[str, Array]:
    count, square_sum, total, high, low, zeros, nonfinite, clipped, weight, update = columns.T
    weight_norm, update_norm = _norm(weight), _norm(update)
    return {
        "gradient_norm": np.sqrt(square_sum),
        "gradient_mean": total / count,
        "gradient_std": _deviation(count, square_sum, total),
        "gradient_max": np.maximum(np.abs(high), np.abs(low)),
        "gradient_zeros": zeros / count,
        "gradient_nonfinite": nonfinite,
        "gradient_norm_clipped": _norm(clipped),
        "weight_norm": weight_norm,
        "update_norm": update_norm,
        "update_ratio": np.where(weight_norm == 0, np.nan, update_norm / weight_norm),
    }


def _of_layers(columns: Array) -> dict[str, Array]:
    count, square_sum, total, high, low, zeros, nonfinite, signal_count, signal, saturated = columns.T
    return {
        "activation_mean": total / count,
        "activation_std": _deviation(count, square_sum, total),
        "activation_max": np.maximum(np.abs(high), np.abs(low)),
        "activation_zeros": zeros / count,
        "activation_nonfinite": nonfinite,
        "signal_rms": np.sqrt(signal / signal_count),
        "saturated_fraction": saturated / count,
    }


def _deviation(count: Array, square_sum: Array, total: Array) -> Array:
    return np.asarray(np.sqrt(np.maximum(square_sum / count - np.square(total / count), 0.0)))


def through_depth(signal: Array) -> dict[str, float]:
    """How the signal changes from the output back to the input.

    Args:
        signal: `signal_rms` of the layers that own variables, in depth order.

    Returns:
        `depth_ratio` and `decay_factor`, see the catalogue; NaN for fewer than two layers with a signal.
    """
    given = signal[~np.isnan(signal)]
    if len(given) < 2:
        return {"depth_ratio": float("nan"), "decay_factor": float("nan")}
    quarter = max(1, len(given) // 4)
    first, last = (float(np.sqrt(np.mean(np.square(s)))) for s in (given[:quarter], given[-quarter:]))
    depth = np.flatnonzero(np.isfinite(signal) & (signal > 0))
    slope: Any = np.polyfit(depth, np.log(signal[depth]), 1)[0] if len(depth) > 1 else float("nan")
    ratio = first / last if last > 0 else float("nan")
    return {"depth_ratio": ratio, "decay_factor": float(np.exp(-slope))}
