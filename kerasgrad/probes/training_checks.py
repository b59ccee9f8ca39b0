"""Checks of how a model is to be trained: loss, optimizer, rate, batch, what is trainable."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kerasgrad.finding import Severity
from kerasgrad.monitoring.progress import loss_name
from kerasgrad.probes.audit_context import Asked, CheckResult, found
from kerasgrad.rules.last_activation import misfit
from kerasgrad.taps.activations import activation_of

SMALL_BATCH = 8
"""Below this the batch statistics of BatchNormalization are noise (Wu & He 2018, Group normalization, figure 1)."""
RATES = {
    "sgd": (1e-4, 1.0), "adam": (1e-5, 1e-2), "adamw": (1e-5, 1e-2), "nadam": (1e-5, 1e-2), "adamax": (1e-5, 2e-2),
    "rmsprop": (1e-5, 1e-2), "adagrad": (1e-3, 1.0), "adadelta": (1e-2, 2.0), "lion": (1e-6, 3e-3), "ftrl": (1e-3, 1.0),
    "lamb": (1e-4, 2e-2), "adafactor": (1e-4, 5e-2),
}  # fmt: skip
"""Usual learning rates (the optimizers' papers and Keras' defaults)."""
FAR = 10.0
"""Factor beyond the usual range from which on it is far out of it."""
VERY_FAR = 100.0
"""Factor from which on it is a warning: small nets learn with RMSprop at 0.1, and none with Adam at 1."""
SCHEDULED = (0, 10, 100, 1000, 10_000)
"""Steps at which a schedule is looked at: a warm-up begins at zero."""
ROUNDING = 1e-6


def nothing_trainable(asked: Asked) -> CheckResult:
    """A training that changes nothing."""
    if not asked.model.built:
        return "it is not built, so that it has no weights yet"
    if asked.model.trainable_variables:
        return []
    if getattr(asked.optimizer, "built", False) and asked.optimizer is not None:
        said = "No weight is trainable now, but its optimizer is made for some: what was compiled or traced before goes on."
        return found(Severity.NOTE, said, remedies=("unfreeze",))
    frozen = [variable for variable in asked.model.variables if len(variable.shape)]
    said = f"None of the {len(frozen)} weights of the model is trainable" if frozen else "The model has no weights"
    return found(Severity.ERROR, f"{said}: a training changes nothing.", remedies=("unfreeze",))


def last_activation(asked: Asked) -> CheckResult:
    """What the model ends in, against the loss."""
    loss, logits = loss_name(getattr(asked.model, "loss", None))
    if not loss:
        return "it is not compiled, or with several losses or a nameless one"
    call = asked.anatomy.last()
    if call is None:
        return "its output is not one that a layer gives"
    kind, units = activation_of(call.layer).name, call.outputs[0].shape[-1]
    severity, said, remedies = misfit(kind, units or 0, loss=loss, logits=logits)
    if severity is None and "crossentropy" not in loss and kind == "relu":
        severity, said, remedies = (
            Severity.NOTE,
            "The output passes a ReLU, which may be off for good.",
            ("use_linear_output",),
        )
    return [] if severity is None else found(severity, said, paths=[call.path], remedies=remedies)


def learning_rate(asked: Asked) -> CheckResult:
    """The rate, of a schedule the largest, against what is usual for the optimizer: ten times off it may still learn."""
    optimizer = asked.optimizer
    name = type(optimizer).__name__.lower()
    if optimizer is None or name not in RATES:
        return "it is not compiled" if optimizer is None else f"what is usual for {type(optimizer).__name__} is not known"
    rate, (low, high) = _rate(optimizer), RATES[name]
    if not rate > 0:
        what = "no number" if np.isnan(rate) else "0: nothing moves" if rate == 0 else "below 0: each step climbs the loss"
        said = f"The learning rate of {type(optimizer).__name__} is {what} (Received: {rate:.3g})."
        return found(Severity.WARNING, said, remedies=("find_learning_rate",), measured=("learning rate", rate, 0.0))
    # Rates are float32: one set to just a bound counts as on it.
    if low / FAR * (1 + ROUNDING) < rate < high * FAR * (1 - ROUNDING):
        return []
    times = f"{rate / high:.3g} times the highest" if rate > high else f"{rate / low:.2g} of the lowest"
    said = f"The learning rate of {type(optimizer).__name__} is {rate:.2g}, {times} that is usual ({low:g} to {high:g})."
    remedy = ("lower_learning_rate",) if rate > high else ("raise_learning_rate",)
    far = rate >= high * VERY_FAR * (1 - ROUNDING) or rate <= low / VERY_FAR * (1 + ROUNDING)
    return found(Severity.WARNING if far else Severity.NOTE, said, remedies=remedy,
                  measured=("learning rate", rate, high * FAR if rate > high else low / FAR))  # fmt: skip


def _rate(optimizer: Any) -> float:
    schedule = getattr(optimizer, "_learning_rate", None)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return max(float(np.asarray(schedule(step))) for step in SCHEDULED)
    return float(np.asarray(optimizer.learning_rate))


def small_batch(asked: Asked) -> CheckResult:
    """BatchNormalization of a handful of examples."""
    layers = [
        c.path for c in asked.anatomy.calls if isinstance(c.layer, keras.layers.BatchNormalization) and c.layer.trainable
    ]
    if not layers:
        return []
    if asked.batch_size is None:
        return "it has BatchNormalization, and the batch size was not said: audit(model, batch_size=...)"
    if asked.batch_size >= SMALL_BATCH:
        return []
    said = f"BatchNormalization takes its statistics from {asked.batch_size} examples."
    return found(Severity.WARNING, said, paths=layers, remedies=("larger_batch", "use_group_normalization"),
                  measured=("batch size", float(asked.batch_size), float(SMALL_BATCH)))  # fmt: skip
