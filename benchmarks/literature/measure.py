"""What the claims share: a row of the table, a short training under the monitor, the state of a net before any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import kerasgrad

CROSS_ENTROPY = "sparse_categorical_crossentropy"


@dataclass(frozen=True)
class Row:
    """One claim, or part of one.

    Attributes:
        claim: its number in the list of claims.
        says: the claim.
        source: who makes it.
        setting: on what it was measured.
        measured: figures by name, one for each seed.
        holds: whether it holds here; None where no direction is claimed.
    """

    claim: int
    says: str
    source: str
    setting: str
    measured: Mapping[str, Sequence[float]]
    holds: bool | None


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes:
        run: what the monitor saw, if there was one.
        model: as it is now.
        losses: of each step.
        hits: share of right answers in each step's batch, for classes.
        score: accuracy on held-out examples, or mean squared error.
    """

    run: kerasgrad.Run | None
    model: keras.Model
    losses: Any
    hits: Any
    score: float


class _Steps(keras.callbacks.Callback):
    """The loss and accuracy of each step, which Keras gives as means since the epoch began."""

    def __init__(self) -> None:
        super().__init__()
        self.means: dict[str, list[float]] = {"loss": [], "accuracy": []}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        for key, values in self.means.items():
            values.append(float((logs or {}).get(key, np.nan)))

    def each(self, key: str) -> Any:
        total = np.array(self.means[key]) * np.arange(1, len(self.means[key]) + 1)
        return np.diff(total, prepend=0.0)


def fresh(seed: int) -> None:
    """Forgets earlier models, and begins the random numbers anew."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)


def train(
    model: keras.Model, data: Any, *, steps: int, optimizer: Any = "adam", batch: int = 32, seed: int = 0,
    loss: str = CROSS_ENTROPY, compiled: bool = False, per_decade: int = 10, window: int = 10, update_freq: Any = None,
    watched: bool = True,
) -> Trained:  # fmt: skip
    """Trains a model for some steps, under the monitor where that is needed, and scores it on held-out examples."""
    (x, y), (x_test, y_test) = data
    classes = loss == CROSS_ENTROPY
    model.compile(optimizer, loss, metrics=["accuracy"] if classes else [], jit_compile=compiled)
    schedule = update_freq or kerasgrad.schedule.Logarithmic(per_decade)
    monitor, each = kerasgrad.GradientMonitor(update_freq=schedule, window=window, verbose=0), _Steps()
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed).repeat().batch(batch, True)
    model.fit(dataset, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[monitor, each] if watched else [each])
    predicted = model.predict(x_test, 100, verbose=0)
    score = np.mean(predicted.argmax(-1) == y_test) if classes else np.mean(np.square(predicted - y_test))
    return Trained(monitor.run if watched else None, model, each.each("loss"), each.each("accuracy"), float(score))


def at_start(model: keras.Model, data: Any, *, batch: int = 64, loss: str = CROSS_ENTROPY) -> kerasgrad.Run:
    """One sample, of the untrained model. The step is run eagerly: tracing a deep model for one step takes longer."""
    (x, y), _ = data
    model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    model.fit(x[:batch], y[:batch], batch_size=batch, verbose=0, callbacks=[monitor])
    return monitor.run


def of_weights(run: kerasgrad.Run, statistic: str, sample: int = 0, only: str = "") -> Any:
    """A statistic over the layers that have a kernel, in depth order, at one sample."""
    owners = {owner for owner, path in zip(run.schema.owners, run.variables, strict=True) if path.endswith("kernel")}
    rows = [row for row in sorted(owners) if only in run.layers[row]]
    return run.table(statistic, "layer")[sample, rows].astype(float)


def of_kernels(run: kerasgrad.Run, sample: int = 0, only: str = "") -> Any:
    """The gradient's norm of each kernel alone. A layer's row has its bias too, whose gradient follows the signal."""
    norms = run.variable("gradient_norm")
    return np.array([v[sample] for path, v in norms.items() if path.endswith("kernel") and only in path], float)


def first_to_last(values: Any) -> float:
    """Root mean square over the first quarter against the last."""
    quarter = max(1, len(values) // 4)
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean(np.square(values[:quarter]))) / np.sqrt(np.mean(np.square(values[-quarter:]))))
