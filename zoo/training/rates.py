"""Learning rates over a training, all in Keras' own `CosineDecay`, so that a saved model needs nothing of the zoo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from zoo.training.recipe import Training

ONE_CYCLE_START = 1 / 25
"""Of its peak, where a one-cycle schedule begins. Smith & Topin 2018; the default of fastai and PyTorch."""

ONE_CYCLE_WARM_UP = 0.3
"""Share of the steps until the peak, unless the recipe says another."""

FINAL = 0.1
"""Of the peak, where a `cosine_to_tenth` ends: nanoGPT's `min_lr`, after Hoffmann et al. 2022."""

EXEMPT = ("bias", "gamma", "beta", "embedding")
"""Variables that weight decay leaves alone, by a part of their name."""


def _decay(peak: float, steps: int, warm_up: int, *, start: float = 0.0, final: float = 0.0) -> Any:
    """From `start` of the peak up to it in a straight line, and down to `final` of it along a cosine."""
    rising = {"warmup_target": peak, "warmup_steps": warm_up} if warm_up else {}
    first = peak * start if warm_up else peak
    return keras.optimizers.schedules.CosineDecay(first, max(1, steps - warm_up), alpha=final, **rising)


SCHEDULES: Mapping[str, Callable[[float, int, int], Any]] = {
    "constant": lambda peak, steps, warm_up: peak,
    "warm_up": lambda peak, steps, warm_up: _decay(peak, steps, warm_up, final=1.0),
    "cosine": lambda peak, steps, warm_up: _decay(peak, steps, warm_up),
    "cosine_to_tenth": lambda peak, steps, warm_up: _decay(peak, steps, warm_up, final=FINAL),
    "one_cycle": lambda peak, steps, warm_up: _decay(
        peak, steps, warm_up or int(ONE_CYCLE_WARM_UP * steps), start=ONE_CYCLE_START
    ),
}
"""By name: a function of the peak, all steps and those of the warm-up."""


def optimizer(made: Training, steps: int) -> Any:
    """The optimizer of a recipe, with its schedule over so many steps; None for a model that brings its own.

    Raises:
        KeyError: there is no such schedule; the message lists those there are.
    """
    if made.schedule not in SCHEDULES:
        raise KeyError(f"The schedules are {', '.join(SCHEDULES)}. Received: schedule={made.schedule!r}")
    if made.optimizer is None:
        return None
    warm_up = int(made.warm_up if made.warm_up >= 1 else made.warm_up * steps)
    config = dict(made.optimizer["config"])
    config["learning_rate"] = SCHEDULES[made.schedule](config["learning_rate"], steps, warm_up)
    built = getattr(keras.optimizers, made.optimizer["class_name"])(**config)
    if config.get("weight_decay"):
        built.exclude_from_weight_decay(var_names=list(EXEMPT))
    return built
