"""Every statistic that kerasgrad measures: its name, of what, unit, formula and source.

A statistic is one number per row and sample, where a row is a layer, a variable, or the whole run. The names are the
keys of `Run.layer`, `Run.variable` and `Run.overall`, and the tags of the event file (`kerasgrad/<name>`).

Notation: g gradient of the loss w.r.t. a variable, w the variable, a a layer's output (its activation),
s = dL/da the signal at that output, n the number of entries. Masked time steps count in none of a and s.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

Of = Literal["variable", "layer", "overall"]

TAG_PREFIX = "kerasgrad/"
PLUGIN_NAME = "kerasgrad"
FOLDER = "gradients"
"""A run is in a folder of this name, below its log directory."""
FORMAT_VERSION = 1

SOKAR = "Sokar et al. 2023, The dormant neuron phenomenon, definition 3.1"
GRAMA = "Liu et al. 2025, Measure gradients, not activations (GraMa)"
KARPATHY = "Karpathy 2022, Building makemore part 3"


@dataclass(frozen=True)
class Statistic:
    """One entry of the catalogue.

    Attributes:
        name: noun phrase, the key everywhere.
        of: what a row of it is: `"variable"`, `"layer"` or `"overall"` (one number a sample).
        unit: unit of the number; `"1"` where it has none.
        formula: how it is computed, in the notation of this module.
        source: paper or definition it follows, empty for plain moments.
    """

    name: str
    of: Of
    unit: str
    formula: str
    source: str = ""


def _of_gradient(of: Of) -> list[Statistic]:
    over = "" if of == "variable" else ", over all of the layer's variables together"
    return [
        Statistic("gradient_norm", of, "loss/weight", f"sqrt(sum g^2){over}"),
        Statistic("gradient_mean", of, "loss/weight", f"sum g / n{over}"),
        Statistic("gradient_std", of, "loss/weight", f"sqrt(sum (g - mean)^2 / n){over}"),
        Statistic("gradient_max", of, "loss/weight", f"max |g|{over}"),
        Statistic("gradient_zeros", of, "1", f"share of entries with g == 0{over}"),
        Statistic("gradient_nonfinite", of, "count", f"entries of g that are NaN or infinite{over}"),
        Statistic(
            "gradient_norm_clipped",
            of,
            "loss/weight",
            f"sqrt(sum clip(g)^2){over}, after the optimizer's clipnorm, clipvalue or global_clipnorm",
            "Pascanu et al. 2013, On the difficulty of training recurrent neural networks, algorithm 1",
        ),
        Statistic("weight_norm", of, "weight", f"sqrt(sum w^2) before the update{over}"),
        Statistic("update_norm", of, "weight", f"sqrt(sum (w_after - w_before)^2), weight decay included{over}"),
        Statistic(
            "update_ratio",
            of,
            "1",
            "update_norm / weight_norm; none while all weights are zero",
            KARPATHY + ": about 1e-3 is usual",
        ),
    ]


STATISTICS: tuple[Statistic, ...] = (
    *_of_gradient("variable"),
    *_of_gradient("layer"),
    Statistic("activation_mean", "layer", "activation", "sum a / n"),
    Statistic("activation_std", "layer", "activation", "sqrt(sum (a - mean)^2 / n)"),
    Statistic("activation_max", "layer", "activation", "max |a|"),
    Statistic("activation_zeros", "layer", "1", "share of entries with a == 0 (sparse, which is healthy)"),
    Statistic("activation_nonfinite", "layer", "count", "entries of a that are NaN or infinite"),
    Statistic("signal_rms", "layer", "loss/activation", "sqrt(sum s^2 / n), s = dL/da"),
    Statistic(
        "dead_fraction",
        "layer",
        "1",
        "share of units (last axis) with a == 0 for every example of the last `window` samples",
        "Lu et al. 2019, Dying ReLU and initialization",
    ),
    Statistic("dormant_fraction", "layer", "1", "share of units with mean|a| <= 0.025 x the layer's mean", SOKAR),
    Statistic("dormant_signal_fraction", "layer", "1", "share of units with mean|s| <= 0.01 x the layer's mean", GRAMA),
    Statistic(
        "saturated_fraction",
        "layer",
        "1",
        "share of entries with |tanh| > 0.97; for a sigmoid |2a - 1| > 0.97, the same point of the curve",
        KARPATHY,
    ),
    Statistic("loss", "overall", "loss", "what the step differentiates, unscaled; summed over its gradient calls"),
    Statistic("gradient_norm", "overall", "loss/weight", "sqrt(sum g^2) over all trainable variables"),
    Statistic("dead_fraction", "overall", "1", "dead units / units, over all layers watched for death"),
    Statistic(
        "depth_ratio",
        "overall",
        "1",
        "RMS of signal_rms over the first quarter of the layers that own variables / the same over the last quarter",
    ),
    Statistic(
        "decay_factor",
        "overall",
        "1",
        "exp(-slope) of the least-squares line through log(signal_rms) against depth, over the same layers: what one "
        "layer leaves of the signal on its way back to the input (0.25: it shrinks fourfold per layer)",
        "Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks",
    ),
    Statistic("loss_scale", "overall", "1", "the factor of a loss-scaling optimizer, 1 where there is none"),
    Statistic("loss_scale_overflow", "overall", "1", "1 where loss scaling overflowed and skipped the update, else 0"),
    Statistic("learning_rate", "overall", "1", "the rate of the first optimizer that was applied in the step"),
    Statistic("iteration", "overall", "updates", "that optimizer's own counter before the step"),
    Statistic("sample_seconds", "overall", "s", "what this sample cost: its step less a usual step, and its bookkeeping"),
    Statistic("overhead", "overall", "1", "share of the training time so far that was spent on samples, tracing apart"),
    # In the event file those of the whole model are one vector in this order: what comes new comes last.
    Statistic(
        "examples",
        "overall",
        "count",
        "length of the first axis of the first tensor with axes that the step is given, summed over replicas: its batch",
    ),
)


@functools.cache
def names(of: Of) -> tuple[str, ...]:
    """The names of all statistics of one kind of row.

    Args:
        of: `"variable"`, `"layer"` or `"overall"`.

    Returns:
        Names in the order of the catalogue.
    """
    return tuple(statistic.name for statistic in STATISTICS if statistic.of == of)


def find(name: str, of: Of) -> Statistic:
    """Looks a statistic up.

    Args:
        name: its name, such as `"gradient_norm"`.
        of: what its rows are.

    Returns:
        The entry.

    Raises:
        KeyError: there is none of that name; the message lists those there are.
    """
    for statistic in STATISTICS:
        if statistic.name == name and statistic.of == of:
            return statistic
    known = ", ".join(names(of))
    raise KeyError(f"No statistic of a {of} has that name. Known: {known}. Received: name={name!r}")
