"""Statistics of gradients, weights and updates: of a variable, or of all variables of a layer together."""

from __future__ import annotations

import numpy as np

from kerasgrad.catalogue.statistic import Moments, Of, Statistic

KARPATHY = "Karpathy 2022, Building makemore part 3"


def mean(moments: Moments, of: str) -> np.ndarray:
    """The mean of a quantity, `sum / count`."""
    return np.asarray(moments[f"{of}.sum"] / moments[f"{of}.count"])


def deviation(moments: Moments, of: str) -> np.ndarray:
    """The standard deviation of a quantity, from its raw moments."""
    mean_square = moments[f"{of}.square_sum"] / moments[f"{of}.count"]
    return np.asarray(np.sqrt(np.maximum(mean_square - np.square(mean(moments, of)), 0.0)))


def share(moments: Moments, counted: str) -> np.ndarray:
    """The share of a quantity's entries that a moment counts, such as `"gradient.zeros"`."""
    return np.asarray(moments[counted] / moments[f"{counted.partition('.')[0]}.count"])


def _update_ratio(moments: Moments) -> np.ndarray:
    weight, update = (np.sqrt(moments[f"{of}.square_sum"]) for of in ("weight", "update"))
    return np.where(weight == 0, np.nan, update / weight)


def of_gradients(of: Of) -> tuple[Statistic, ...]:
    """The statistics of gradients, weights and updates, for one kind of row."""
    over = "" if of == "variable" else ", over all of the layer's variables together"
    whole = tuple(f"gradient.{name}" for name in ("count", "square_sum", "sum"))
    return (
        Statistic(
            "gradient_norm",
            of,
            "loss/weight",
            f"sqrt(sum g^2){over}",
            moments=("gradient.square_sum",),
            finish=lambda m: np.sqrt(m["gradient.square_sum"]),
        ),
        Statistic(
            "gradient_mean",
            of,
            "loss/weight",
            f"sum g / n{over}",
            moments=("gradient.count", "gradient.sum"),
            finish=lambda m: mean(m, "gradient"),
        ),
        Statistic(
            "gradient_std",
            of,
            "loss/weight",
            f"sqrt(sum (g - mean)^2 / n){over}",
            moments=whole,
            finish=lambda m: deviation(m, "gradient"),
        ),
        Statistic("gradient_max", of, "loss/weight", f"max |g|{over}", moments=("gradient.largest",)),
        Statistic(
            "gradient_zeros",
            of,
            "1",
            f"share of entries with g == 0{over}",
            moments=("gradient.count", "gradient.zeros"),
            finish=lambda m: share(m, "gradient.zeros"),
            scale="share",
        ),
        Statistic(
            "gradient_nonfinite",
            of,
            "count",
            f"entries of g that are NaN or infinite{over}",
            moments=("gradient.nonfinite",),
            scale="count",
        ),
        Statistic(
            "gradient_norm_clipped",
            of,
            "loss/weight",
            f"sqrt(sum clip(g)^2){over}, after the optimizer's clipnorm, clipvalue or global_clipnorm",
            "Pascanu et al. 2013, On the difficulty of training recurrent neural networks, algorithm 1",
            moments=("clipped.square_sum",),
            finish=lambda m: np.sqrt(m["clipped.square_sum"]),
        ),
        Statistic(
            "weight_norm",
            of,
            "weight",
            f"sqrt(sum w^2) before the update{over}",
            moments=("weight.square_sum",),
            finish=lambda m: np.sqrt(m["weight.square_sum"]),
            group="Weights and updates",
        ),
        Statistic(
            "update_norm",
            of,
            "weight",
            f"sqrt(sum (w_after - w_before)^2), weight decay included{over}",
            moments=("update.square_sum",),
            finish=lambda m: np.sqrt(m["update.square_sum"]),
            group="Weights and updates",
        ),
        Statistic(
            "update_ratio",
            of,
            "1",
            "update_norm / weight_norm; none while all weights are zero",
            KARPATHY + ": about 1e-3 is usual",
            moments=("weight.square_sum", "update.square_sum"),
            finish=_update_ratio,
            group="Weights and updates",
        ),
    )
