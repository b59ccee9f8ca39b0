"""Saturated units: tanh or sigmoid on their flat ends, where the derivative is next to nothing.

What it sees: the share of a layer's entries with |tanh| > 0.97 (for a sigmoid the same point of the curve), of all
layers but the model's output, which should saturate when it is sure; that one only where it is sure and wrong.
Why it hurts: the signal is multiplied by a derivative below 0.06 in each such layer.
Threshold and source: more than 90 % now with a gain below 0.7, or 75 % with one below 0.5, in training or held out, is a
warning; 50 % (DeepDiagnosis, Karpathy 2022) is a note. Held-out data count since a deep net of flat ends may learn its
examples by heart and nothing else (Philipp & Carbonell 2018).
The output is named where more than 90 % of it is saturated and the loss is 1.5 times that of a constant prediction
(cross-entropy), or half of what the activation can miss by (squared error): rare classes saturate it rightly.
Known false alarms: gates of recurrent layers saturate on purpose and are not looked at; nets that learn with saturated
layers get a note.
Remedies: use_glorot_initializer, standardize_inputs, add_normalization, use_relu, lower_learning_rate, scale_targets.
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
WORSE = 1.5
"""Times the loss of a constant prediction from which on a saturated output is not rightly sure."""
FAR = {("sigmoid", "mean_squared_error"): 0.5, ("tanh", "mean_squared_error"): 2.0, ("sigmoid", "mean_absolute_error"): 0.5,
       ("tanh", "mean_absolute_error"): 1.0}  # fmt: skip
"""By output and loss half of the most that it can miss by, while targets lie in its range."""


@rule(
    "layer/saturated_fraction",
    least=3,
    follows=("non_finite",),
    may_follow=("exploding_activation", "unscaled_inputs", "rate_too_high", "unbounded_loss"),
)
def saturated_units(seen: Evidence) -> Verdict:
    """Judges the hidden layers, and the output where it is wrong."""
    return [*_hidden(seen), *_output(seen)]


def _output(seen: Evidence) -> list[Finding]:
    """A model that is sure and wrong."""
    if seen.output < 0:
        return []
    kind, loss, learning = seen.run.schema.activations[seen.output], seen.run.facts.get("loss_function"), seen.learning
    column = seen.layer("saturated_fraction")[:, seen.output]
    now, name = float(median(column[seen.late])), seen.name(seen.output)
    entropy = "binary_crossentropy" in str(loss) and learning.now > WORSE * learning.constant
    if not now > WARNING or not (entropy or learning.now > FAR.get((kind, str(loss)), np.inf)):
        return []
    said = f"{share(now)} of the model's output, {name}, lies on the flat ends of its {kind}"
    return [
        Finding(
            severity=Severity.WARNING,
            summary=f"{said}, and the loss is {learning.now:.3g}: it is sure and wrong.",
            layers=(name,),
            starts_at=name,
            since=seen.since(column > WARNING),
            quantity="share of saturated outputs of the model",
            measured=now,
            threshold=WARNING,
            samples=len(seen),
            causes=(
                "a step that was too large threw the weights away",
                "inputs that are not scaled, or weights that are too large",
                "targets beyond what the activation can give",
            ),
            remedies=("lower_learning_rate", "standardize_inputs", "use_glorot_initializer", "scale_targets"),
        )
    ]


def _hidden(seen: Evidence) -> list[Finding]:
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
