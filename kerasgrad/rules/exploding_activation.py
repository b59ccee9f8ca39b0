"""Exploding activation: a layer gives outputs that are out of all proportion to those before it, from the start.

What it sees: the RMS of the outputs of consecutive layers with weights, at the first samples, and the scale of each
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

from typing import Any

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, log10, median
from kerasgrad.rules.rule import Verdict, rule

JUMP = 2.0
"""Orders of magnitude between the outputs of a layer and those of the layer before it."""
SCALE = 30.0
"""Kernel scale; 1 is usual."""
GAIN = 0.95
FIRST = 5
"""Samples that show the start."""


@rule("layer/activation_std", least=1)
def exploding_activation(seen: Evidence) -> Verdict:
    """Judges the start of a training."""
    if seen.steps[0] > 0:
        return "the run does not show the first step"
    rows, jumps = jumps_at_start(seen)
    scale = kernel_scale(seen)
    by_jump = rows[1:][jumps >= JUMP] if len(rows) > 1 else rows[:0]
    by_scale = np.flatnonzero(scale > SCALE)
    if not len(by_jump) and not len(by_scale):
        return []
    if len(by_scale):
        start, value, threshold, what = by_scale[0], float(scale[by_scale[0]]), SCALE, "kernel scale rms(w) sqrt(fan-in)"
        said = f"The weights of {seen.name(start)} are {value:.3g} times as large as a usual initialiser makes them."
    else:
        start, value = by_jump[0], float(10 ** jumps[jumps >= JUMP][0])
        threshold, what = 10**JUMP, "RMS of the output / of the layer before"
        said = f"The outputs of {seen.name(start)} are {value:.3g} times as large as those of the layer before it."
    severity = Severity.WARNING if seen.learning.poor(GAIN) else Severity.NOTE
    return [
        Finding(
            "exploding_activation",
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
                "initial weights that are too large: an initialiser of a fixed width, ones, a slip in custom weights",
                "loaded weights that do not fit",
            ),
            ("use_he_initializer", "use_glorot_initializer", "add_normalization"),
        )
    ]


def jumps_at_start(seen: Evidence) -> tuple[Any, Any]:
    """Orders of magnitude between the outputs of consecutive layers with weights, at the first samples.

    Returns:
        Rows of the layers but those whose output is bounded or not measured; and the steps between them, one less.
    """
    size = median(seen.magnitude()[:FIRST])
    bounded = np.array([kind in BOUNDED for kind in seen.run.schema.activations])
    rows = np.array([row for row in seen.learners if np.isfinite(size[row]) and not bounded[row] and size[row] > 0], int)
    return rows, np.diff(log10(size[rows]))


BOUNDED = ("softmax", "sigmoid", "tanh", "hard_sigmoid")


def kernel_scale(seen: Evidence) -> Any:
    """rms(w) sqrt(fan-in) of each layer's kernel at the first sample, `[layers]`; NaN where there is none or it is 0."""
    run, scale = seen.run, np.full(len(seen.run.layers), np.nan)
    norms = seen.variable("weight_norm")[0]
    for row in seen.learners:
        own = np.flatnonzero(seen.owners == row)
        kernels = [i for i in own if run.variables[i].rpartition("/")[2].startswith(KERNELS)]
        units = [run.schema.sizes[i] for i in own if run.variables[i].rpartition("/")[2].startswith("bias")]
        if len(kernels) == 1 and units and norms[kernels[0]] > 0:
            # norm / sqrt(size) is the RMS, size / units the fan-in.
            scale[row] = norms[kernels[0]] / np.sqrt(units[0])
    return scale


KERNELS = ("kernel", "pointwise_kernel")
