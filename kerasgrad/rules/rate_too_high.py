"""Learning rate too high: each step moves the weights by as much as they are large.

What it sees: the update-to-weight ratio of the median layer in the first steps, and now. Layers whose weights begin at
zero have no ratio yet and do not count, nor do embeddings, whose small weights are to move far.
Why it hurts: the loss is followed for a step only if the step is small; beyond, weights are thrown about.
Threshold and source: above 0.5 in one of the first steps, or above 0.1 now, with a gain below 0.8; above 0.1 in one of
the first steps, and after 200 batches, or with a loss that is ten times what it was, still a gain below 0.7. About 1e-3
is usual (Karpathy 2022), TheDeepChecker allows 0.1, SageMaker Debugger 10.
Known false alarms: small nets trained fast may begin with 0.1; a net that learns is left in peace. Targets in the hundreds
want such steps, and noise may keep the gain low: a loss that falls steadily makes it a note.
Remedies: lower_learning_rate, warm_up, clip_gradients.
References: Karpathy 2022; You et al. 2017 (LARS), on the ratio of update to weight.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, at_rate, median
from kerasgrad.rules.rule import Verdict, rule

EARLY, NOW = 0.5, 0.1
GAIN = 0.8
LASTING, GAIN_LASTING, BATCHES = 0.1, 0.7, 200
"""What in the first steps is too much if the net has not come over it after so many batches."""
ROSE = 10.0
"""Rise of the loss that shows it at once."""
LEARNT = 0.3
"""A gain from which on a loss that falls steadily shows that the rate does no harm."""
FIRST = 5
"""Samples that say how large the first steps are."""


@rule("layer/update_ratio", least=2, may_follow=("unbounded_loss", "exploding_activation"))
def rate_too_high(seen: Evidence) -> Verdict:
    """Judges the median layer."""
    if median(seen.overall("learning_rate")) < 0:
        return "the learning rate is below 0, see rate_too_low"
    table = seen.layer("update_ratio")[:, seen.learners]
    embeds = np.isin(seen.learners, seen.owners[[path.endswith("/embeddings") for path in seen.run.variables]])
    table = table[:, np.isfinite(table[0]) & ~embeds]
    typical = median(table.T) if table.shape[1] else np.full(len(seen), np.nan)
    early, now = (float(np.nanmax(part, initial=0.0)) for part in (typical[:FIRST], median(typical[seen.late])[None]))
    for value, threshold, gain, batches in (
        (early, EARLY, GAIN, 0), (now, NOW, GAIN, 0),
        (early, LASTING, GAIN_LASTING, 0 if _threw_up(seen) else BATCHES),
    ):  # fmt: skip
        if value >= threshold and seen.learning.poor(gain) and seen.learning.batches >= batches:
            break
    else:
        return []
    said = f"A step moves the weights of the median layer by {value:.2g} of their size (0.001 is usual){at_rate(seen)}."
    since = int(seen.steps[0]) if value == early else seen.since(typical >= NOW)
    return [
        Finding(
            severity=Severity.NOTE if seen.learning.steady and seen.learning.gain >= LEARNT else Severity.WARNING,
            summary=said,
            layers=(),
            starts_at="",
            since=since,
            quantity="update / weight ratio of the median layer",
            measured=value,
            threshold=threshold,
            samples=len(seen),
            causes=("a learning rate that is too high for this optimizer", "inputs or targets that are not scaled (SGD)"),
            remedies=("lower_learning_rate", "warm_up", "clip_gradients"),
        )
    ]


def _threw_up(seen: Evidence) -> bool:
    """Whether the loss is far above what it was: then no more batches are needed to tell that steps do not descend."""
    return seen.learning.now > ROSE * abs(seen.learning.start)
