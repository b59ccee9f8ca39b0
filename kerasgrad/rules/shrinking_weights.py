"""Shrinking weights: a penalty on the weights, or their decay, is stronger than what the loss asks of them.

What it sees: the norm of each kernel, or of embeddings, now against its norm at the start.
Why it hurts: weights near zero pass neither the inputs on nor the signal back; the model ends as a constant.
Threshold and source: the median kernel below 0.3 of its start, or one below 0.05, with a gain below 0.5, in training or
held out; a regularised net that learns keeps about 0.4 (`benchmarks/README.md`).
Known false alarms: weights that begin far too large come down to their size; those have a gain.
Remedies: lower_penalty, lower_learning_rate; check_loss where the model has no penalty on its weights.
References: Krogh & Hertz 1991, A simple weight decay can improve generalization; Loshchilov & Hutter 2019 (AdamW).
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, median
from kerasgrad.rules.rule import Verdict, rule

LEFT, LEFT_OF_ONE = 0.3, 0.05
GAIN = 0.5

CAUSES = "a kernel_regularizer that outweighs the loss", "a weight_decay of the optimizer that is too strong"
OTHER_CAUSES = "a loss that is least where nothing is predicted", "steps so large that weights were thrown to zero"
"""Of a net that has neither a regulariser nor weight decay."""


@rule("variable/weight_norm", "overall/loss", least=10)
def shrinking_weights(seen: Evidence) -> Verdict:
    """Judges the kernels."""
    kernels = [i for i, path in enumerate(seen.run.variables) if path.endswith(("kernel", "embeddings"))]
    norms = seen.variable("weight_norm")[:, kernels]
    known = np.isfinite(norms[0]) & (norms[0] > 0) if len(kernels) else np.zeros(0, bool)
    if not known.any():
        return "no kernel has a norm at the start"
    left = norms[:, known] / norms[0, known]
    now = median(left[seen.late])
    if (float(median(now)) >= LEFT and float(now.min()) >= LEFT_OF_ONE) or not seen.learning.useless(GAIN):
        return []
    rows = np.unique(seen.owners[np.array(kernels)[known][now < LEFT]])
    penalised = seen.run.facts.get("weight_penalty")
    said = f"Kernels have shrunk: the median to {float(median(now)):.2g} of its size at the start, one to {now.min():.2g}."
    return [
        Finding(
            severity=Severity.WARNING,
            summary=said,
            layers=seen.names(rows),
            starts_at="",
            since=seen.since((median(left.T) < LEFT) | (left < LEFT_OF_ONE).any(axis=1)),
            quantity="norm of the median kernel now / at the start",
            measured=float(median(now)),
            threshold=LEFT,
            samples=len(seen),
            causes=CAUSES if penalised is not False else OTHER_CAUSES,
            remedies=("lower_penalty", "lower_learning_rate")
            if penalised is not False
            else ("lower_learning_rate", "check_loss"),
        )
    ]
