"""Unbalanced layers: one moves a hundred times as fast, or as slowly, as the others.

What it sees: the update-to-weight ratio of each layer with a kernel in the first steps, beside the median of the
others.
Why it hurts: no learning rate fits both: what is right for most freezes the one, or throws it about.
Threshold and source: a factor of 300 either way. With adaptive optimizers a step has the same size everywhere, so that
the ratio says how large the weights are; weights of zero have no ratio, and those that begin there soon have one like
the others. A note; with a gain below 0.7 a warning.
Known false alarms: layers whose weights begin at zero or next to it (LoRA, zero gamma) for their first steps; the last
samples must show it too.
Remedies: use_he_initializer, use_glorot_initializer, add_normalization, scale_learning_rates.
References: You et al. 2017 (LARS): the ratio differs between layers by up to 200.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import SPAN, Evidence, log10, median
from kerasgrad.rules.rule import Verdict, rule

FACTOR = 2.5
"""Orders of magnitude."""
FROZEN = 4.0
"""Orders of magnitude below the others at which a layer does not move at all, which is another ailment."""
GAIN = 0.7
FIRST = 10
LAYERS = 3


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
def unbalanced_layers(seen: Evidence) -> Verdict:
    """Judges each layer beside the others."""
    table = seen.layer("update_ratio")[:, seen.learners]
    known = np.isfinite(table).any(axis=0)
    if known.sum() < LAYERS:
        return f"fewer than {LAYERS} layers are trained"
    early, late = (log10(median(part)) for part in (table[:FIRST], table[seen.late]))
    away = np.where(known, early - np.median(early[known]), 0.0)
    still = np.where(known, late - np.median(late[known]), 0.0)
    apart = (np.abs(away) >= FACTOR) & (np.abs(still) >= FACTOR / 2) & (np.sign(away) == np.sign(still))
    apart &= (away > -FROZEN) & (away < SPAN)  # beyond, the median layer does not move at all
    if not apart.any():
        return []
    worst = int(np.argmax(np.where(apart, np.abs(away), -1)))
    start, times = seen.name(seen.learners[worst]), float(10 ** abs(away[worst]))
    said = f"{start} moves {times:.1e} times as {'fast' if away[worst] > 0 else 'slowly'} as the median layer."
    return [
        Finding(
            severity=Severity.WARNING if seen.learning.poor(GAIN) else Severity.NOTE,
            summary=said,
            layers=seen.names(seen.learners[apart]),
            starts_at=start,
            since=int(seen.steps[0]),
            quantity="update / weight ratio against the median layer",
            measured=float(10 ** away[worst]),
            threshold=10**FACTOR if away[worst] > 0 else 10**-FACTOR,
            samples=len(seen),
            causes=(
                "initial weights of one layer that are too large or too small",
                "a signal that vanishes or explodes in between",
            ),
            remedies=("use_he_initializer", "use_glorot_initializer", "add_normalization", "scale_learning_rates"),
        )
    ]
