"""Plateau at the constant prediction: the loss has settled where a model that ignores its input would have it.

What it sees: the gain (see `rules.learning`) and whether the loss still falls.
Why it hurts: whatever the loss did at the start, what was learnt is the mean of the targets.
Threshold and source: a gain below 0.1 after at least 50 batches, and a loss that fell by less than 5 % in the last
quarter; or, after 200 batches, a loss that is still above that of a constant prediction.
Known false alarms: tasks in which little can be known, such as the next price or a click: there a gain of 0.1 is much.
If held-out data show the same small gain, from 0.03 on, it is a note, and of regressions, where little is often all,
also without such data. Else the finding says what a constant prediction would have, so that a person can judge. A slow
start is no plateau: its loss still falls.
Remedies: check_labels, find_learning_rate, add_capacity, check_loss; those against what the run shows (`rules.causes`), such
as use_relu or lower_dropout, first.
References: AutoTrainer (Zhang et al. 2021), "slow convergence"; Murphy 1973, A new vector partition of the probability
score.
"""

from __future__ import annotations

import math

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.causes import of_no_learning, told
from kerasgrad.rules.evidence import SEVERAL, Evidence
from kerasgrad.rules.learning import LASTING, Learning
from kerasgrad.rules.rule import ANY, Verdict, rule

GAIN = 0.1
LITTLE = 0.03
"""A gain that is small, but may be one."""
LATE_FALL = 0.05
ROSE = 1.5
"""Times the start from which on a loss has risen rather than settled, as for `diverging_loss`."""
BATCHES = 50
WORSE_BATCHES = 200
"""Batches from which on a loss above that of a constant prediction counts, even if it still falls."""

CAUSES = (
    "labels that have nothing to do with the inputs",
    "layers through which nothing passes, see the other findings",
    "a learning rate that is far too high or too low",
    "a task in which little can be known",
)
REMEDIES = ("check_labels", "find_learning_rate", "check_loss", "add_capacity")


@rule("overall/loss", least=5, may_follow=ANY)
def plateau(seen: Evidence) -> Verdict:
    """Judges the loss against that of a constant prediction."""
    learning = seen.learning
    if math.isnan(learning.gain) or not seen.run.facts.get("loss_function"):
        return "what a constant prediction would have as its loss is not known for this loss"
    if seen.losses > 1:
        return SEVERAL
    if learning.batches < BATCHES:
        return f"{learning.batches} batches are too few; it takes {BATCHES}"
    worse = learning.batches >= WORSE_BATCHES and learning.now > learning.constant
    if learning.gain >= GAIN or (learning.late_fall >= LATE_FALL and not worse):
        return []
    why = of_no_learning(seen)
    causes, remedies = told(why)
    against = "" if math.isnan(learning.constant) else f"; a constant prediction has {learning.constant:.4g}"
    better = "little better" if learning.gain >= LITTLE else "no better"
    still = abs(learning.late_fall) < LATE_FALL
    said = f"The loss {_where(learning, still)}{against}: the model does {better} than one that ignores its input."
    return [
        Finding(
            severity=Severity.NOTE if _holds(learning) else Severity.WARNING,
            summary=said,
            layers=(),
            starts_at="",
            since=int(seen.steps[0]),
            quantity="gain over a constant prediction",
            measured=learning.gain,
            threshold=GAIN,
            samples=len(seen),
            causes=(*causes, *CAUSES),
            remedies=tuple(dict.fromkeys((*remedies, *REMEDIES))),
            shown=any(cause.shown for cause in why),
        )
    ]


def _where(learning: Learning, still: bool) -> str:
    """Where the loss is: it may have gone up, and need not have settled."""
    if learning.now > ROSE * max(learning.start, learning.best):
        return f"has risen from {learning.start:.4g} to {learning.now:.4g}"
    return f"has settled at {learning.now:.4g}" if still else f"is at {learning.now:.4g}"


def _holds(learning: Learning) -> bool:
    """Whether little was learnt, but not nothing: held-out data confirm it; where there are none, numbers are believed."""
    late = learning.held_out[-LASTING:]
    if learning.gain < LITTLE:
        return False
    if not len(learning.held_out):
        return math.isnan(learning.constant)
    return len(late) == LASTING and bool((late >= learning.gain / 2).all())
