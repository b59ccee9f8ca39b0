"""Frozen layer: its weights hardly move while those of the others do.

What it sees: the update-to-weight ratio of a layer, all its variables together, beside the median of the layers.
Why it hurts: a layer that does not move is a fixed random function.
Threshold and source: below a ten-thousandth of the median layer's, or exactly zero, in the last samples; a warning with
a gain below 0.7. `trainable=False` is a choice: such layers have no updates to look at.
Known false alarms: variables whose gradient is zero by structure (a bias before BatchNormalization, an attention key's
bias) do not count, since a layer is judged by all its variables together.
Remedies: use_relu, add_shortcuts, raise_learning_rate.
References: Raghu et al. 2017 (SVCCA), layers that converge from below; Karpathy 2022 on update ratios.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity, counted
from kerasgrad.rules.evidence import Evidence, median
from kerasgrad.rules.rule import Verdict, rule

SHARE = 1e-4
GAIN = 0.7


@rule(
    "layer/update_ratio",
    least=5,
    follows=(
        "disconnected",
        "exploding_activation",
        "collapsing_activation",
        "dead_units",
        "saturated_units",
        "vanishing_gradient",
    ),
)
def frozen_layer(seen: Evidence) -> Verdict:
    """Judges each layer beside the others."""
    table = seen.layer("update_ratio")[:, seen.learners]
    if table.shape[1] < 2:
        return "there are no two layers to compare"
    now = median(table[seen.late])
    usual = float(np.median(now[np.isfinite(now)])) if np.isfinite(now).any() else float("nan")
    usual = max(usual, float(np.nanmax(now)) / 10) if np.isfinite(now).any() else usual
    still = now < SHARE * usual
    if not still.any():
        return []
    rows = seen.learners[still]
    # The signal comes from the output: what stands still next to it is where it begins.
    start, poor = rows[-1], seen.learning.poor(GAIN)
    value = float(now[still][-1])
    said = counted(len(rows), "layer hardly moves", many="layers hardly move")
    said = f"{said}: {seen.name(start)} by {value:.1e} of its weights a step, others by {usual:.1e}."
    since = seen.since((table[:, still] < SHARE * usual).any(axis=1))
    return [
        Finding(
            severity=Severity.WARNING if poor else Severity.NOTE,
            summary=said,
            layers=seen.names(rows),
            starts_at=seen.name(start),
            since=since,
            quantity="update / weight ratio",
            measured=value,
            threshold=SHARE * usual,
            samples=len(seen),
            causes=(
                "the gradient vanishes before it gets there",
                "dead units above it",
                "weights that are far too large for their steps",
            ),
            remedies=("use_relu", "add_shortcuts", "raise_learning_rate"),
        )
    ]
