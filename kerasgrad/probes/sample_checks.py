"""What an audit sees on a sample of data: numbers that are none, a loss that is not of the predictions, labels in order."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.monitoring.progress import loss_name
from kerasgrad.probes.audit_context import CheckResult
from kerasgrad.probes.harness import as_batch, preserved
from kerasgrad.probes.measuring import measure
from kerasgrad.probes.numbers import bad, not_finite
from kerasgrad.probes.tracing import is_weight_layer
from kerasgrad.taps.logits import assumed, logits_of, without_logits

DIFFERENT = 0.05
"""Relative difference of two losses that should be the same; rounding and float16 stay far below."""
EXAMPLES = 256
"""Examples of a sample that are looked at."""
EACH = 5
"""Examples of each class at least, to call labels sorted."""
SURE = 1e-5
"""Probabilities nearer to 0 or 1 than that are clipped by losses, and say little of what they were."""


def of_sample(model: keras.Model, x: Any, *, y: Any) -> CheckResult:
    """Numbers that are none, or else the loss of the predictions, and the order of the labels."""
    if x is None or y is None:
        return "there is no sample: audit(model, x=..., y=...)"
    data = keras.tree.map_structure(np.asarray, (x, y))
    rows, reason = _rows(model, data)
    if reason:
        return reason
    sample = as_batch(*taken(data, rows))
    found = _not_finite(model, data)
    if found:
        return found
    with preserved(model):
        verdict = _loss_of_predictions(model, sample)
    return verdict if isinstance(verdict, str) else [*verdict, *_sorted_by_class(data[1])]


def taken(data: Any, rows: Any) -> Any:
    """Some rows of a structure of arrays."""
    return keras.tree.map_structure(lambda values: values[rows], data)


def _rows(model: keras.Model, data: Any) -> tuple[slice, str]:
    """Which examples are looked at, or why none are: a model may fix its batch size."""
    inputs = keras.tree.flatten(getattr(model, "inputs", None) or [])
    fixed = next((tensor.shape[0] for tensor in inputs if tensor.shape and tensor.shape[0]), None)
    there = len(keras.tree.flatten(data)[0])
    if fixed and there and there < fixed:
        return slice(0), f"the model takes batches of {fixed} examples, and the sample has {there}"
    return slice(fixed or EXAMPLES), ""


def _not_finite(model: keras.Model, data: tuple[Any, Any]) -> list[Finding]:
    """NaN and infinity in the sample, unless a model that knows of them trains on them all the same."""
    x, y = data
    spoiled = {name: rows for name, rows in (("check_inputs", bad(x)), ("check_labels", bad(y))) if rows.any()}
    if not spoiled:
        return []
    said = f"In the sample {not_finite(x, y)}"
    if getattr(model, "compiled", False) and model.trainable_variables:
        rows = np.flatnonzero(np.any(list(spoiled.values()), axis=0))[:EXAMPLES]
        if np.isfinite(measure(model, *taken(data, rows)).overall("gradient_norm")).all():
            return []
        said += "; their gradient is no number either, and the first step on one of them makes NaN of the weights"
    return [Finding(rule="non_finite", severity=Severity.ERROR, summary=f"{said}.", remedies=tuple(spoiled))]


def _loss_of_predictions(model: keras.Model, sample: tuple[Any, Any]) -> CheckResult:
    """Compares the model's own loss of a sample with that of what it predicts.

    Keras 3 computes cross-entropies from the logits that the last activation leaves behind on its output, whatever that
    activation was; predictions carry none. Both are computed by the model's own `compute_loss`, with its masks and terms.
    """
    if not getattr(model, "compiled", False) or model.loss is None or isinstance(model.loss, list | dict):
        return "the model is not compiled with one loss"
    x, _ = sample
    try:
        predicted = model(x, training=False) if model._call_has_training_arg else model(x)
        values = [np.asarray(leaf) for leaf in keras.tree.flatten(predicted)]
        if not all(np.isfinite(leaf).all() for leaf in values):
            return _predicts_nan()
        reported, own = (_loss(model, sample, predicted=given) for given in (predicted, without_logits(predicted)))
        as_assumed = _as_assumed(model, sample, predicted=predicted)
    except Exception as error:
        return f"its loss could not be computed on the sample: {type(error).__name__}: {str(error).splitlines()[0][:200]}"
    found: list[Finding] = []
    if as_assumed is None:  # nobody knows what the loss makes of the logits; where it clips, it may differ
        same = all((leaf > SURE).all() and (leaf < 1 - SURE).all() for leaf in values) is False or _close(reported, own)
    else:
        same = _close(as_assumed, own)
    if not same:
        found.append(_differs(reported, own))
    varied = any(len(leaf) > 1 and (leaf != leaf[:1]).any() for leaf in map(np.asarray, keras.tree.flatten(x)))
    if varied and all(len(leaf) > 1 and (leaf == leaf[:1]).all() for leaf in values) and not _begins_at_zero(model):
        found.append(
            Finding(
                rule="constant_output", severity=Severity.WARNING,
                summary="The model predicts the same for all examples of the sample.",
                quantity="deviation of the predictions", measured=0.0, threshold=0.0,
                remedies=("use_sigmoid",) if values[0].shape[-1] == 1 else ("reset_dead_units", "use_he_initializer"),
            )
        )  # fmt: skip
    return found


def _loss(model: keras.Model, sample: tuple[Any, Any], *, predicted: Any) -> float:
    x, y = sample
    return float(np.asarray(model.compute_loss(x, y, predicted, training=False)))


def _as_assumed(model: keras.Model, sample: tuple[Any, Any], *, predicted: Any) -> float | None:
    """The loss of what the loss takes the predictions for; None where that is not known, `own` where there are no logits."""
    if all(logits_of(leaf) is None for leaf in keras.tree.flatten(predicted)):
        return _loss(model, sample, predicted=predicted)
    name = loss_name(model.loss)[0]
    if "crossentropy" not in name:
        return None
    return _loss(model, sample, predicted=assumed(predicted, "sigmoid" if "binary" in name else "softmax"))


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= DIFFERENT * max(abs(one), abs(other), 1e-3)


def _predicts_nan() -> list[Finding]:
    said = "The model predicts NaN or infinity on a sample that has none: its weights or an operation in it are at fault."
    return [Finding(rule="non_finite", severity=Severity.ERROR, summary=said, remedies=("guard_logarithms",))]


def _differs(reported: float, own: float) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        summary=f"Keras reports a loss of {reported:.4g} on the sample, and the predictions have {own:.4g}: the model is "
        "trained for something else than it predicts.",
        quantity="loss that is reported",
        measured=reported,
        threshold=own,
        causes=("a last activation that does not fit the loss: Keras takes the logits from before it",),
        remedies=("use_sigmoid", "use_softmax", "set_from_logits"),
    )


def _begins_at_zero(model: keras.Model) -> bool:
    """Whether the last kernel is all zeros, as in a linear or softmax regression that has not begun."""
    kernels = [getattr(layer, "kernel", None) for layer in model._flatten_layers() if is_weight_layer(layer)]
    kernels = [kernel for kernel in kernels if kernel is not None]
    return bool(kernels) and not np.asarray(kernels[-1]).any()


def _sorted_by_class(y: Any) -> list[Finding]:
    """Labels that come class by class: harmless in a `fit` that shuffles, not where the last ones are held out."""
    labels = _classes(y)
    classes, blocks = len(np.unique(labels)), 1 + int((labels[1:] != labels[:-1]).sum())
    if classes < 2 or blocks != classes or len(labels) < EACH * classes:
        return []
    said = f"The labels come class by class, {classes} of them: `validation_split` would hold out the last ones alone"
    return [
        Finding(
            rule="sorted_labels", severity=Severity.NOTE, summary=f"{said}, a dataset needs a `shuffle` as long as it is.",
            quantity="changes from label to label", measured=float(blocks - 1), samples=len(y), remedies=("check_labels",),
        )
    ]  # fmt: skip


def _classes(y: Any) -> Any:
    """The class of each example, int64 `[examples]`; empty where the targets are no classes."""
    none = np.zeros(0, np.int64)
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "biuf" or not 0 < y.ndim <= 2:
        return none
    if y.ndim == 2 and y.shape[1] > 1:
        one_hot = bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())
        return y.argmax(axis=1) if one_hot else none
    labels = y.reshape(len(y))
    return labels.astype(np.int64) if (labels == np.round(labels)).all() else none
