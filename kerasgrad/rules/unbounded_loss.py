"""Unbounded loss: it falls below zero, ever faster, without an end.

What it sees: the loss, and the norm of the gradient, of the last samples against those of half way and of the start.
Why it hurts: a loss that has no least value teaches nothing: most often its sign is flipped, so that the model is rewarded
for being as wrong as it can.
Threshold and source: a loss below -100 that is ten times as far below zero as it was half way, with a gradient ten times as
large as at the start. A log-likelihood of densities falls below zero too, but slows down as it is fitted (Bishop 2006).
Known false alarms: a critic without a bound (Arjovsky et al. 2017): several losses of one step are not judged.
Remedies: check_loss.
References: Bishop 2006, section 9.2.1, on likelihoods without a bound; Arjovsky et al. 2017, Wasserstein GAN.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import SEVERAL, Evidence, median
from kerasgrad.rules.rule import Verdict, rule

BELOW = -100.0
TIMES = 10.0
FIRST = 5
"""Samples that say how it began."""


@rule("overall/loss", "overall/gradient_norm", least=6)
def unbounded_loss(seen: Evidence) -> Verdict:
    """Judges how the loss falls below zero."""
    if seen.losses > 1:
        return SEVERAL
    loss, norm = seen.overall("loss"), seen.overall("gradient_norm")
    middle, now = float(median(loss[: len(loss) // 2 + 1][-FIRST:])), float(median(loss[-FIRST:]))
    grown = float(median(norm[-FIRST:]) / max(median(norm[:FIRST]), 1e-30))
    if not (now < BELOW and now < TIMES * min(middle, 0.0) and grown > TIMES):
        return []
    said = f"The loss is {now:.3g} and falls ever faster: it has no least value, as if its sign were flipped."
    above = np.flatnonzero(loss >= 0)
    return [
        Finding(
            severity=Severity.WARNING,
            summary=said,
            since=int(seen.steps[min(above[-1] + 1, len(loss) - 1)] if len(above) else seen.steps[0]),
            quantity="loss now",
            measured=now,
            threshold=BELOW,
            samples=len(seen),
            causes=(
                "a minus too many, or one too few, in the loss",
                "a term without a bound, such as a distance that is taken off",
            ),
            remedies=("check_loss",),
            shown=True,
        )
    ]
