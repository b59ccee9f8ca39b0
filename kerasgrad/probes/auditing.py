"""`audit`: the checklist before training."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from kerasgrad.finding import Diagnosis, Finding, Severity
from kerasgrad.probes.asking import as_batch, check_arrays, check_model, preserved
from kerasgrad.probes.checks import CHECKS, UNTRACED, Asked
from kerasgrad.probes.measuring import measure
from kerasgrad.probes.numbers import bad, not_finite
from kerasgrad.probes.tracing import anatomy

DIFFERENT = 0.05
"""Relative difference of two losses that should be the same; rounding and float16 stay far below."""
EXAMPLES = 256
"""Examples of a sample that are looked at."""


def audit(
    model: keras.Model, batch_size: int | None = None, *, sequence_length: int | None = None, x: Any = None, y: Any = None
) -> Diagnosis:
    """Goes through the checklist before training. Nothing is trained and the model is left as it is.

    Args:
        model: a model that is built, and best compiled, since some checks are of its loss and optimizer.
        batch_size: examples in a step, for what depends on it.
        sequence_length: time steps, where the model leaves them open.
        x: a sample of inputs; with `y`, the loss that Keras reports is compared with the loss of the predictions.
        y: its targets.

    Returns:
        The findings, none of which has a step, and what could not be examined and why. Its `repr` is the report.

    Raises:
        TypeError: the model is none of Keras 3.
        ValueError: the sample is a dataset or lists of numbers, empty, or of unequal lengths.

    Example:
        >>> kerasgrad.audit(model, batch_size=32)
    """
    check_model(model, "audit")
    check_arrays(x, y)
    asked = Asked(model, anatomy(model, sequence_length), batch_size, sequence_length)
    findings: list[Finding] = []
    examined, not_examined = [], {}
    verdicts = {
        check.__name__: check(asked) if not asked.anatomy.reason or check.__name__ in UNTRACED else asked.anatomy.reason
        for check in CHECKS
    }
    for name, verdict in (verdicts | {"loss_of_predictions": _of_sample(model, x, y=y)}).items():
        if isinstance(verdict, str):
            not_examined[name] = verdict
        else:
            examined.append(name)
            findings += (f if f.rule else dataclasses.replace(f, rule=name) for f in verdict)
    return Diagnosis(tuple(findings), not_examined, tuple(examined), model.name)


def _of_sample(model: keras.Model, x: Any, *, y: Any) -> list[Finding] | str:
    """Numbers that are none, or else the loss of the predictions."""
    if x is None or y is None:
        return "there is no sample: audit(model, x=..., y=...)"
    data = keras.tree.map_structure(np.asarray, (x, y))
    sample = as_batch(*_taken(data, slice(EXAMPLES)))
    found = _not_finite(model, data)
    if found:
        return found
    with preserved(model):
        return _loss_of_predictions(model, sample)


def _taken(data: Any, rows: Any) -> Any:
    return keras.tree.map_structure(lambda values: values[rows], data)


def _not_finite(model: keras.Model, data: tuple[Any, Any]) -> list[Finding]:
    """NaN and infinity in the sample, unless a model that knows of them trains on them all the same."""
    x, y = data
    spoiled = {name: rows for name, rows in (("check_inputs", bad(x)), ("check_labels", bad(y))) if rows.any()}
    if not spoiled:
        return []
    said = f"In the sample {not_finite(x, y)}"
    if getattr(model, "compiled", False) and model.trainable_variables:
        rows = np.flatnonzero(np.any(list(spoiled.values()), axis=0))[:EXAMPLES]
        if np.isfinite(measure(model, *_taken(data, rows)).overall("gradient_norm")).all():
            return []
        said += "; their gradient is no number either, and the first step on one of them makes NaN of the weights"
    return [Finding(rule="non_finite", severity=Severity.ERROR, summary=f"{said}.", remedies=tuple(spoiled))]


def _loss_of_predictions(model: keras.Model, sample: tuple[Any, Any]) -> list[Finding] | str:
    """Compares the loss that Keras reports on a sample with the loss of what the model predicts for it.

    Keras 3 computes cross-entropies from the logits that the last activation leaves behind on its output, whatever that
    activation was; predictions carry none.
    """
    if not getattr(model, "compiled", False) or model.loss is None or isinstance(model.loss, list | dict):
        return "the model is not compiled with one loss"
    x, y = sample
    reported = float(model.evaluate(x, y, batch_size=EXAMPLES, verbose=0, return_dict=True)["loss"])
    penalties = float(sum(float(np.asarray(loss)) for loss in model.losses))
    predicted = model.predict(x, batch_size=EXAMPLES, verbose=0)
    if not all(np.isfinite(leaf).all() for leaf in keras.tree.flatten(predicted)):
        said = (
            "The model predicts NaN or infinity on a sample that has none: its weights or an operation in it are at fault."
        )
        return [Finding(rule="non_finite", severity=Severity.ERROR, summary=said, remedies=("guard_logarithms",))]
    loss = keras.losses.get(model.loss)
    own = float(np.mean(np.asarray(loss(_column(y, predicted), predicted))))
    found: list[Finding] = []
    larger = max(abs(own), abs(reported - penalties), 1e-3)
    if not np.isfinite(reported) or abs(reported - penalties - own) > DIFFERENT * larger:
        found.append(
            Finding(
                severity=Severity.ERROR,
                summary=f"Keras reports a loss of {reported - penalties:.4g} on the sample, and the predictions have "
                f"{own:.4g}: the model is trained for something else than it predicts.",
                quantity="loss that is reported", measured=reported - penalties, threshold=own, samples=0,
                causes=("a last activation that does not fit the loss: Keras takes the logits from before it",),
                remedies=("use_sigmoid", "use_softmax", "set_from_logits"),
            )
        )  # fmt: skip
    if len(predicted) > 1 and (predicted == predicted[:1]).all():
        found.append(
            Finding(
                rule="constant_output", severity=Severity.WARNING,
                summary="The model predicts the same for all examples of the sample.",
                quantity="deviation of the predictions", measured=0.0, threshold=0.0, remedies=("use_sigmoid",),
            )
        )  # fmt: skip
    return found


def _column(y: Any, predicted: Any) -> Any:
    """Targets with the axis of one unit that predictions have, as `fit` gives it to them."""
    return y[..., None] if y.ndim == predicted.ndim - 1 and predicted.shape[-1] == 1 else y
