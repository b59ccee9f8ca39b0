"""Dormant units: they fire, but so little beside the others of their layer that they might as well not.

What it sees: the share of units whose mean |a| is at most 0.025 of the layer's mean.
Why it hurts: the layer has less capacity than it is paid for, and adapts ever less to new data.
Threshold and source: more than half of a layer's units; tau of Sokar et al. 2023. It is always a note: a net that is too
wide has dormant units and learns well, and where one does not learn something else made them so.
Known false alarms: layers before a normalisation; embeddings of rare words.
Remedies: use_leaky_relu, lower_learning_rate, narrow_the_layer, reset_dead_units.
References: Sokar et al. 2023, The dormant neuron phenomenon in deep reinforcement learning.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, median, share
from kerasgrad.rules.rule import Verdict, rule

HALF = 0.5


@rule(
    "layer/dormant_fraction",
    least=10,
    may_follow=(
        "dead_units",
        "exploding_activation",
        "collapsing_activation",
        "unscaled_inputs",
        "rate_too_high",
        "unbounded_loss",
    ),
)
def dormant_units(seen: Evidence) -> Verdict:
    """Judges the share of dormant units by layer."""
    table = seen.layer("dormant_fraction")
    now = median(table[seen.late])
    rows = np.flatnonzero(now > HALF)
    if not len(rows):
        return []
    worst = int(rows[np.argmax(now[rows])])
    said = f"{share(float(now[worst]))} of the units of {seen.name(worst)} hardly fire beside the others."
    return [
        Finding(
            severity=Severity.NOTE,
            summary=said,
            layers=seen.names(rows),
            starts_at=seen.name(worst),
            since=seen.since(table[:, worst] > HALF),
            quantity="share of dormant units",
            measured=float(now[worst]),
            threshold=HALF,
            samples=len(seen),
            causes=(
                "the layer is wider than the task asks for",
                "steps that were too large",
                "targets that changed while it trained",
            ),
            remedies=("narrow_the_layer", "lower_learning_rate", "use_leaky_relu", "reset_dead_units"),
        )
    ]
