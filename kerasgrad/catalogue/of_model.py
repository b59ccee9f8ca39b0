"""Statistics of the whole model: one number a sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kerasgrad.catalogue.statistic import Moments, Statistic

Array = NDArray[np.float64]


def depth_ratio(moments: Moments) -> Array:
    """RMS of the signal over the first quarter of the layers that own variables, over the same of the last quarter.

    Args:
        moments: `depth.signal_rms`, `signal_rms` of the layers that own variables, in depth order, `[samples, layers]`.

    Returns:
        `[samples]`; NaN for fewer than two layers with a signal.
    """
    signal = moments["depth.signal_rms"]
    given = ~np.isnan(signal)
    number = given.cumsum(axis=1)
    total = given.sum(axis=1, keepdims=True)
    quarter = np.maximum(1, total // 4)
    first, last = (
        np.where(part, np.square(signal), 0.0).sum(axis=1) / part.sum(axis=1)
        for part in (given & (number <= quarter), given & (number > total - quarter))
    )
    ratio = np.where(last > 0, np.sqrt(first) / np.sqrt(last), np.nan)
    return np.where(total[:, 0] < 2, np.nan, ratio)


def decay_factor(moments: Moments) -> Array:
    """`exp(-slope)` of the least-squares line through the logarithm of the signal against depth; arguments as above."""
    signal = moments["depth.signal_rms"]
    slope = _slope(np.where(np.isfinite(signal) & (signal > 0), np.log(signal), np.nan))
    return np.where((~np.isnan(signal)).sum(axis=1) < 2, np.nan, np.exp(-slope))


def _slope(values: Array) -> Array:
    """Slope of the least-squares line through each row against its position; NaN entries are left out."""
    given = ~np.isnan(values)
    count = given.sum(axis=1, keepdims=True)
    position = np.where(given, np.arange(values.shape[1], dtype=float), 0.0)
    position = np.where(given, position - position.sum(axis=1, keepdims=True) / count, 0.0)
    return np.asarray((position * np.where(given, values, 0.0)).sum(axis=1) / np.square(position).sum(axis=1))


def _dead_fraction(moments: Moments) -> Array:
    """Dead units over all layers that saw any; a layer that was not called counts on neither side."""
    silent, count = moments["units.silent"], moments["units.count"]
    seen = ~np.isnan(silent)
    return np.asarray(np.where(seen, silent, 0.0).sum(axis=1) / np.where(seen, count, 0.0).sum(axis=1))


OF_MODEL: tuple[Statistic, ...] = (
    Statistic(
        "loss",
        "overall",
        "loss",
        "what the step differentiates, unscaled; summed over its gradient calls",
        moments=("step.loss",),
        group="Model",
    ),
    Statistic(
        "gradient_norm",
        "overall",
        "loss/weight",
        "sqrt(sum g^2) over all trainable variables",
        moments=("gradient.square_sum",),
        finish=lambda m: np.sqrt(m["gradient.square_sum"]),
        group="Model",
    ),
    Statistic(
        "dead_fraction",
        "overall",
        "1",
        "dead units / units, over all layers watched for death",
        moments=("units.silent", "units.count"),
        finish=_dead_fraction,
        scale="share",
        group="Model",
    ),
    Statistic(
        "depth_ratio",
        "overall",
        "1",
        "RMS of signal_rms over the first quarter of the layers that own variables / the same over the last quarter",
        moments=("depth.signal_rms",),
        finish=depth_ratio,
        group="Model",
    ),
    Statistic(
        "decay_factor",
        "overall",
        "1",
        "exp(-slope) of the least-squares line through log(signal_rms) against depth, over the same layers: what one "
        "layer leaves of the signal on its way back to the input (0.25: it shrinks fourfold per layer)",
        "Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks",
        moments=("depth.signal_rms",),
        finish=decay_factor,
        group="Model",
    ),
    Statistic(
        "loss_scale",
        "overall",
        "1",
        "the factor of a loss-scaling optimizer, 1 where there is none",
        moments=("step.loss_scale",),
        finish=lambda m: np.where(np.isnan(m["step.loss_scale"]), 1.0, m["step.loss_scale"]),
        group="Model",
    ),
    Statistic(
        "loss_scale_overflow",
        "overall",
        "1",
        "1 where loss scaling overflowed and skipped the update, else 0",
        moments=("step.overflow",),
        scale="count",
        group="Model",
    ),
    Statistic(
        "learning_rate",
        "overall",
        "1",
        "the rate of the first optimizer that was applied in the step",
        moments=("step.learning_rate",),
        group="Model",
    ),
    Statistic(
        "iteration",
        "overall",
        "updates",
        "that optimizer's own counter before the step",
        moments=("step.iteration",),
        scale="linear",
        group="Model",
    ),
    Statistic(
        "sample_seconds",
        "overall",
        "s",
        "what this sample cost: its step less a usual step, and its bookkeeping",
        moments=("monitor.sample_seconds",),
        group="Model",
    ),
    Statistic(
        "overhead",
        "overall",
        "1",
        "share of the training time so far that was spent on samples, tracing apart",
        moments=("monitor.overhead",),
        scale="share",
        group="Model",
    ),
    Statistic(
        "examples",
        "overall",
        "count",
        "length of the first axis of the first tensor with axes that the step is given, summed over replicas: its batch",
        moments=("step.examples",),
        scale="count",
        group="Model",
    ),
)
