"""Collapsing activation: outputs shrink to next to nothing on their way through the layers, from the start.

What it sees: the RMS of the outputs of consecutive layers with weights at the first samples, and the scale of each
kernel, rms(w) sqrt(fan-in), which is 0.6 to 1.5 in every usual initialiser.
Why it hurts: later layers see the same whatever the input is, and the signal back to the input shrinks as much.
Threshold and source: one layer below a hundredth of the one before it, a kernel scale below 0.03, or 3 orders of
magnitude from the first layer to the last hidden one; with a gain below 0.9 a warning. Kernels of zeros before the
output, as in zero-initialised heads and residual branches, are left out.
Known false alarms: before a normalisation the scale of a kernel is of no account.
Remedies: use_he_initializer, use_glorot_initializer, add_normalization, add_shortcuts.
References: He et al. 2015; Mishkin & Matas 2016, All you need is a good init.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, log10, median
from kerasgrad.rules.exploding_activation import FIRST, jumps_at_start, kernel_scale
from kerasgrad.rules.rule import Verdict, rule

JUMP, THROUGH = 2.0, 3.0
"""Orders of magnitude lost in one layer, and through all hidden layers."""
SCALE = 0.03
GAIN = 0.9


@rule("layer/activation_std", least=1)
def collapsing_activation(seen: Evidence) -> Verdict:
    """Judges the start of a training."""
    if seen.steps[0] > 0:
        return "the run does not show the first step"
    rows, jumps = jumps_at_start(seen)
    scale = kernel_scale(seen)
    # The output layer may well begin small: that is a known good habit.
    last = seen.learners[-1] if len(seen.learners) else -1
    hidden = rows[1:] != last if len(rows) > 1 else np.zeros(0, bool)
    by_jump = rows[1:][hidden & (jumps <= -JUMP)] if len(rows) > 1 else rows[:0]
    by_scale = np.array([row for row in np.flatnonzero(scale < SCALE) if row != last], int)
    size = log10(median(seen.magnitude()[:FIRST]))[rows]
    through = float(size[0] - size[: -1 if len(rows) and rows[-1] == last else None].min()) if len(rows) > 2 else 0.0
    if not len(by_jump) and not len(by_scale) and through < THROUGH:
        return []
    if len(by_scale):
        start, value, threshold, what = by_scale[0], float(scale[by_scale[0]]), SCALE, "kernel scale rms(w) sqrt(fan-in)"
        said = f"The weights of {seen.name(start)} are {value:.3g} of what a usual initialiser makes them."
    elif len(by_jump):
        start, value = by_jump[0], float(10 ** jumps[hidden & (jumps <= -JUMP)][0])
        threshold, what = 10**-JUMP, "RMS of the output / of the layer before"
        said = f"The outputs of {seen.name(start)} are {value:.1e} of those of the layer before it."
    else:
        start, value, threshold = rows[1], 10**-through, 10**-THROUGH
        what, said = "RMS of the last hidden / of the first output", f"The outputs shrink to {value:.1e} through the layers."
    severity = Severity.WARNING if seen.learning.poor(GAIN) else Severity.NOTE
    return [
        Finding(
            "collapsing_activation",
            severity,
            said,
            seen.names(np.union1d(by_jump, by_scale)),
            seen.name(start),
            int(seen.steps[0]),
            what,
            value,
            threshold,
            min(FIRST, len(seen)),
            (
                "initial weights that are too small, in one layer or in all",
                "activations that shrink their input many times over",
            ),
            ("use_he_initializer", "use_glorot_initializer", "add_normalization", "add_shortcuts"),
        )
    ]
