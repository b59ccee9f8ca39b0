"""NaN or infinity: where it came first, in the forward pass, the backward pass or the update, and at which step.

What it sees: the first sample with a number that is not finite. In that sample the first layer in depth order whose
output has one (forward); if all outputs are finite, the last layer in depth order whose gradient has one (backward: the
signal goes from the output to the input); if gradients are finite too, the layer whose weights have one (update).
Why it hurts: one NaN reaches every weight by the next step, and nothing is learnt from then on.
Threshold and source: one entry. Debuggers that look at the loss alone (`TerminateOnNaN`) say neither where nor why.
Known false alarms: none; overflows of loss scaling are skipped steps and are left out. A layer may hide NaN: a ReLU
makes zero of it on some processors, so weights are looked at as well. Where the step itself was not sampled, all
weights are NaN by the next sample; then the rule says between which steps it came, and names no layer.
A number that grew until it overflowed is no logarithm of zero: where the loss had risen a hundredfold, where outputs were
larger than 1e15, whose squares overflow, or behind an `exponential`, that is said first.
Remedies: lower_learning_rate, clip_gradients, guard_logarithms, check_inputs, check_labels; numbers first where
no step had been made yet, so that no rate can have done it, and where the loss alone is NaN, labels with them.
References: Chowdhury et al. 2021 (DeepLocalize, ICSE), which names the first layer by watching every step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence
from kerasgrad.rules.rule import Verdict, rule

CAUSES = {
    "forward": ("a logarithm, root or division of zero in that layer or just before it", "inputs that are NaN themselves",
                "weights that grew until the numbers overflowed"),
    "backward": ("the derivative of a root, norm or logarithm at zero", "a loss of a probability that is exactly 0 or 1",
                 "a signal that grew until it overflowed"),
    "update": ("a learning rate that is too high", "NaN that was assigned to the weights from outside of the step"),
    "loss": ("a logarithm of zero in the loss", "targets that are NaN, or numbers of classes that have no output",
             "a sum that overflowed"),
}  # fmt: skip

OF_STEPS, OF_NUMBERS = ("lower_learning_rate", "clip_gradients"), ("guard_logarithms", "check_inputs")
OF_GROWTH = (*OF_STEPS, "check_inputs")
GREW, HUGE = 100.0, 1e15
"""Rise of the loss, and size of an output, that show that numbers grew: a logarithm of zero comes without warning."""
LAST = 3
"""Samples before it whose largest loss counts."""
OF_LOSS = ("guard_logarithms", "check_labels", "check_inputs")


@rule(
    least=0, may_follow=("unbounded_loss", "exploding_activation", "unscaled_inputs", "rate_too_high", "exploding_gradient")
)
def non_finite(seen: Evidence) -> Verdict:
    """Judges the first sample that is not finite, among all of the run."""
    run = seen.run
    if not len(run):
        return "there is no sample"
    sound = run.overall("loss_scale_overflow") != 1
    activation, gradient = (run.table(f"{what}_nonfinite", "layer") > 0 for what in ("activation", "gradient"))
    weights = _became_nan(run.table("weight_norm", "layer"))
    loss = run.overall("loss")
    bad_loss = ~np.isfinite(loss) if np.isfinite(loss).any() or np.isinf(loss).any() else _never_finite(run, loss)
    bad = sound & (activation.any(axis=1) | gradient.any(axis=1) | weights.any(axis=1) | bad_loss)
    if not bad.any():
        return []
    first = int(np.argmax(bad))
    phase, row, rows = _place(activation[first], gradient[first], weights=weights[first])
    at = int(run.steps[first])
    before = int(run.steps[first - 1]) if first else None
    if phase == "update" and before is not None and before + 1 < at and weights[first].mean() > SPREAD:
        row = -1
    where = seen.name(row) if row >= 0 else ""
    said = {
        "forward": f"The output of {where} is the first that is not finite, in the forward pass.",
        "backward": f"All outputs are finite; the gradient of {where} is the first that is not.",
        "update": f"The weights of {where} are not finite any more.",
        "loss": "The loss is not finite while all outputs and gradients are.",
    }[phase]
    if row < 0 and phase == "update":
        said = (
            f"All weights are NaN: it came between the samples of steps {before} and {at}, at a step that was not sampled."
        )
    causes, of_loss = CAUSES[phase], phase == "loss"
    grown = _grown(seen, first, row=row)
    if grown:
        causes, of_loss = grown, False
    elif phase == "backward" and bad_loss[first]:
        causes, of_loss = (*CAUSES["loss"], *causes), True
    elif phase == "backward" and list(rows) == list(seen.learners[:1]):
        causes = (HIDDEN, *causes)
    return [
        Finding(
            severity=Severity.ERROR,
            summary=said,
            layers=seen.names(rows) if row >= 0 else (),
            starts_at=where,
            since=at,
            quantity="entries that are not finite, layers with any",
            measured=float(len(rows) or 1),
            threshold=1.0,
            samples=first + 1,
            causes=causes,
            remedies=OF_GROWTH if grown else (*OF_LOSS, *OF_STEPS) if of_loss else _remedies(at == 0, HIDDEN in causes),
            shown=bool(grown),
        )
    ]


def _grown(seen: Evidence, first: int, *, row: int) -> tuple[str, ...]:
    """What shows that numbers grew until they overflowed; none where nothing does."""
    run, causes = seen.run, []
    loss = np.abs(run.overall("loss")[: first + 1].astype(np.float64))
    known = loss[np.isfinite(loss)]
    times = float(known[-LAST:].max() / max(known[0], 1e-30)) if len(known) > 1 else 1.0
    if times > GREW:
        causes.append(f"a training that diverged: the loss had risen {times:.2g}-fold before")
    size = run.table("activation_max", "layer")[max(first - 1, 0) : first + 1].astype(np.float64)
    largest = float(np.max(size, initial=0.0, where=np.isfinite(size)))
    if largest > HUGE:
        causes.append(f"outputs as large as {largest:.1g}, whose squares are beyond float32")
    reached = run.schema.activations[: row + 1] if row >= 0 else run.schema.activations
    if "exponential" in reached:
        path = seen.name(reached.index("exponential"))
        causes.append(f"the exponential of {path}: of numbers above 88 it is beyond float32")
    return tuple(causes)


HIDDEN = "inputs that are NaN: a ReLU makes zeros of them, the gradient of the first kernel shows them"


def _remedies(at_once: bool, inputs: bool) -> tuple[str, ...]:
    """The likeliest first: before the first step no rate can have done it."""
    if inputs:
        return (*OF_NUMBERS[::-1], *OF_STEPS)
    return (*OF_NUMBERS, *OF_STEPS) if at_once else (*OF_STEPS, *OF_NUMBERS)


SPREAD = 0.5
"""Share of layers with NaN weights from which on the one that had it first cannot be told."""


def _became_nan(weight_norm: Any) -> Any:
    """Layers whose weights are not finite; those that never had a norm have no weights."""
    owns = np.isfinite(weight_norm).any(axis=0)
    if not owns.any() and len(weight_norm):
        return np.isinf(weight_norm)
    return ~np.isfinite(weight_norm) & owns


def _never_finite(run: Any, loss: Any) -> Any:
    """A loss that is NaN throughout is either not measured, or bad from the start: then something else was measured."""
    if "loss" in (run.facts.get("not_examined") or {}):
        return np.zeros(len(loss), bool)
    measured = np.isfinite(run.overall("gradient_norm")).any() or (run.table("gradient_nonfinite", "layer") > 0).any()
    return np.full(len(loss), bool(measured) and bool(run.facts.get("loss_function")))


def _place(activation: Any, gradient: Any, *, weights: Any) -> tuple[str, int, Any]:
    """In which phase, at which layer, and all layers that have it. NaN in the weights explains NaN in what they give."""
    if weights.any() and not (activation.any() and np.argmax(activation) < np.argmax(weights)):
        return (
            ("forward" if activation.any() and not weights.all() else "update"),
            int(np.argmax(weights)),
            np.flatnonzero(weights | activation),
        )
    if activation.any():
        return "forward", int(np.argmax(activation)), np.flatnonzero(activation)
    if gradient.any():
        return "backward", int(np.flatnonzero(gradient)[-1]), np.flatnonzero(gradient)
    return "loss", -1, np.zeros(0, int)
