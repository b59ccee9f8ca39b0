"""Healthy nets that look sick: each must be left in peace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from detection import tasks
from detection.tasks import Task


@dataclass
class Healthy:
    """A net that learns, compiled, with how it is trained."""

    task: Task
    model: keras.Model
    epochs: int = 12
    batch: int = 32


class LowRank(layers.Layer):
    """A frozen Dense beside a product of two thin matrices; the second starts at zero, so the first gets no gradient."""

    def __init__(self, width: int, rank: int = 8, **given: Any) -> None:
        super().__init__(**given)
        self.frozen = layers.Dense(width, trainable=False)
        self.down = layers.Dense(rank, use_bias=False, name="down")
        self.up = layers.Dense(width, use_bias=False, kernel_initializer="zeros", name="up")

    def build(self, shape: Any) -> None:
        self.frozen.build(shape)
        self.down.build(shape)
        self.up.build(self.down.compute_output_shape(shape))
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.frozen(inputs) + self.up(self.down(inputs))


class Gated(layers.Layer):
    """ReZero: x + alpha f(x), alpha starts at zero."""

    def __init__(self, width: int, **given: Any) -> None:
        super().__init__(**given)
        self.inner = layers.Dense(width, activation="relu")

    def build(self, shape: Any) -> None:
        self.alpha = self.add_weight(shape=(), initializer="zeros", name="alpha")
        self.inner.build(shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs + self.alpha * self.inner(inputs)


def _net(task: Task, body: Callable[[Any], Any], optimizer: Any = None, loss: Any = None, **compiled: Any) -> keras.Model:
    inputs = keras.Input(task.x.shape[1:])
    model = keras.Model(inputs, layers.Dense(task.outputs, activation=task.last, dtype="float32")(body(inputs)))
    metrics = ["accuracy"] if task.kind != "regression" else []
    model.compile(optimizer or keras.optimizers.Adam(2e-3), loss or task.loss, metrics=metrics, **compiled)
    return model


def _stack(depth: int, width: int, **given: Any) -> Callable[[Any], Any]:
    def body(x: Any) -> Any:
        for _ in range(depth):
            x = layers.Dense(width, **{"activation": "relu", **given})(x)
        return x

    return body


def _through(layer: Callable[[int], Any], depth: int, width: int) -> Callable[[Any], Any]:
    def body(x: Any) -> Any:
        x = layers.Dense(width, activation="relu")(x)
        for number in range(depth):
            x = layer(number)(x)
        return x

    return body


def low_rank(large: bool) -> Healthy:
    task = tasks.digits() if large else tasks.friedman()
    model = _net(task, lambda x: layers.Activation("relu")(LowRank(64 if large else 48)(x)), keras.optimizers.Adam(5e-3))
    return Healthy(task, model, 20)


def rezero(large: bool) -> Healthy:
    task = tasks.digits()
    return Healthy(task, _net(task, _through(lambda n: Gated(32), 12 if large else 6, 32)))


def zero_gamma(large: bool) -> Healthy:
    task = tasks.digits((8, 8, 1))

    def body(x: Any) -> Any:
        x = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
        for _ in range(3 if large else 2):
            y = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
            y = layers.Conv2D(12, 3, padding="same")(y)
            x = layers.Activation("relu")(layers.Add()([x, layers.BatchNormalization(gamma_initializer="zeros")(y)]))
        return layers.Flatten()(x)

    return Healthy(task, _net(task, body))


def frozen_backbone(large: bool) -> Healthy:
    task = tasks.digits() if large else tasks.cancer()
    model = _net(task, _stack(2, 128 if large else 32))
    for layer in model.layers[:-1]:
        layer.trainable = False
    model.compile(keras.optimizers.Adam(1e-2), task.loss, metrics=["accuracy"])
    return Healthy(task, model, 20)


def converged(large: bool) -> Healthy:
    task = tasks.digits() if large else tasks.wine()
    return Healthy(task, _net(task, _stack(2, 64)), 60 if large else 150)


def sparse_relu(large: bool) -> Healthy:
    task = tasks.digits()
    bias = keras.initializers.Constant(-0.7)
    body = _stack(2 if large else 1, 256, bias_initializer=bias, kernel_initializer="he_normal")
    return Healthy(task, _net(task, body))


def unscaled_targets(large: bool) -> Healthy:
    task = tasks.friedman(30.0 if large else 100.0)
    return Healthy(task, _net(task, _stack(2, 48), keras.optimizers.Adam(2e-2)), 30)


def accumulation(large: bool) -> Healthy:
    task = tasks.digits()
    optimizer = keras.optimizers.Adam(4e-3, gradient_accumulation_steps=4 if large else 2)
    return Healthy(task, _net(task, _stack(2, 48), optimizer), 20)


def mixed_precision(large: bool) -> Healthy:
    """Loss-scale overflows at the start are how the scale is found."""
    task = tasks.digits()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inner = keras.optimizers.Adam(2e-3)
        optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**24 if large else 2.0**22)
        return Healthy(task, _net(task, _stack(2, 64 if large else 48), optimizer))
    finally:
        keras.config.set_dtype_policy("float32")


def saturated_tanh(large: bool) -> Healthy:
    task = tasks.digits() if large else tasks.cancer()
    start = keras.initializers.RandomNormal(stddev=0.6)
    return Healthy(task, _net(task, _stack(2, 64, activation="tanh", kernel_initializer=start)), 20)


def half_dead(large: bool) -> Healthy:
    """Half of the units have a bias of which no input lifts them."""
    task = tasks.digits() if large else tasks.friedman()
    model = _net(task, _stack(2, 96))
    for layer in model.layers[1:-1]:
        bias = np.zeros(96)
        bias[: 48 + 6 * large] = -50.0
        layer.bias.assign(bias)
    return Healthy(task, model, 16)


def overfitted(large: bool) -> Healthy:
    task = tasks.digits() if large else tasks.wine()
    few = Task(task.x[:150], task.y[:150], task.x_test, task.y_test, task.kind, task.outputs)
    return Healthy(few, _net(few, _stack(2, 256)), 80, 16)


def clipped(large: bool) -> Healthy:
    task = tasks.digits((8, 8)) if large else tasks.digits()
    body = (lambda x: layers.GRU(24)(x)) if large else _stack(2, 48)
    return Healthy(task, _net(task, body, keras.optimizers.Adam(3e-3, clipnorm=1.0)), 16)


def regularised(large: bool) -> Healthy:
    task = tasks.digits()

    def body(x: Any) -> Any:
        for _ in range(2):
            x = layers.Dropout(0.4 if large else 0.2)(layers.Dense(64, activation="relu", kernel_regularizer="l2")(x))
        return x

    return Healthy(task, _net(task, body), 25)


def imbalanced(large: bool) -> Healthy:
    task = tasks.circles() if large else tasks.cancer()
    keep = (task.y == 0) | (np.arange(len(task.y)) % 4 == 0)
    few = Task(task.x[keep], task.y[keep], task.x_test, task.y_test, task.kind, task.outputs)
    return Healthy(few, _net(few, _stack(2, 32), keras.optimizers.Adam(5e-3)), 30 if large else 20)


CONTROLS: dict[str, Callable[[bool], Healthy]] = {
    f.__name__: f
    for f in (low_rank, rezero, zero_gamma, frozen_backbone, converged, sparse_relu, unscaled_targets, accumulation,
              mixed_precision, saturated_tanh, half_dead, overfitted, clipped, regularised, imbalanced)
}  # fmt: skip
"""Each takes whether the larger one is wanted: the smaller ones are for calibration, the larger ones stay unseen."""
