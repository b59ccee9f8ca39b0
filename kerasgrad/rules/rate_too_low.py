"""Learning rate too low: no layer moves, and there is much left to learn.

What it sees: the update-to-weight ratio of the layer that moves most, now.
Why it hurts: the training is over before it has begun.
Threshold and source: below 3e-5 in every layer, with a gain below 0.5 and a loss that fell by less than 20 %; 1e-3 is
usual (Karpathy 2022), TheDeepChecker takes 1e-4 as too low.
Known false alarms: a net at the end of its schedule: its gain says that it has learnt.
Remedies: raise_learning_rate, find_learning_rate, use_adam.
References: Karpathy 2022; Smith 2017, Cyclical learning rates.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, median
from kerasgrad.rules.rule import Verdict, rule

RATIO = 3e-5
GAIN, FALL = 0.5, 0.2


@rule("layer/update_ratio", "overall/loss", least=5)
def rate_too_low(seen: Evidence) -> Verdict:
    """Judges the layer that moves most."""
    table = seen.layer("update_ratio")[:, seen.learners]
    most = float(np.nanmax(median(table), initial=-np.inf))
    if not 0 <= most < RATIO or not seen.learning.poor(GAIN) or seen.learning.fall > FALL:
        return []
    rate = median(seen.overall("learning_rate"))
    with_rate = "" if np.isnan(rate) else f", at a learning rate of {rate:.2g}"
    by = f"by more than {most:.1e} of its weights a step" if most else "at all"
    said = f"No layer moves {by} (0.001 is usual){with_rate}."
    return [
        Finding(
            "rate_too_low",
            Severity.WARNING,
            said,
            (),
            "",
            int(seen.steps[0]),
            "largest update / weight ratio",
            most,
            RATIO,
            len(seen),
            ("a learning rate that is too low", "gradients that vanish in every layer", "a loss scaled to be tiny"),
            ("raise_learning_rate", "find_learning_rate", "use_adam"),
        )
    ]
