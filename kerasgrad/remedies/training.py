"""How a model is compiled, taken over by a copy of it, with something of it changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from kerasgrad.taps.gradients import without_scaling

Optimizer = Any
"""A `keras.optimizers.Optimizer`."""


def compiled_with(model: keras.Model) -> dict[str, Any]:
    """The arguments of `compile`, with a new optimizer of the same settings as the model's has now.

    Losses and metrics that are functions or names are the same ones; metric objects are made anew, since they count.
    """
    if not getattr(model, "compiled", False):
        return {}
    given = dict(model._compile_config.config) if hasattr(model, "_compile_config") else {"loss": model.loss}
    for what in ("metrics", "weighted_metrics"):
        given[what] = keras.tree.map_structure(_fresh_metric, given.get(what)) if given.get(what) is not None else None
    return given | {"optimizer": remade(model.optimizer)}


def recompiled(copy: keras.Model, model: keras.Model, **changes: Any) -> keras.Model:
    """Compiles a copy as a model is; `changes` are arguments of `compile` that become others."""
    given = compiled_with(model)
    if given:
        copy.compile(**(given | changes))
    return copy


def _fresh_metric(metric: Any) -> Any:
    return type(metric).from_config(metric.get_config()) if isinstance(metric, keras.metrics.Metric) else metric


def remade(optimizer: Optimizer, change: Callable[[Optimizer, dict[str, Any]], Optimizer] | None = None) -> Optimizer:
    """A new optimizer with the settings of another, at its first step.

    Args:
        optimizer: the optimizer, with or without loss scaling around it.
        change: from the inner optimizer and its configuration to the new one; the same settings if None.
    """
    own = without_scaling(optimizer)
    config = own.get_config()
    new = type(own).from_config(config) if change is None else change(own, config)
    spared = getattr(own, "_exclude_from_weight_decay_pattern", None)  # no part of its configuration
    if spared is not None and new is not own:
        new.exclude_from_weight_decay(var_names=[spared.pattern])
    if own is optimizer:
        return new
    around = optimizer.get_config() | {"inner_optimizer": new}
    return type(optimizer)(**around)
