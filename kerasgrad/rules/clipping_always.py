"""Clipping always on: the optimizer shortens the gradient at every step, so that its length means nothing.

What it sees: the norm of the gradient after clipping against before, over all variables.
Why it hurts: the learning rate is no longer what was set; directions of rare, large examples count as much as common
ones.
Threshold and source: clipped by half or more in 95 % of the samples: a note; a hundredfold with a gain below 0.5: a
warning. Pascanu et al. 2013 propose a threshold of half to ten times the average norm, so that clipping is the
exception.
Known false alarms: some recipes clip on purpose at every step (normalised gradients); hence a note.
Remedies: raise_clipnorm, lower_learning_rate, standardize_inputs.
References: Pascanu et al. 2013, On the difficulty of training recurrent neural networks, algorithm 1.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, median
from kerasgrad.rules.rule import Verdict, rule

NOTE, WARNING = 0.5, 0.01
ALWAYS = 0.95
GAIN = 0.5


@rule("layer/gradient_norm", least=10, may_follow=("exploding_activation", "unscaled_inputs", "exploding_gradient"))
def clipping_always(seen: Evidence) -> Verdict:
    """Judges the whole gradient."""
    clipped, norm = (np.square(seen.layer(f"gradient_norm{c}")[:, seen.learners]) for c in ("_clipped", ""))
    if np.isnan(clipped).all():
        return "the optimizer does not clip"
    before, after = np.nansum(norm, axis=1), np.nansum(clipped, axis=1)
    left = np.sqrt(np.divide(after, before, out=np.ones_like(after), where=before > 0))
    value = float(median(left))
    if (left < NOTE).mean() < ALWAYS:
        return []
    grave = value < WARNING and seen.learning.poor(GAIN)
    said = f"Clipping leaves {value:.2g} of the gradient, in {100 * (left < NOTE).mean():.0f} % of the samples."
    return [
        Finding(
            severity=Severity.WARNING if grave else Severity.NOTE,
            summary=said,
            layers=(),
            starts_at="",
            since=seen.since(left < NOTE),
            quantity="clipped / unclipped gradient norm",
            measured=value,
            threshold=WARNING if grave else NOTE,
            samples=len(seen),
            causes=(
                "a threshold below the usual size of this model's gradient",
                "gradients that explode",
                "targets that are not scaled",
            ),
            remedies=("raise_clipnorm", "lower_learning_rate", "standardize_inputs"),
        )
    ]
