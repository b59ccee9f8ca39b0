"""Trainings by `compile` and `fit` as they are: optimizers, schedules, the switches of `compile`, callbacks, precision."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers, optimizers
from keras.optimizers import schedules
from people import Training, classifier, fast_program, fitted, layered, line, program, register, table

EXTRA: dict[str, dict[str, Any]] = {"SGD": {"momentum": 0.9, "nesterov": True}, "Adam": {"amsgrad": True}}
EXTRA |= {"RMSprop": {"centered": True, "momentum": 0.5}, "AdamW": {"weight_decay": 0.01}}


EXTRA |= {"MultiOptimizer": {"optimizer_map": lambda v: optimizers.Adam() if "bias" in v.path else optimizers.SGD(0.1)}}


def _optimizer(name: str, seed: int) -> Training:
    """A plain net under one of Keras' optimizers."""
    inner = {"inner_optimizer": optimizers.Adam()} if name == "LossScaleOptimizer" else {}
    given = EXTRA.get(name, inner)
    return fitted(classifier(getattr(optimizers, name)(**given)), *table(seed))


for _name, _class in inspect.getmembers(optimizers, inspect.isclass):
    if issubclass(_class, optimizers.Optimizer) and _class is not optimizers.Optimizer:
        register(f"optimizer_{_name.lower()}", partial(_optimizer, _name))


class Warmup(schedules.LearningRateSchedule):
    """The schedule of "Attention is all you need", as everybody writes it."""

    def __init__(self, width: int = 16, warmup: int = 4) -> None:
        self.width, self.warmup = width, warmup

    def __call__(self, step: Any) -> Any:
        """Rises linearly, then falls like one over the root."""
        step = keras.ops.cast(step, "float32") + 1
        return self.width**-0.5 * keras.ops.minimum(step**-0.5, step * self.warmup**-1.5)

    def get_config(self) -> dict[str, Any]:
        """For saving."""
        return {"width": self.width, "warmup": self.warmup}


SCHEDULES: dict[str, Callable[[], Any]] = {
    "exponential": lambda: schedules.ExponentialDecay(0.05, 3, 0.5, staircase=True),
    "piecewise": lambda: schedules.PiecewiseConstantDecay([3, 6], [0.05, 0.01, 0.001]),
    "polynomial_cycle": lambda: schedules.PolynomialDecay(0.05, 4, 0.001, power=2.0, cycle=True),
    "inverse_time": lambda: schedules.InverseTimeDecay(0.05, 2, 0.5),
    "cosine_warmup": lambda: schedules.CosineDecay(0.0, 8, warmup_target=0.05, warmup_steps=3),
    "cosine_restarts": lambda: schedules.CosineDecayRestarts(0.05, 3),
    "own_warmup": Warmup,
}


def _schedule(name: str, seed: int) -> Training:
    """A plain net under one schedule of the rate."""
    return fitted(classifier(optimizers.Adam(SCHEDULES[name]())), *table(seed))


for _name in SCHEDULES:
    register(f"schedule_{_name}", partial(_schedule, _name))

COMPILED: dict[str, Callable[[], keras.Model]] = {
    "rate_is_a_function": lambda: classifier(optimizers.SGD(lambda: 0.05)),
    "ema": lambda: classifier(optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)),
    "ema_overwritten_every_third": lambda: classifier(
        optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3)
    ),
    "accumulated_by_keras": lambda: classifier(optimizers.Adam(0.01, gradient_accumulation_steps=4)),
    "accumulated_with_ema_and_clipping": lambda: classifier(
        optimizers.AdamW(0.01, gradient_accumulation_steps=2, use_ema=True, global_clipnorm=0.3)
    ),
    "clipnorm": lambda: classifier(optimizers.SGD(0.1, clipnorm=0.1)),
    "clipvalue": lambda: classifier(optimizers.RMSprop(0.01, clipvalue=0.01)),
    "jit": lambda: classifier("adam", jit_compile=True),
    "eager": lambda: classifier("adam", run_eagerly=True),
    "steps_per_execution": lambda: classifier("adam", steps_per_execution=4),
    "steps_per_execution_accumulated": lambda: classifier(
        optimizers.SGD(0.1, gradient_accumulation_steps=3), steps_per_execution=2
    ),
    "weighted_metrics": lambda: classifier("adam", weighted_metrics=["accuracy"]),
}


def _compiled(name: str, seed: int) -> Training:
    """A plain net, compiled in one way or another."""
    return fitted(COMPILED[name](), *table(seed))


for _name in COMPILED:
    register(_name, partial(_compiled, _name), fast=_name == "accumulated_by_keras")


@program
def decay_spares_the_biases(seed: int) -> Training:
    """Weight decay with what is excluded from it, said by name."""
    optimizer = optimizers.AdamW(0.01, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return fitted(classifier(optimizer), *table(seed))


def _policy(policy: str, seed: int) -> Training:
    """A net whose layers compute in another type."""
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, activation="relu", dtype=policy),
            layers.BatchNormalization(dtype=policy),
            layers.Dense(3, dtype=policy),
            layers.Activation("softmax", dtype="float32"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return fitted(model, *table(seed))


for _name in ("mixed_bfloat16", "float64"):
    register(f"policy_{_name}", partial(_policy, _name))


@fast_program
def mixed_float16_with_overflows(seed: int) -> Training:
    """The global policy, an automatic loss scale, and a first scale that overflows."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    model = layered(16, 16, 3)
    keras.mixed_precision.set_global_policy("float32")
    optimizer = optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=2.0**20, dynamic_growth_steps=3)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fitted(model, *table(seed))


@program
def class_and_sample_weights(seed: int) -> Training:
    """Both in one fit would be an error: the classes here, the examples in the second call."""
    x, y = table(seed)
    model = classifier()

    def fit(callbacks: Any) -> None:
        model.fit(x, y, class_weight={0: 1.0, 1: 5.0, 2: 0.1}, batch_size=8, verbose=0, callbacks=callbacks)
        model.fit(x, y, sample_weight=np.linspace(0, 2, len(x)), batch_size=8, verbose=0, callbacks=callbacks)

    return Training(model, fit=fit)


@fast_program
def early_stopping_takes_the_best_back(seed: int) -> Training:
    """Early stopping with the best weights restored, and validation data."""
    x, y = table(seed)
    stop = keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True, start_from_epoch=1)
    training = fitted(classifier(optimizers.SGD(1.5)), x, y, epochs=6, validation_split=0.3, callbacks=[stop])
    training.moves_otherwise = True
    return training


@program
def rate_falls_on_plateau(seed: int) -> Training:
    """Two callbacks that change the rate, one of them of the loss."""
    slower = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=0, min_delta=10.0)
    up_and_down = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * (1.5 if epoch % 2 else 0.9))
    return fitted(classifier(), *table(seed), epochs=4, callbacks=[slower, up_and_down])


@program
def ema_swapped_for_validation(seed: int) -> Training:
    """Averaged weights take the place of the others while Keras validates."""
    x, y = table(seed)
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    training = fitted(
        classifier(optimizers.Adam(0.01, use_ema=True)), x, y, epochs=3, validation_data=(x, y), callbacks=[swap]
    )
    training.moves_otherwise = True
    return training


@program
def many_fits(seed: int) -> Training:
    """The same model fitted again and again, compiled anew in between, with another loss."""
    x, y = line(seed)
    model = layered(12, 1)

    def fit(callbacks: Any) -> None:
        for loss, optimizer in (("mse", "adam"), ("mae", "adam"), ("huber", optimizers.SGD(0.01, momentum=0.9))):
            model.compile(optimizer, loss)
            for epochs in (1, 3):
                model.fit(x, y, epochs=epochs, initial_epoch=epochs - 1, batch_size=8, verbose=0, callbacks=callbacks)
            model.evaluate(x, y, verbose=0)
            model.predict(x, verbose=0)

    return Training(model, fit=fit)
