"""Overfitting: the loss on held-out data rises while that of the training falls.

What it sees: `val_loss` by epoch, where the fit validates.
Why it hurts: what is learnt from now on is the training data by heart.
Threshold and source: a last `val_loss` 10 % above its lowest (AutoTrainer) while the training loss fell since: a note.
It is a warning if the held-out loss is above that of a constant prediction (of its own first epoch, where that is not
known) while the gain in training is above 0.05, over 3 epochs: then what was learnt is of no use at all.
Known false alarms: over-confident classifiers, whose loss rises while their accuracy stays: a note unless the accuracy
is low too. It is a finding of training: the gradients of an overfitted net are in order.
Remedies: stop_early, add_dropout, add_weight_decay, more_data, check_labels.
References: Prechelt 1998, Early stopping, but when?
"""

from __future__ import annotations

import math

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence
from kerasgrad.rules.learning import of_epochs, outputs
from kerasgrad.rules.rule import Verdict, rule

RISE = 1.1
GAIN = 0.05
WORSE, LASTING = 1.02, 3
"""Factor above the loss without learning, and the number of epochs in which it must have been."""
USELESS = 0.5
"""Share of the way from chance to perfect below which a held-out accuracy does not excuse a loss above chance."""


@rule("overall/loss", least=5)
def overfitting(seen: Evidence) -> Verdict:
    """Judges the held-out loss."""
    held_out, ends = of_epochs(seen.run, "val_loss")
    training, _ = of_epochs(seen.run, "loss")
    given = np.isfinite(held_out)
    held_out, ends = held_out[given], ends[given]
    if len(held_out) < 2 or len(training) < 2:
        return "the fit has no val_loss of two epochs"
    low, learning = int(np.argmin(held_out)), seen.learning
    useless = learning.constant if not math.isnan(learning.constant) else float(held_out[0])
    bad = bool((held_out[-LASTING:] > WORSE * useless).all()) and learning.gain > GAIN and not _accurate(seen)
    rises = (
        held_out[low] > 0 and held_out[-1] > RISE * held_out[low] and training[-1] < training[min(low, len(training) - 1)]
    )
    if not bad and not rises:
        return []
    said = (
        f"The held-out loss was {held_out[low]:.4g} at its lowest and is {held_out[-1]:.4g}; in training {training[-1]:.4g}."
    )
    if bad:
        said += f" That is worse than {useless:.4g}, which takes no learning."
    return [
        Finding(
            "overfitting",
            Severity.WARNING if bad else Severity.NOTE,
            said,
            (),
            "",
            int(ends[low]),
            "held-out loss / its lowest" if not bad else "held-out loss / that without learning",
            float(held_out[-1] / (useless if bad else held_out[low])),
            1.0 if bad else RISE,
            len(held_out),
            (
                "more parameters than the data can determine",
                "labels that have nothing to do with the inputs",
                "held-out data that are prepared otherwise than those for training",
            ),
            ("stop_early", "add_dropout", "add_weight_decay", "more_data", "check_labels"),
        )
    ]


def _accurate(seen: Evidence) -> bool:
    """Whether the held-out accuracy is high although the loss is."""
    values, _ = of_epochs(seen.run, "val_accuracy")
    chance = 1 / max(outputs(seen.run), 2)
    return bool(len(values) and (values[-1] - chance) / (1 - chance) > USELESS)
