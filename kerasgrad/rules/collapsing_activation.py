"""Collapsing activation: outputs shrink to next to nothing on their way through the layers, from the start.

What it sees: the RMS of the outputs of consecutive layers with weights at the first sample, and the scale of each
kernel, rms(w) sqrt(fan-in), which is 0.6 to 1.5 in every usual initialiser.
Why it hurts: later layers see the same whatever the input is, and the signal back to the input shrinks as much.
Threshold and source: one layer below a hundredth of the one before it, a kernel scale below 0.03, or 3 orders of
magnitude from the first layer to the last hidden one; with a gain below 0.9 a warning. "Small" is an RMS below 0.1.
Kernels of zeros count if all of the first layer's are, and nothing is learnt: a zero-initialised head or residual
branch is a known good habit.
Known false alarms: before a normalisation the scale of a kernel is of no account.
Remedies: use_he_initializer, use_glorot_initializer, add_normalization, add_shortcuts.
References: He et al. 2015; Mishkin & Matas 2016, All you need is a good init.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.rules import initial
from kerasgrad.rules.evidence import Evidence
from kerasgrad.rules.rule import Verdict, rule

JUMP, THROUGH = 2.0, 3.0
"""Orders of magnitude lost in one layer, and through all hidden layers."""
GAIN_ZERO = 0.5
SMALL = -1.0
"""log10 of the RMS below which outputs are small: a normalisation or a tanh that makes 1 of 1,000 is no collapse."""
SCALE = 0.03
"""Kernel scale; 1 is usual."""
GAIN = 0.9
CAUSES = (
    "initial weights that are too small, in one layer or in all",
    "activations that shrink their input many times over",
)
REMEDIES = ("use_he_initializer", "use_glorot_initializer", "add_normalization", "add_shortcuts")


@rule("layer/activation_std", least=1)
def collapsing_activation(seen: Evidence) -> Verdict:
    """Judges the start of a training."""
    if seen.steps[0] > 0:
        return initial.UNSEEN
    # The output layer may well begin small: that is a known good habit.
    last = seen.learners[-1] if len(seen.learners) and seen.output >= 0 else -1
    rows, size = initial.sizes(seen, without=initial.POSITIVE)
    rows, size = rows[rows != last], size[rows != last]
    jumps, scale = np.diff(size), initial.kernel_scale(seen)
    fallen = (jumps <= -JUMP) & (size[1:] < SMALL)
    by_jump = rows[1:][fallen]
    by_scale = np.array([row for row in np.flatnonzero(scale < SCALE) if row != last], int)
    through = float(size[0] - size.min()) if len(size) and size.min() < SMALL else 0.0
    zero = _begins_with_zeros(seen)
    if zero and seen.learning.poor(GAIN_ZERO):
        start, measured = seen.learners[0], ("kernel scale rms(w) sqrt(fan-in)", 0.0, SCALE)
        said = f"The weights of {seen.name(start)} are all zero: its units see nothing, and learn the same if anything."
    elif len(by_scale):
        start, value = by_scale[0], float(scale[by_scale[0]])
        measured = "kernel scale rms(w) sqrt(fan-in)", value, SCALE
        said = f"The weights of {seen.name(start)} are {value:.3g} of what a usual initialiser makes them."
    elif len(by_jump):
        start, value = by_jump[0], float(10 ** jumps[fallen][0])
        measured = "RMS of the output / of the layer before", value, 10**-JUMP
        said = f"The outputs of {seen.name(start)} are {value:.1e} of those of the layer before it."
    elif through >= THROUGH:
        by_jump, start, value = rows[1:], rows[1], float(10**-through)
        measured = "smallest RMS of a hidden output / of the first", value, 10**-THROUGH
        said = f"The outputs shrink to {value:.1e} through the layers."
    else:
        return []
    rows = np.union1d(by_jump, by_scale)
    return [
        initial.finding(seen, rows, start=start, said=said, measured=measured, gain=GAIN, causes=CAUSES, remedies=REMEDIES)
    ]


def _begins_with_zeros(seen: Evidence) -> bool:
    """Whether the first layer with weights is a hidden one whose kernel is zero."""
    if len(seen.learners) < 2:
        return False
    own = np.flatnonzero(seen.owners == seen.learners[0])
    kernels = [i for i in own if seen.run.variables[i].rpartition("/")[2].startswith(initial.KERNELS)]
    return bool(kernels) and bool((seen.variable("weight_norm")[0, kernels] == 0).all())
