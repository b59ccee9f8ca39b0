"""Exploding activation: a layer gives outputs that are out of all proportion to those before it, from the start.

What it sees: the RMS of the outputs of consecutive layers with weights, at the first sample, and the scale of each
kernel, rms(w) sqrt(fan-in), which is 0.6 to 1.5 in every usual initialiser; of a SimpleRNN that of the recurrent kernel,
about its spectral radius.
Why it hurts: all that follows is ruled by that layer; its signal back to the input is as much too large.
Threshold and source: a jump of 2 orders of magnitude, or a kernel scale above 30; with a gain below 0.95 a warning. A
variance ratio above 10 (SageMaker Debugger's "poor initialisation") is met by healthy nets. With a gain below 0.7, in
training or held out, less will do: a scale of 2.5 in the median hidden layer, since it works once in each; 1.25 in a
recurrent kernel, since it works once in each step (Pascanu et al. 2013: above 1 is what exploding takes).
Known false alarms: a first layer fed with large inputs is no jump: the rule `unscaled_inputs` speaks of that. Before a
normalisation the scale of a kernel is of no account for the outputs.
Remedies: use_he_initializer, use_glorot_initializer, add_normalization.
References: He et al. 2015; Glorot & Bengio 2010; Pascanu et al. 2013, On the difficulty of training recurrent neural
networks, section 2.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgrad.rules import initial
from kerasgrad.rules.evidence import Evidence
from kerasgrad.rules.rule import Verdict, rule

JUMP = 2.0
"""Orders of magnitude between the outputs of a layer and those of the layer before it."""
SCALE = 30.0
"""Kernel scale; 1 is usual."""
GAIN = 0.95
SCALE_ALL, SCALE_RECURRENT = 2.5, 1.25
"""Of the median hidden layer, and of a recurrent kernel."""
GAIN_ALL = 0.7
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
    by_jump, by_scale, gain = rows[1:][jumps >= JUMP], np.flatnonzero(scale > SCALE), GAIN
    if len(by_scale):
        start, value = by_scale[0], float(scale[by_scale[0]])
        measured = "kernel scale rms(w) sqrt(fan-in)", value, SCALE
        said = f"The weights of {seen.name(start)} are {value:.3g} times as large as a usual initialiser makes them."
    elif len(by_jump):
        start, value = by_jump[0], float(10 ** jumps[jumps >= JUMP][0])
        measured = "RMS of the output / of the layer before", value, 10**JUMP
        said = f"The outputs of {seen.name(start)} are {value:.3g} times as large as those of the layer before it."
    else:
        by_scale, said, measured = _all_together(seen, scale)
        if not len(by_scale):
            return []
        start, gain = by_scale[0], GAIN_ALL
    rows = np.union1d(by_jump, by_scale)
    return [
        initial.finding(seen, rows, start=start, said=said, measured=measured, gain=gain, causes=CAUSES, remedies=REMEDIES)
    ]


def _all_together(seen: Evidence, scale: Any) -> tuple[Any, str, tuple[str, float, float]]:
    """Layers whose weights are too large for so many layers or steps, what is said of them, and what was measured."""
    recurrent = initial.recurrent_scale(seen)
    in_time = np.flatnonzero(recurrent > SCALE_RECURRENT)
    if len(in_time):
        value = float(recurrent[in_time[0]])
        said = f"The recurrent weights of {seen.name(in_time[0])} let its state grow {value:.3g}-fold at each step."
        return in_time, said, ("recurrent kernel scale rms(u) sqrt(units)", value, SCALE_RECURRENT)
    hidden = np.array([row for row in np.flatnonzero(np.isfinite(scale)) if row != seen.learners[-1]], int)
    usual = float(np.median(scale[hidden])) if len(hidden) else 0.0
    large = hidden[scale[hidden] > SCALE_ALL] if usual > SCALE_ALL else hidden[:0]
    said = f"The weights of the median hidden layer are {usual:.3g} times as large as a usual initialiser makes them."
    return large, said, ("kernel scale rms(w) sqrt(fan-in), median of the hidden layers", usual, SCALE_ALL)
