"""What a training objective at and how far it has come: the loss by name, the output, clipping, and the logs of each epoch.

The rules read it among the facts of a run; nothing here looks at a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasgrad.run import Facts, Run
from kerasgrad.taps.gradients import without_scaling

EPOCHS_KEPT = 256
"""Epochs of which a run keeps the logs; beyond, every second one between the first and the last is dropped."""


def objective(model: keras.Model) -> Facts:
    """What is trained against what, as facts of a run.

    Args:
        model: a model; of one that is not compiled little is known.

    Returns:
        `loss_function`, its name in snake case or `""` if there is none or several; `from_logits`; `clipping`, the
        optimizer's settings that are on; `batch_normalised`, whether a BatchNormalization layer of it is trained.
    """
    optimizer = without_scaling(getattr(model, "optimizer", None))
    clipping = {name: getattr(optimizer, name, None) for name in ("clipnorm", "clipvalue", "global_clipnorm")}
    name, from_logits = loss_name(getattr(model, "loss", None))
    return {
        "loss_function": name,
        "from_logits": from_logits,
        "clipping": {name: float(value) for name, value in clipping.items() if value is not None},
        "batch_normalised": any(
            isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
            for layer in model._flatten_layers(include_self=False)
        ),
    }


def loss_name(loss: Any) -> tuple[str, bool]:
    """The name of a loss, and whether it takes logits.

    Args:
        loss: what was given to `compile`: a name, a function, a `keras.losses.Loss`; of several, nothing is said.

    Returns:
        Such as `("sparse_categorical_crossentropy", False)`; `("", False)` where it cannot be told.
    """
    if isinstance(loss, list | tuple | Mapping) and len(loss) == 1:
        loss = next(iter(loss.values())) if isinstance(loss, Mapping) else loss[0]
    try:
        loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    except ValueError:
        return "", False
    if isinstance(loss, keras.losses.Loss):
        kind = type(loss).__name__
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind).lstrip("_")
        config = getattr(loss, "_fn_kwargs", {})
        return snake, bool(config.get("from_logits", False))
    if callable(loss):
        return str(getattr(loss, "__name__", "")), False
    return "", False


def add_epoch(history: dict[str, list[Any]], step: int, *, logs: Mapping[str, Any]) -> None:
    """Adds the logs of an epoch to a history, in place.

    Args:
        history: by metric one value an epoch, and under `"step"` the training batches until its end; None where an
            epoch lacks a metric.
        step: training batches so far.
        logs: what Keras gives at the end of an epoch.
    """
    epochs = len(history.setdefault("step", []))
    values = {name: _number(value) for name, value in logs.items()}
    for name in values:
        history.setdefault(name, [None] * epochs)
    for name, column in history.items():
        column.append(step if name == "step" else values.get(name))
    if len(history["step"]) > EPOCHS_KEPT:
        for column in history.values():
            del column[1:-1:2]


def said_at_end(run: Run | None, steps: int, *, log_dir: object) -> str:
    """What is said when a training has ended: how much was seen, and where it can be looked at."""
    if run is None:
        return "kerasgrad: no step was sampled."
    where = f"tensorboard --logdir {log_dir}" if run.facts.get("directory") else "monitor.run shows them"
    return f"kerasgrad: {len(run)} samples of {steps} steps, {len(run.layers)} layers. {where}"


def said_of_failure(error: Exception) -> str:
    """What went wrong in the monitor, without the traceback of a graph that TensorFlow puts into its messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[-2:] if isinstance(error, tf.errors.OpError) else lines)}"


def effect_of_failure(error: Exception) -> str:
    """What a failure of the monitor means for the training."""
    if isinstance(error, tf.errors.OpError):  # in a step that had begun
        return "Training goes on; whether the update of that step was made TensorFlow does not say."
    return "Training is not affected."


def _number(value: Any) -> float | None:
    """A log as a float, None if it is none."""
    try:
        return float(np.asarray(value))
    except (TypeError, ValueError):
        return None
