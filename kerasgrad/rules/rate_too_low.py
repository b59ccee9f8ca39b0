"""Learning rate too low: no layer moves, and there is much left to learn.

What it sees: the update-to-weight ratio of the layer that moves most, now; and the learning rate over the steps.
Why it hurts: the training is over before it has begun.
Threshold and source: below 3e-5 in every layer, with a gain below 0.5 and a loss that fell by less than 20 %; 1e-3 is
usual (Karpathy 2022), TheDeepChecker takes 1e-4 as too low. Or: in the first half of the steps the rate has fallen below
a hundredth of its largest value for good while the loss still fell, with a gain below 0.7; schedules come there in their
last tenth.
A rate below 0 is a warning in any case. A loss that falls from epoch to epoch, by 5 % in the last quarter, with a gain
below 0.5, is a note: it ended too early.
Known false alarms: a net at the end of its schedule: its gain says that it has learnt. Callbacks that lower the rate when
nothing more is to be gained do so late.
Remedies: raise_learning_rate, find_learning_rate, use_adam.
References: Karpathy 2022; Smith 2017, Cyclical learning rates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, at_rate, median, share
from kerasgrad.rules.rule import Verdict, rule

RATIO = 3e-5
GAIN, FALL = 0.5, 0.2
FALLS = 0.05
"""Fall in the last quarter from which on a loss has not settled, as for `plateau`."""
GAIN_ENDED, ENDED = 0.7, 0.01
"""With a smaller gain than this no rate should have fallen to such a share of its largest value half way."""

VANISHED = 1e-10
"""Share to which only a decay by the same factor at each step brings a rate."""
STILL = 0.02
"""Share by which the loss fell in the last quarter of the way there: less, and there was nothing more to be gained."""


@rule(
    "layer/update_ratio",
    "overall/loss",
    least=5,
    may_follow=("disconnected", "collapsing_activation", "dead_units", "saturated_units"),
)
def rate_too_low(seen: Evidence) -> Verdict:
    """Judges the layer that moves most."""
    rate = median(seen.overall("learning_rate"))
    if rate < 0:
        return [_negative(seen, float(rate))]
    ended = _ended(seen)
    if ended is not None and seen.learning.poor(GAIN_ENDED):
        return [ended]
    table = seen.layer("update_ratio")[:, seen.learners]
    most = float(np.nanmax(median(table), initial=-np.inf))
    if not 0 <= most < RATIO or not seen.learning.poor(GAIN) or seen.learning.fall > FALL:
        return _too_early(seen)
    by = f"by more than {most:.1e} of its weights a step" if most else "at all"
    said = f"No layer moves {by} (0.001 is usual){at_rate(seen)}."
    return [
        Finding(
            severity=Severity.WARNING,
            summary=said,
            layers=(),
            starts_at="",
            since=int(seen.steps[0]),
            quantity="largest update / weight ratio",
            measured=most,
            threshold=RATIO,
            samples=len(seen),
            causes=("a learning rate that is too low", "gradients that vanish in every layer", "a loss scaled to be tiny"),
            remedies=("raise_learning_rate", "find_learning_rate", "use_adam"),
        )
    ]


def _too_early(seen: Evidence) -> list[Finding]:
    """A loss that falls from epoch to epoch to the last."""
    learning = seen.learning
    if not (learning.steady and learning.late_fall >= FALLS and learning.poor(GAIN)):
        return []
    said = (
        f"The loss still fell by {share(learning.late_fall)} in the last quarter of {learning.batches} batches: the training"
    )
    return [
        Finding(
            severity=Severity.NOTE,
            summary=f"{said} ended too early, or its rate is too low{at_rate(seen)}.",
            since=int(learning.steps[0]),
            quantity="fall of the loss in the last quarter",
            measured=learning.late_fall,
            threshold=FALLS,
            samples=len(seen),
            causes=("a training that is shorter than the task asks for", "a learning rate that is too low"),
            remedies=("raise_learning_rate", "find_learning_rate"),
        )
    ]


def _negative(seen: Evidence, rate: float) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        summary=f"The learning rate is {rate:.2g}, below 0: each step climbs the loss instead of descending it.",
        since=int(seen.steps[0]),
        quantity="learning rate",
        measured=rate,
        threshold=0.0,
        samples=len(seen),
        causes=("a minus too many", "a schedule that runs below zero"),
        remedies=("find_learning_rate", "raise_learning_rate"),
        shown=True,
    )


def _ended(seen: Evidence) -> Finding | None:
    """A schedule that is over long before the training is."""
    rate = seen.overall("learning_rate")
    if not np.isfinite(rate).any():
        return None
    highest = float(np.nanmax(rate))
    over = np.flatnonzero(~(rate <= ENDED * highest))  # where it was not low yet, or is not known
    since = int(over[-1]) + 1 if len(over) else 0
    if since >= len(rate) or highest <= 0:
        return None
    around = slice(since - 1, since + 1)
    step = _between(seen.steps[around], rate[around], threshold=ENDED * highest) if since else 0.0
    if step > (seen.steps[0] + seen.steps[-1]) / 2:
        return None
    learning = seen.learning
    late, then = (
        np.interp([0.75 * step, step], learning.steps, learning.losses) if len(learning.losses) else (np.nan, np.nan)
    )
    if len(learning.steps) and step > learning.steps[0] and (late - then) < STILL * abs(late):
        return None
    said = (
        f"The learning rate had fallen from {highest:.2g} to a hundredth of it by about step {step:.0f} of "
        f"{learning.batches}, and hardly anything is learnt after that."
    )
    return Finding(
        severity=Severity.WARNING,
        summary=said,
        layers=(),
        starts_at="",
        since=int(step),
        quantity="learning rate now / at its largest",
        measured=float(rate[-1] / highest),
        threshold=ENDED,
        samples=len(seen),
        causes=(
            "a schedule whose decay_steps are far fewer than the steps of the training",
            "ReduceLROnPlateau that watches in the wrong mode, or without patience",
        ),
        remedies=("raise_learning_rate", "find_learning_rate"),
    )


def _between(steps: Any, rates: Any, *, threshold: float) -> float:
    """The step at which the rate fell below a threshold between two samples.

    That of the later sample, unless it is so low there that only a decay by the same factor each step gets to it: a cosine
    of 10,000 steps ends at 1e-8 of its height.
    """
    if rates[1] > VANISHED * rates[0]:
        return float(steps[1])
    decades = np.log10(np.maximum([rates[0], threshold, rates[1]], 1e-45))
    return float(np.interp(decades[1], decades[[2, 0]], steps[::-1]))
