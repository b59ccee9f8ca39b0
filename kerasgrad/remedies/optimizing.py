"""Another learning rate, clipping, another optimizer: the weights are all kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerasgrad.probes.training_checks import RATES
from kerasgrad.remedies.remedy import Given, by_optimizer, number

FACTOR = 10.0
"""By which a rate is changed that is not far from what is usual."""
FAR = 3.0
"""Factor from Keras' own rate from which on that one is taken at once."""
NORM = 1.0
"""The usual bound of the global norm (Pascanu et al. 2013; 1 in most recurrent nets and transformers since)."""
PERCENTILE = 10
"""Of the norms that were measured (Seetharaman et al. 2020 find 10 best over many tasks)."""
CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")
WARM, HALVED = 100, 200
DECAY = 0.01

Config = dict[str, Any]
Changed = tuple[Any, str]


def lower_learning_rate(given: Given, own: Any, config: Config) -> Changed:
    """A learning rate of a tenth; or at once Keras' own for the optimizer, if that is less than a third of what is there.

    A schedule is lowered as a whole. All weights are kept.

    Source: Bengio 2012, Practical recommendations for gradient-based training of deep architectures, section 3.1.
    """
    return _at_rate(own, config, lambda rate, usual: usual if usual * FAR < rate else rate / FACTOR)


def raise_learning_rate(given: Given, own: Any, config: Config) -> Changed:
    """A learning rate ten times as high; or at once Keras' own for the optimizer, if that is more than three times as high.

    Keras' own rate for SGD, 0.01, is low where that optimizer is used without momentum: try it again then.

    Source: Bengio 2012, section 3.1; Smith 2017, Cyclical learning rates, for how to find one.
    """
    return _at_rate(own, config, lambda rate, usual: usual if rate * FAR < usual else rate * FACTOR)


def _at_rate(own: Any, config: Config, choose: Any) -> Changed:
    old = config["learning_rate"]
    first = float(np.asarray(own.learning_rate))
    new = choose(first, float(np.asarray(type(own)().learning_rate)))
    config["learning_rate"] = new if not isinstance(old, Mapping) else _scaled(old, new / first)
    if config["learning_rate"] is None:
        return own, ""
    return type(own).from_config(config), f"learning rate {number(first)} -> {number(new)}"


def _scaled(schedule: Mapping[str, Any], factor: float) -> Any:
    """A schedule of Keras with all its rates times a factor; None where it has none by a known name."""
    entries = dict(schedule["config"])
    rates = [
        name for name in ("initial_learning_rate", "end_learning_rate", "warmup_target") if entries.get(name) is not None
    ]
    entries |= {name: entries[name] * factor for name in rates}
    if "values" in entries:
        entries["values"] = [value * factor for value in entries["values"]]
    return {**schedule, "config": entries} if rates or "values" in entries else None


def warm_up(given: Given, own: Any, config: Config) -> Changed:
    """The learning rate rises from a hundredth to what it is over the first 100 steps, in a straight line.

    For optimizers without a schedule. All weights are kept.

    Source: Goyal et al. 2017, Accurate, large minibatch SGD, section 2.2.
    """
    if isinstance(config["learning_rate"], Mapping):
        return own, ""
    rate = float(config["learning_rate"])
    config["learning_rate"] = keras.optimizers.schedules.PolynomialDecay(rate / 100, WARM, rate)
    said = f"learning rate {number(rate)}, from {number(rate / 100)} over {WARM} steps"
    return type(own).from_config(config), said


def decay_learning_rate(given: Given, own: Any, config: Config) -> Changed:
    """The learning rate falls as 1 / (1 + t / 200): half of it after 200 steps, a fifth after 800.

    For optimizers without a schedule. All weights are kept.

    Source: Robbins & Monro 1951, A stochastic approximation method.
    """
    if isinstance(config["learning_rate"], Mapping):
        return own, ""
    rate = float(config["learning_rate"])
    config["learning_rate"] = keras.optimizers.schedules.InverseTimeDecay(rate, HALVED, 1.0)
    return type(own).from_config(config), f"learning rate {number(rate)} / (1 + t / {HALVED})"


def clip_gradients(given: Given, own: Any, config: Config) -> Changed:
    """Clips the norm of all gradients together at 1. Other clipping of the optimizer is taken out.

    It bounds what one step can do and mends no gradient that vanishes. All weights are kept.

    Source: Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks, algorithm 1.
    """
    return _clipped(own, config, NORM)


def clip_gradients_adaptively(given: Given, own: Any, config: Config) -> Changed:
    """Clips the norm of all gradients together at the 10th percentile of the norms that a run measured.

    It needs that run, of this model; without one nothing changes. The bound stays where it is: train anew, measure anew.
    All weights are kept.

    Source: Seetharaman et al. 2020, AutoClip: adaptive gradient clipping for source separation networks.
    """
    norms = np.zeros(0) if given.run is None else given.run.overall("gradient_norm")
    norms = norms[np.isfinite(norms) & (norms > 0)]
    return _clipped(own, config, float(np.percentile(norms, PERCENTILE))) if len(norms) else (own, "")


def raise_clipnorm(given: Given, own: Any, config: Config) -> Changed:
    """The bound of clipping ten times as high, so that only outliers are cut. All weights are kept.

    Source: Pascanu et al. 2013, section 3.2: half to ten times the average norm.
    """
    bounds = {name: config[name] for name in CLIPS if config.get(name)}
    config |= {name: bound * FACTOR for name, bound in bounds.items()}
    said = ", ".join(f"{name} {number(bound)} -> {number(config[name])}" for name, bound in bounds.items())
    return type(own).from_config(config), said


def _clipped(own: Any, config: Config, bound: float) -> Changed:
    if config.get("global_clipnorm") and config["global_clipnorm"] <= bound:
        return own, ""
    config |= dict.fromkeys(CLIPS) | {"global_clipnorm": bound}
    return type(own).from_config(config), f"global_clipnorm {number(bound)}"


def use_adam(given: Given, own: Any, config: Config) -> Changed:
    """Adam at its own rate, 0.001, in the place of an optimizer that takes the same rate for all weights.

    Clipping, weight decay and accumulation stay; nothing changes for an optimizer that adapts already. All weights are kept.

    Source: Kingma & Ba 2015, Adam: a method for stochastic optimization.
    """
    if type(own).__name__.lower() in RATES and not isinstance(own, keras.optimizers.SGD):
        return own, ""
    kept = {name: config.get(name) for name in (*CLIPS, "weight_decay", "gradient_accumulation_steps")}
    return keras.optimizers.Adam(**kept), f"{type(own).__name__} -> Adam, learning rate 0.001"


def add_weight_decay(given: Given, own: Any, config: Config) -> Changed:
    """Weight decay of 0.01 times the learning rate at each step, in whatever optimizer; nothing where there is some.

    Source: Loshchilov & Hutter 2019, Decoupled weight decay regularization.
    """
    if config.get("weight_decay"):
        return own, ""
    return type(own).from_config(config | {"weight_decay": DECAY}), f"weight decay {DECAY:g}"


REMEDIES = (
    by_optimizer(lower_learning_rate, "model.optimizer.learning_rate = model.optimizer.learning_rate / 10"),
    by_optimizer(raise_learning_rate, "model.optimizer.learning_rate = model.optimizer.learning_rate * 10"),
    by_optimizer(warm_up, "rate = keras.optimizers.schedules.PolynomialDecay(rate / 100, 100, rate)"),
    by_optimizer(decay_learning_rate, "rate = keras.optimizers.schedules.InverseTimeDecay(rate, 200, 1.0)"),
    by_optimizer(clip_gradients, "keras.optimizers.Adam(rate, global_clipnorm=1.0)"),
    by_optimizer(
        clip_gradients_adaptively,
        'bound = np.percentile(run.overall("gradient_norm"), 10)\nkeras.optimizers.Adam(rate, global_clipnorm=bound)',
        needs=("run",),
    ),
    by_optimizer(raise_clipnorm, "keras.optimizers.Adam(rate, global_clipnorm=10 * bound)"),
    by_optimizer(use_adam, "model.compile(keras.optimizers.Adam(1e-3), loss)"),
    by_optimizer(add_weight_decay, "keras.optimizers.AdamW(rate, weight_decay=0.01)"),
)
