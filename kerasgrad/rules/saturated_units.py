"""Saturated units: tanh or sigmoid on their flat ends, where the derivative is next to nothing.

What it sees: the share of a layer's entries with |tanh| > 0.97 (for a sigmoid the same point of the curve), of all
layers but the model's output, which should saturate when it is sure.
Why it hurts: the signal is multiplied by a derivative below 0.06 in each such layer.
Threshold and source: more than 90 % now with a gain below 0.7, or 75 % with one below 0.5, in training or held out, is a
warning; 50 % (DeepDiagnosis, Karpathy 2022) is a note. Held-out data count since a deep net of flat ends may learn its
examples by heart and nothing else (Philipp & Carbonell 2018).
Known false alarms: gates of recurrent layers saturate on purpose and are not looked at; nets that learn with saturated
layers get a note.
Remedies: use_glorot_initializer, standardize_inputs, add_normalization, use_relu, lower_learning_rate.
References: Glorot & Bengio 2010; Rakitianskaia & Engelbrecht 2015, Measuring saturation in neural networks; Philipp &
Carbonell 2018, The nonlinearity coefficient: predicting generalization in deep neural networks.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, median, share
from kerasgrad.rules.rule import Verdict, rule

NOTE = 0.5
WARNING, GAIN = 0.9, 0.7
MANY, GAIN_MANY = 0.75, 0.5


@rule("layer/saturated_fraction", least=3)
def saturated_units(seen: Evidence) -> Verdict:
    """Judges the hidden layers."""
    hidden = np.arange(len(seen.run.layers)) != seen.output
    table = seen.layer("saturated_fraction")
    now = np.where(hidden, median(table[seen.late]), np.nan)
    rows = np.flatnonzero(now > NOTE)
    if not len(rows):
        return []
    # The first of those that have as much as any threshold asks for.
    reached = max((t for t in (NOTE, MANY, WARNING) if now[rows].max() > t), default=NOTE)
    worst = int(rows[np.argmax(now[rows] > reached)])
    grave = (reached >= WARNING and seen.learning.useless(GAIN)) or (reached >= MANY and seen.learning.useless(GAIN_MANY))
    said = f"{share(float(now[worst]))} of the outputs of {seen.name(worst)} lie on the flat ends of its activation."
    return [
        Finding(
            severity=Severity.WARNING if grave else Severity.NOTE,
            summary=said,
            layers=seen.names(rows),
            starts_at=seen.name(worst),
            since=seen.since(table[:, worst] > NOTE),
            quantity="share of saturated outputs",
            measured=float(now[worst]),
            threshold=reached if grave else NOTE,
            samples=len(seen),
            causes=(
                "initial weights or biases that are too large",
                "inputs that are not scaled",
                "a learning rate that is too high",
            ),
            remedies=(
                "use_glorot_initializer",
                "standardize_inputs",
                "add_normalization",
                "use_relu",
                "lower_learning_rate",
            ),
        )
    ]
