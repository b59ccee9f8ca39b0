"""A trainable variable that no gradient reaches.

What it sees: variables without any gradient (`None`) in every sample, while others have one; layers all of whose gradients
are exactly zero in every sample, though they fire, do not saturate, and something arrives behind them; or a model without any
trainable variable, which is an error.
Why it hurts: they keep their initial values for ever; all layers before the cut are a fixed random function.
Threshold and source: none is needed; it is so in every sample or it is not.
Whether the model learns all the same is no matter.
Known false alarms: a head that is trained later, a layer that is built but never called. Those own all their variables
without being called, and are notes. `trainable=False` is a choice: such variables are no rows at all.
Remedies: remove_stop_gradient, use_differentiable_operations, call_the_layer, unfreeze.
References: TensorFlow's "Gradients do not exist for variables" warning, which is given once and names no cause.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgrad.finding import Finding, Severity, counted
from kerasgrad.rules.evidence import Evidence, median
from kerasgrad.rules.rule import Verdict, rule

LEAST = 5
"""Samples in which a gradient of zero is no accident."""
DEAD = 0.999
"""Share of zeros with which a layer is dead, which is another ailment."""
FAINT = 1e-20
"""A gradient below which that of the layer before may have been too small for float32."""


@rule()
def disconnected(seen: Evidence) -> Verdict:
    """Judges what has weights and never had a gradient."""
    if seen.run.facts.get("trainable") == 0 and not seen.run.variables:
        said = "No weight of the model is trainable: the training changes nothing."
        return [Finding(severity=Severity.ERROR, summary=said, since=int(seen.run.steps[0]), remedies=("unfreeze",))]
    if not np.isfinite(seen.run.overall("gradient_norm")).any():
        return "the run has no gradient_norm"
    gradient, weight = seen.run.table("gradient_norm", "variable"), seen.run.table("weight_norm", "variable")
    broken = (seen.run.table("gradient_nonfinite", "variable") > 0).any(axis=0)
    without: Any = np.asarray(np.isnan(gradient).all(axis=0) & np.isfinite(weight).any(axis=0) & ~broken)
    zero = _always_zero(seen)
    if not without.any() or without.all():
        return zero
    rows = np.unique(seen.owners[without])
    whole: Any = np.array([row for row in rows if np.all(without[seen.owners == row])], np.int64)
    called: Any = np.isfinite(seen.run.table("activation_mean", "layer")).any(axis=0)
    cut = whole[called[whole]] if len(whole) else whole
    paths = tuple(path for path, cut_off in zip(seen.run.variables, without.tolist(), strict=True) if cut_off)
    severity = Severity.WARNING if len(cut) else Severity.NOTE
    # What is nearest to the output is where the gradient stops.
    start = seen.name(cut[-1]) if len(cut) else seen.name(rows[-1])
    some = f"{', '.join(paths[:3])}{' ...' if len(paths) > 3 else ''}"
    said = f"No gradient reaches {counted(len(paths), 'trainable variable')}: {some}."
    return [
        Finding(
            severity=severity,
            summary=said,
            layers=seen.names(rows),
            starts_at=start,
            since=int(seen.run.steps[0]),
            quantity="trainable variables without a gradient",
            measured=float(len(paths)),
            threshold=0.0,
            samples=len(seen.run),
            causes=(
                "stop_gradient, a rounding, an argmax or a conversion to NumPy between the layer and the loss",
                "the layer's output is not used in the loss",
                "a train_step that asks for the gradient of some variables only",
                "the layer was built and is never called",
            ),
            remedies=("remove_stop_gradient", "use_differentiable_operations", "call_the_layer"),
        ),
        *zero,
    ]


def _always_zero(seen: Evidence) -> list[Finding]:
    """Layers behind which something multiplies by zero whatever comes: their units fire, and still no gradient is theirs."""
    gradient = seen.variable("gradient_norm")
    if len(seen) < LEAST or not (gradient > 0).any():
        return []
    # Units that are dead or saturated, and the gates of a recurrent layer, which may be, let exactly nothing through too.
    dead = (median(seen.layer("activation_zeros")) >= DEAD) | (median(seen.layer("saturated_fraction")) >= DEAD)
    dead |= np.array([kind == "recurrent" for kind in seen.run.schema.activations])
    norms = {row: gradient[:, seen.owners == row] for row in seen.learners}
    rows = [row for row, of in norms.items() if np.isfinite(of).any() and not np.nan_to_num(of).any() and not dead[row]]
    above = [row for row in seen.learners if rows and row > rows[-1]]
    reached = above and float(np.nanmax(median(norms[above[0]]), initial=0.0)) > FAINT
    if not rows or not reached or dead[rows[-1] :].any():
        return []
    start = seen.name(rows[-1])
    return [
        Finding(
            severity=Severity.WARNING,
            summary=f"The gradient of {start} is exactly zero in every sample, that of {seen.name(above[0])} is not.",
            layers=seen.names(rows),
            starts_at=start,
            since=int(seen.steps[0]),
            quantity="gradient norm",
            measured=0.0,
            threshold=0.0,
            samples=len(seen),
            causes=(
                "a softmax over one entry, or a rounding, a comparison or a clipping, behind it: their derivative is zero",
                "a factor behind it that is zero for every example, such as a mask or a gate that is shut",
            ),
            remedies=("use_differentiable_operations", "remove_stop_gradient"),
            shown=True,
        )
    ]
