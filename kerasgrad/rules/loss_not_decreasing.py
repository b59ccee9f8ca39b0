"""Loss not decreasing: after all the steps it is where it began.

What it sees: the loss of the first samples against that of the last epoch (or the last samples, where no epochs are
known).
Why it hurts: nothing was learnt.
Threshold and source: a fall of less than 5 % (DeepDiagnosis and SageMaker Debugger take 5 % too) over at least 30
batches, with a gain below 0.3, or unknown.
Known false alarms: a training that goes on from a good state starts with a low loss: its gain is high.
Remedies: find_learning_rate, check_labels, check_loss; those against what the run shows (`rules.causes`) first.
References: Wardat et al. 2022 (DeepDiagnosis), "loss not decreasing".
"""

from __future__ import annotations

import math

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.causes import of_no_learning, told
from kerasgrad.rules.evidence import SEVERAL, Evidence
from kerasgrad.rules.rule import ANY, Verdict, rule

FALL = 0.05
GAIN = 0.3
BATCHES = 30
CAUSES = (
    "a learning rate that is far too low or too high",
    "labels that have nothing to do with the inputs",
    "a last activation or a loss that does not fit",
)
REMEDIES = ("find_learning_rate", "check_labels", "check_loss")


@rule("overall/loss", least=5, follows=("plateau",), may_follow=ANY)
def loss_not_decreasing(seen: Evidence) -> Verdict:
    """Judges the fall of the loss."""
    learning = seen.learning
    if seen.losses > 1:
        return SEVERAL
    if learning.batches < BATCHES:
        return f"{learning.batches} batches are too few; it takes {BATCHES}"
    if not learning.fall < FALL or not (math.isnan(learning.gain) or learning.gain < GAIN):
        return []
    why = of_no_learning(seen)
    causes, remedies = told(why)
    said = f"The loss was {learning.start:.4g} at the start and is {learning.now:.4g} after {learning.batches} batches."
    return [
        Finding(
            severity=Severity.WARNING,
            summary=said,
            layers=(),
            starts_at="",
            since=int(seen.steps[0]),
            quantity="fall of the loss, as a share",
            measured=learning.fall,
            threshold=FALL,
            samples=len(seen),
            causes=(*causes, *CAUSES),
            remedies=tuple(dict.fromkeys((*remedies, *REMEDIES))),
            shown=any(cause.shown for cause in why),
        )
    ]
