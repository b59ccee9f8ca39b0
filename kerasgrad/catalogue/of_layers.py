"""Statistics of what a layer puts out, of the gradient that reaches its output, and of its single units."""

from __future__ import annotations

import numpy as np

from kerasgrad.catalogue.of_gradients import KARPATHY, deviation, mean, share
from kerasgrad.catalogue.statistic import Statistic

DORMANT = 0.025
"""tau of Sokar et al. 2023 (they report 0, 0.025 and 0.1)."""
DORMANT_SIGNAL = 0.01
"""tau of GraMa for the magnitude of the signal."""
SATURATION = 0.97
"""|tanh| beyond which a unit counts as saturated (Karpathy 2022)."""

SOKAR = "Sokar et al. 2023, The dormant neuron phenomenon, definition 3.1"
GRAMA = "Liu et al. 2025, Measure gradients, not activations (GraMa)"

OF_LAYERS: tuple[Statistic, ...] = (
    Statistic(
        "activation_mean",
        "layer",
        "activation",
        "sum a / n",
        moments=("activation.count", "activation.sum"),
        finish=lambda m: mean(m, "activation"),
        group="Activations",
    ),
    Statistic(
        "activation_std",
        "layer",
        "activation",
        "sqrt(sum (a - mean)^2 / n)",
        moments=("activation.count", "activation.square_sum", "activation.sum"),
        finish=lambda m: deviation(m, "activation"),
        group="Activations",
    ),
    Statistic("activation_max", "layer", "activation", "max |a|", moments=("activation.largest",), group="Activations"),
    Statistic(
        "activation_zeros",
        "layer",
        "1",
        "share of entries with a == 0 (sparse, which is healthy)",
        moments=("activation.count", "activation.zeros"),
        finish=lambda m: share(m, "activation.zeros"),
        scale="share",
        group="Activations",
    ),
    Statistic(
        "activation_nonfinite",
        "layer",
        "count",
        "entries of a that are NaN or infinite",
        moments=("activation.nonfinite",),
        scale="count",
        group="Activations",
    ),
    Statistic(
        "signal_rms",
        "layer",
        "loss/activation",
        "sqrt(sum s^2 / n), s = dL/da",
        moments=("signal.count", "signal.square_sum"),
        finish=lambda m: np.sqrt(m["signal.square_sum"] / m["signal.count"]),
    ),
    Statistic(
        "dead_fraction",
        "layer",
        "1",
        "share of units (last axis) with a == 0 for every example of the last `window` samples",
        "Lu et al. 2019, Dying ReLU and initialization",
        moments=("units.silent", "units.count"),
        finish=lambda m: share(m, "units.silent"),
        scale="share",
        group="Units",
    ),
    Statistic(
        "dormant_fraction",
        "layer",
        "1",
        f"share of units with mean|a| <= {DORMANT} x the layer's mean",
        SOKAR,
        moments=("units.activity",),
        finish=lambda m: m["units.activity"].share_below(DORMANT),
        scale="share",
        group="Units",
    ),
    Statistic(
        "dormant_signal_fraction",
        "layer",
        "1",
        f"share of units with mean|s| <= {DORMANT_SIGNAL} x the layer's mean",
        GRAMA,
        moments=("units.signal",),
        finish=lambda m: m["units.signal"].share_below(DORMANT_SIGNAL),
        scale="share",
        group="Units",
    ),
    Statistic(
        "saturated_fraction",
        "layer",
        "1",
        f"share of entries with |tanh| > {SATURATION}; for a sigmoid |2a - 1| > {SATURATION}, the same point of the curve",
        KARPATHY,
        moments=("activation.count", "activation.saturated"),
        finish=lambda m: share(m, "activation.saturated"),
        scale="share",
        group="Units",
    ),
)
