"""Overfitting: the loss on held-out data rises while that of the training falls, or never followed it.

What it sees: `val_loss` by epoch, where the fit validates.
Why it hurts: what is learnt from now on is the training data by heart.
Threshold and source: a last `val_loss` 10 % above its lowest (AutoTrainer) while the training loss fell since: a note. A
warning if over the last 3 epochs the gain on held-out data was below half of that in training, and the held-out accuracy is
less than half way from chance to perfect: then what was learnt is of little use.
Known false alarms: over-confident classifiers, whose loss rises while their accuracy stays: a note. In its first epochs
BatchNormalization predicts badly, since its moving statistics lag: hence 3 epochs, 300 batches where there is a
normalisation, and no warning while the held-out gain still rises. It is a finding of training: the
gradients of an overfitted net are in order.
Remedies: stop_early, add_dropout, add_weight_decay, more_data, check_labels, lower_batchnorm_momentum.
References: Prechelt 1998, Early stopping, but when?
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence
from kerasgrad.rules.learning import LASTING, of_epochs, outputs
from kerasgrad.rules.rule import ANY, Verdict, rule

RISE = 1.1
GAIN = 0.05
RISING = 0.1
"""Held-out gain that these epochs may add without being taken for a net that catches up."""
SETTLED = 300
"""Batches until the statistics of a normalisation have settled; with Keras' momentum 5 % of their start is left by then."""
SHARE = 0.5
"""Share of the gain in training that held-out data should see; and of the way from chance to perfect, for accuracy."""


@rule("overall/loss", least=5, may_follow=ANY)
def overfitting(seen: Evidence) -> Verdict:
    """Judges the held-out loss."""
    held_out, ends = of_epochs(seen.run, "val_loss")
    training, _ = of_epochs(seen.run, "loss")
    if not len(training):  # a loop of one's own may know the held-out loss alone: the samples have the other
        training = np.interp(ends, seen.learning.steps, seen.learning.losses)
    given = np.isfinite(held_out)
    held_out, ends = held_out[given], ends[given]
    if len(held_out) < 2 or len(training) < 2:
        return "the fit has no val_loss of two epochs"
    low, learning = int(np.argmin(held_out)), seen.learning
    gains = learning.held_out[-LASTING:]
    behind = len(gains) >= LASTING and bool((gains < SHARE * learning.gain).all()) and gains[-1] < gains[0] + RISING
    bad = behind and learning.gain > GAIN and _settled(seen) and not _accurate(seen)
    rises = (
        held_out[low] > 0 and held_out[-1] > RISE * held_out[low] and training[-1] < training[min(low, len(training) - 1)]
    )
    if not bad and not rises:
        return []
    said = (
        f"The held-out loss was {held_out[low]:.4g} at its lowest and is {held_out[-1]:.4g}; in training {training[-1]:.4g}."
    )
    if bad:
        said += f" Of the gain in training, {learning.gain:.2f}, held-out data see {gains[-1]:.2f}."
    return [
        Finding(
            severity=Severity.WARNING if bad else Severity.NOTE,
            summary=said,
            layers=(),
            starts_at="",
            since=int(ends[low]),
            quantity="held-out loss / its lowest" if not bad else "gain on held-out data",
            measured=float(gains[-1] if bad else held_out[-1] / held_out[low]),
            threshold=SHARE * learning.gain if bad else RISE,
            samples=len(held_out),
            causes=(
                "more parameters than the data can determine",
                "labels that have nothing to do with the inputs",
                "held-out data that are prepared otherwise than those for training",
                "moving statistics of BatchNormalization that lag behind",
            ),
            remedies=(
                "stop_early",
                "add_dropout",
                "add_weight_decay",
                "more_data",
                "check_labels",
                "lower_batchnorm_momentum",
            ),
        )
    ]


def _settled(seen: Evidence) -> bool:
    """Whether predictions can be trusted: moving statistics, if there are any, have come to where they belong."""
    return seen.learning.batches >= SETTLED or not any(path.endswith("/gamma") for path in seen.run.variables)


def _accurate(seen: Evidence) -> bool:
    """Whether the held-out accuracy is high although the loss is."""
    values, _ = of_epochs(seen.run, "val_accuracy")
    chance = 1 / max(outputs(seen.run), 2)
    return bool(len(values) and (values[-1] - chance) / (1 - chance) > SHARE)
