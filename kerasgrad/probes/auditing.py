"""`audit`: the checklist before training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from kerasgrad.finding import Diagnosis, Finding
from kerasgrad.probes import checks, training_checks
from kerasgrad.probes.audit_context import Asked, CheckResult
from kerasgrad.probes.harness import check_arrays, check_model
from kerasgrad.probes.sample_checks import of_sample
from kerasgrad.probes.tracing import anatomy

CHECKS: tuple[Callable[[Asked], CheckResult], ...] = (
    training_checks.nothing_trainable, training_checks.last_activation, checks.linear_stack, training_checks.learning_rate,
    checks.saturating_activation, checks.initializer_against_activation, checks.deep_without_shortcuts,
    training_checks.small_batch,
    checks.long_recurrence, checks.unbounded_state, checks.attention_without_positions, checks.bias_before_normalization,
    checks.normalization_after_activation,
)  # fmt: skip
UNTRACED = ("learning_rate", "nothing_trainable")
"""Checks that need no trace of the model."""


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
    for name, verdict in (verdicts | {"loss_of_predictions": of_sample(model, x, y=y)}).items():
        if isinstance(verdict, str):
            not_examined[name] = verdict
        else:
            examined.append(name)
            findings += (f if f.rule else dataclasses.replace(f, rule=name) for f in verdict)
    return Diagnosis(tuple(findings), not_examined, tuple(examined), model.name)
