"""Exploding activation: a layer gives outputs that are out of all proportion to those before it, from the start.

What it sees: the RMS of the outputs of consecutive layers with weights, at the first sample, and the scale of each
kernel, rms(w) sqrt(fan-in), which is 0.6 to 1.5 in every usual initialiser.
Why it hurts: all that follows is ruled by that layer; its signal back to the input is as much too large.
Threshold and source: a jump of 2 orders of magnitude, or a kernel scale above 30; with a gain below 0.95 a warning. A
variance ratio above 10 (SageMaker Debugger's "poor initialisation") is met by healthy nets.
Known false alarms: a first layer fed with large inputs is no jump: the rule `unscaled_inputs` speaks of that. Before a
normalisation the scale of a kernel is of no account for the outputs.
Remedies: use_he_initializer, use_glorot_initializer, add_normalization.
References: He et al. 2015; Glorot & Bengio 2010.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.rules import initial
from kerasgrad.rules.evidence import Evidence
from kerasgrad.rules.rule import Verdict, rule

JUMP = 2.0
"""Orders of magnitude between the outputs of a layer and those of the layer before it."""
SCALE = 30.0
"""Kernel scale; 1 is usual."""
GAIN = 0.95
CAUSES = (
    "initial weights that are too large: an initialiser of a fixed width, ones, a slip in custom weights",
    "loaded weights that do not fit",
)
REMEDIES = ("use_he_initializer", "use_glorot_initializer", "add_normalization")


@rule("layer/activation_std", least=1)
def exploding_activation(seen: Evidence) -> Verdict:
    """Judges the start of a training."""
    if seen.steps[0] > 0:
        return initial.UNSEEN
    rows, size = initial.sizes(seen, without=initial.BOUNDED)
    jumps, scale = np.diff(size), initial.kernel_scale(seen)
    by_jump, by_scale = rows[1:][jumps >= JUMP], np.flatnonzero(scale > SCALE)
    if len(by_scale):
        start, value = by_scale[0], float(scale[by_scale[0]])
        measured = "kernel scale rms(w) sqrt(fan-in)", value, SCALE
        said = f"The weights of {seen.name(start)} are {value:.3g} times as large as a usual initialiser makes them."
    elif len(by_jump):
        start, value = by_jump[0], float(10 ** jumps[jumps >= JUMP][0])
        measured = "RMS of the output / of the layer before", value, 10**JUMP
        said = f"The outputs of {seen.name(start)} are {value:.3g} times as large as those of the layer before it."
    else:
        return []
    rows = np.union1d(by_jump, by_scale)
    return [initial.finding(seen, "exploding_activation", rows, start, said, measured, GAIN, CAUSES, REMEDIES)]
