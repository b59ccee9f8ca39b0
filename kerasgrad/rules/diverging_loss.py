"""Diverging loss: it rises, and stays above what it was.

What it sees: the loss now against that of the start and against the lowest so far.
Why it hurts: the training undoes itself.
Threshold and source: above 1.5 times the start and the lowest, with a gain below 0.8.
Known false alarms: a loss whose definition changes during training (a warmed-up penalty).
Remedies: lower_learning_rate, clip_gradients, warm_up.
References: Goodfellow et al. 2016, Deep Learning, section 8.3.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import SEVERAL, Evidence
from kerasgrad.rules.rule import ANY, Verdict, rule

RISE = 1.5
GAIN = 0.8


@rule("overall/loss", least=5, may_follow=ANY)
def diverging_loss(seen: Evidence) -> Verdict:
    """Judges the rise of the loss."""
    if seen.losses > 1:
        return SEVERAL
    learning = seen.learning
    lowest = min(learning.best, learning.start)
    if not learning.now > 0 or lowest <= 0 or learning.now < RISE * max(lowest, learning.start) or not learning.poor(GAIN):
        return []
    low = int(np.argmin(learning.losses))
    since = int(learning.steps[low]) if learning.best < learning.start else int(seen.steps[0])
    said = f"The loss was {learning.start:.4g} at the start, {lowest:.4g} at its lowest, and is {learning.now:.4g}."
    return [
        Finding(
            severity=Severity.WARNING,
            summary=said,
            layers=(),
            starts_at="",
            since=since,
            quantity="loss now / at the start",
            measured=learning.now / learning.start,
            threshold=RISE,
            samples=len(seen),
            causes=("a learning rate that is too high", "gradients that explode", "a loss with the wrong sign"),
            remedies=("lower_learning_rate", "clip_gradients", "warm_up"),
        )
    ]
