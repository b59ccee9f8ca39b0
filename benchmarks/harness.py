"""What the cost benchmarks share: the models, the rivals, interleaved timing, and how results are kept.

Clocks of shared machines are noisy: what is compared alternates within one process, from step to step where both are the
same training, and medians are compared. What is reported is a ratio with its quartiles.

The models are their own, though the zoo has such families: these end in logits, the residual net projects its shortcuts, the
transformer has no positions, and the published figures are of them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table


@dataclass
class Case:
    """A compiled model and data for it."""

    model: keras.Model
    x: Any
    y: Any
    batch: int


def resnet20() -> Case:
    """Residual network of 20 weight layers for 32 x 32 images, batch 32 (He et al. 2015, section 4.2)."""
    layers = keras.layers

    def convolved(x: Any, filters: int, stride: int = 1) -> Any:
        x = layers.Conv2D(filters, 3, stride, "same", use_bias=False, kernel_initializer="he_normal")(x)
        return layers.BatchNormalization()(x)

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolved(inputs, 16))
    for filters in (16, 32, 64):
        for block in range(3):
            stride = 2 if block == 0 and filters > 16 else 1
            branch = convolved(layers.ReLU()(convolved(x, filters, stride)), filters)
            if stride > 1:
                x = convolved(x, filters, 2)
            x = layers.ReLU()(layers.Add()([x, branch]))
    outputs = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    return _case(keras.Model(inputs, outputs), (32, 32, 3), 10, 32)


def transformer() -> Case:
    """Four pre-norm encoder blocks of width 128 over 64 tokens, batch 32."""
    layers = keras.layers
    inputs = keras.Input((64,), dtype="int32")
    x = layers.Embedding(1000, 128)(inputs)
    for _ in range(4):
        normed = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 32)(normed, normed)])
        hidden = layers.Dense(512, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(128)(hidden)])
    outputs = layers.Dense(10)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x)))
    return _case(keras.Model(inputs, outputs), (64,), 10, 32, tokens=1000)


def mlp50() -> Case:
    """Fifty Dense layers of width 256 with ReLU and He initialisation, batch 32."""
    hidden = [keras.layers.Dense(256, activation="relu", kernel_initializer="he_normal") for _ in range(49)]
    return _case(keras.Sequential([keras.Input((256,)), *hidden, keras.layers.Dense(10)]), (256,), 10, 32)


def lstm() -> Case:
    """Two LSTM layers of width 128 over 64 steps, batch 32."""
    stack = [keras.layers.LSTM(128, return_sequences=True), keras.layers.LSTM(128), keras.layers.Dense(10)]
    return _case(keras.Sequential([keras.Input((64, 32)), *stack]), (64, 32), 10, 32)


def tiny() -> Case:
    """Three Dense layers of width 16, batch 32: fixed costs and nothing else."""
    hidden = [keras.layers.Dense(16, activation="relu") for _ in range(2)]
    return _case(keras.Sequential([keras.Input((8,)), *hidden, keras.layers.Dense(3)]), (8,), 3, 32)


MODELS: dict[str, Callable[[], Case]] = {
    "ResNet-20": resnet20, "transformer": transformer, "50-layer MLP": mlp50, "LSTM": lstm, "tiny MLP": tiny,
}  # fmt: skip


def compiled(name: str, jit_compile: bool = False) -> Case:
    """One of the models, compiled with Adam, from a fixed seed."""
    keras.utils.set_random_seed(0)
    case = MODELS[name]()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    case.model.compile("adam", loss, jit_compile=jit_compile)
    return case


def _case(model: keras.Model, shape: tuple[int, ...], classes: int, batch: int, tokens: int = 0) -> Case:
    random = np.random.default_rng(0)
    size = (40 * batch, *shape)
    x = random.integers(0, tokens, size) if tokens else random.normal(size=size).astype("float32")
    return Case(model, x, random.integers(0, classes, len(x)), batch)


class SecondTape(keras.callbacks.Callback):
    """The callback that people copy: another forward and backward pass on one fixed batch, norms to a summary."""

    def __init__(self, case: Case, log_dir: str) -> None:
        super().__init__()
        self.x, self.y = tf.constant(case.x[: case.batch]), tf.constant(case.y[: case.batch])
        self.writer = tf.summary.create_file_writer(log_dir)
        self.count = 0
        self._gradients = tf.function(self._differentiated)

    def _differentiated(self) -> Any:
        with tf.GradientTape() as tape:
            loss = self.model.compute_loss(self.x, self.y, self.model(self.x, training=True))
        return tape.gradient(loss, self.model.trainable_variables)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Takes the gradients once more and logs the norm of each."""
        with self.writer.as_default(step=self.count):
            for variable, gradient in zip(self.model.trainable_variables, self._gradients(), strict=True):
                tf.summary.scalar(f"gradient/{variable.path}", tf.norm(tf.convert_to_tensor(gradient)))
        self.count += 1


class ScalarPerLayer(keras.callbacks.Callback):
    """One `tf.summary` scalar for each weight at each step: the least that anybody logs."""

    def __init__(self, log_dir: str) -> None:
        super().__init__()
        self.writer = tf.summary.create_file_writer(log_dir)
        self.count = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Logs the norm of each weight."""
        with self.writer.as_default(step=self.count):
            for variable in self.model.trainable_variables:
                tf.summary.scalar(f"weight/{variable.path}", tf.norm(variable.value))
        self.count += 1


class Intervals(keras.callbacks.Callback):
    """Time from the beginning of each step to the next, all callbacks included; must be the first callback."""

    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Notes the time."""
        self.begun.append(time.perf_counter())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Ends the last interval; callbacks after this one may add to the time of the fit, not to a step."""
        self.begun.append(time.perf_counter())

    @property
    def seconds(self) -> Any:
        """Intervals, `[steps]`."""
        return np.diff(self.begun)


def fit(case: Case, callbacks: list[Any], steps: int, epochs: int = 1) -> Any:
    """Trains for so many steps an epoch.

    Returns:
        Seconds of each step, without the first of each epoch, which begins the data's iterator too.
    """
    intervals = Intervals()
    rows = np.arange(steps * case.batch) % len(case.x)
    case.model.fit(
        case.x[rows], case.y[rows], batch_size=case.batch, epochs=epochs, shuffle=False, verbose=0,
        callbacks=[intervals, *callbacks],
    )  # fmt: skip
    return np.delete(intervals.seconds, np.arange(epochs) * (steps + 1))[: epochs * (steps - 1)]


@dataclass(frozen=True)
class Ratio:
    """A median ratio with its quartiles over rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ratios: Any) -> Ratio:
        """Of one ratio a round."""
        low, median, high = np.percentile(ratios, [25, 50, 75])
        return cls(round(float(median), 3), round(float(low), 3), round(float(high), 3))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def show(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Prints a table."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column, justify="left" if column is columns[0] else "right")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(width=150).print(table)


def keep(script: str, results: dict[str, Any]) -> None:
    """Stores results as JSON beside the script, with what they were measured on; those of other models stay."""
    path = Path(script).with_suffix(".json")
    kept = json.loads(path.read_text()) if path.exists() else {}
    machine = {"cores": os.cpu_count(), "gpus": len(tf.config.list_physical_devices("GPU"))}
    kept |= {"tensorflow": tf.__version__, "keras": keras.__version__, **machine}
    kept["results"] = kept.get("results", {}) | results
    path.write_text(json.dumps(kept, indent=1, default=lambda ratio: vars(ratio)) + "\n")
