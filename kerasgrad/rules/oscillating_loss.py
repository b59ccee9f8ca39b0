"""Oscillating loss: it goes up and down from epoch to epoch, by much of its size, and does not settle.

What it sees: the loss by epoch (or smoothed over samples): how often its direction turns, and by how much each turn, in
the second half of the training.
Why it hurts: steps that overshoot; where the training ends is a matter of luck.
Threshold and source: at least 40 % of the steps turn, with a median turn of 20 % of the loss, over at least 6 epochs,
a rise in at least two of them (a single bump in a falling loss turns twice), and a gain below 0.8. (AutoTrainer: accuracy
swings of 0.03 in 20 % of the epochs.)
Known false alarms: a loss near zero jumps by factors: its gain is high. Small epochs of few batches are noisy.
Remedies: lower_learning_rate, larger_batch, decay_learning_rate.
References: Zhang et al. 2021 (AutoTrainer), "oscillating loss".
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence
from kerasgrad.rules.learning import of_epochs
from kerasgrad.rules.rule import ANY, Verdict, rule

TURNS, SWING = 0.4, 0.2
EPOCHS = 6
SAMPLES = 50
"""Where no epochs are known: fewer would be judged one by one, and every batch has another loss."""
RISES = 2
"""A single bump turns the direction twice, which is much of a few epochs."""
GAIN = 0.8


@rule("overall/loss", least=5, follows=("diverging_loss",), may_follow=ANY)
def oscillating_loss(seen: Evidence) -> Verdict:
    """Judges the second half of the losses."""
    if not len(of_epochs(seen.run, "loss")[0]) and len(seen) < SAMPLES:
        return f"the loss of no epoch is known, and of single batches it takes {SAMPLES} samples"
    losses = seen.learning.losses
    if len(losses) < EPOCHS:
        return f"it takes {EPOCHS} epochs, there are {len(losses)}"
    half = losses[len(losses) // 2 - 1 :]
    moves = np.diff(half)
    turns = float((np.sign(moves[1:]) * np.sign(moves[:-1]) < 0).mean())
    swing = float(np.median(np.abs(moves)) / max(abs(float(np.median(half))), 1e-30))
    if turns < TURNS or swing < SWING or (moves > 0).sum() < RISES or not seen.learning.poor(GAIN):
        return []
    said = f"The loss turns in {100 * turns:.0f} % of the epochs and moves by {100 * swing:.0f} % each time."
    return [
        Finding(
            severity=Severity.WARNING,
            summary=said,
            layers=(),
            starts_at="",
            since=int(seen.learning.steps[len(losses) // 2 - 1]),
            quantity="median move of the loss, as a share",
            measured=swing,
            threshold=SWING,
            samples=len(losses),
            causes=(
                "a learning rate that is too high",
                "batches that are too small",
                "batch statistics of very small batches",
            ),
            remedies=("lower_learning_rate", "larger_batch", "decay_learning_rate"),
        )
    ]
