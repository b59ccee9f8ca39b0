"""Small batch: each step sees so few examples that what it says of the data is mostly chance.

What it sees: how many examples a step is given, on each replica, and whether the model has BatchNormalization.
Why it hurts: BatchNormalization takes mean and variance from the batch: of a handful they are noise, in training, and
the moving ones that predictions use belong to none of the batches. Without it the gradient is noisy, which a lower rate
can average out.
Threshold and source: fewer than 8 examples (Wu & He 2018, figure 1: the error of BatchNormalization climbs below 8). With
BatchNormalization a warning where the gain, in training or held out, is below 0.9; a note where it is not. Without, a
note where the gain is below 0.7.
Known false alarms: online learning with batches of 1 is a known good habit; without BatchNormalization nothing is
said of what learns. A batch that is all the data is no sample of it and is not judged.
Remedies: larger_batch, use_group_normalization, lower_learning_rate.
References: Wu & He 2018, Group normalization; Ioffe 2017, Batch renormalization.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity, counted
from kerasgrad.rules.evidence import Evidence, median
from kerasgrad.rules.learning import of_epochs
from kerasgrad.rules.rule import Verdict, rule

SMALL = 8
"""Examples from which on the statistics of a batch are of use."""
GAIN_NORMALISED, GAIN = 0.9, 0.7


@rule("overall/loss", least=5)
def small_batch(seen: Evidence) -> Verdict:
    """Judges the usual batch of the run."""
    given = float(median(seen.overall("examples")))
    if np.isnan(given):
        return "the run does not say how many examples a step is given"
    each = given / max(int(seen.run.facts.get("replicas") or 1), 1)
    normalised = bool(seen.run.facts.get("batch_normalised"))
    poor = seen.learning.useless(GAIN_NORMALISED if normalised else GAIN)
    if each >= SMALL or _is_all_there_is(seen) or not (normalised or poor):
        return []
    of = "BatchNormalization takes its statistics from" if normalised else "Each gradient is that of"
    return [
        Finding(
            severity=Severity.WARNING if normalised and poor else Severity.NOTE,
            summary=f"{of} {counted(round(each), 'example')}.",
            since=int(seen.steps[0]),
            quantity="examples of a step",
            measured=each,
            threshold=SMALL,
            samples=len(seen),
            causes=("a batch size that was chosen for its memory", "a dataset that was batched twice, or not at all"),
            remedies=("larger_batch", *(("use_group_normalization",) if normalised else ()), "lower_learning_rate"),
        )
    ]


def _is_all_there_is(seen: Evidence) -> bool:
    """Whether an epoch is one step."""
    _, ends = of_epochs(seen.run, "loss")
    return len(ends) > 1 and bool((np.diff(ends) == 1).all())
