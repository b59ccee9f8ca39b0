"""What a net is like before its first step: the size of each layer's outputs beside the one before, and of its kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, log10
from kerasgrad.run import Run

POSITIVE = ("softmax", "sigmoid", "hard_sigmoid")
BOUNDED = (*POSITIVE, "tanh")
"""Activations whose outputs do not grow with what goes in; those of a tanh at least shrink with it."""
KERNELS = ("kernel", "pointwise_kernel")
UNSEEN = "the run does not show the first step"
"""Why a run that was watched from later on cannot be judged."""


def sizes(seen: Evidence, without: tuple[str, ...]) -> tuple[Any, Any]:
    """How large the outputs are at the first sample; it is taken before the first update.

    Args:
        seen: a run that shows the first step.
        without: activations of layers to leave out.

    Returns:
        Rows of the layers with weights whose output was measured and is not zero; and log10 of the RMS of each.
    """
    size = seen.magnitude()[0]
    out = np.array([kind in without for kind in seen.run.schema.activations])
    rows = np.array([row for row in seen.learners if np.isfinite(size[row]) and not out[row] and size[row] > 0], int)
    return rows, log10(size[rows])


def kernel_scale(seen: Evidence) -> Any:
    """rms(w) sqrt(fan-in) of each layer's kernel at the first sample, `[layers]`; NaN where there is none or it is 0."""
    scale = np.full(len(seen.run.layers), np.nan)
    for row in seen.learners:
        scale[row] = scale_of(seen, row) or np.nan
    return scale


def scale_of(seen: Evidence, row: Any) -> float:
    """The same of one layer, 0 where the kernel is."""
    run, own = seen.run, np.flatnonzero(seen.owners == row)
    kernels = [i for i in own if run.variables[i].rpartition("/")[2].startswith(KERNELS)]
    units = [run.schema.sizes[i] for i in own if run.variables[i].rpartition("/")[2].startswith("bias")]
    if len(kernels) != 1 or not units:
        return float("nan")
    # norm / sqrt(size) is the RMS, size / units the fan-in.
    return float(seen.variable("weight_norm")[0, kernels[0]] / np.sqrt(units[0]))


def recurrent_scale(seen: Evidence) -> Any:
    """rms(u) sqrt(units) of each SimpleRNN's recurrent kernel at the first sample, `[layers]`; NaN for all other layers.

    It is about its spectral radius, by how much the state grows in a step: 1 for orthogonal and Glorot's kernels.
    """
    run, scale = seen.run, np.full(len(seen.run.layers), np.nan)
    norms = seen.variable("weight_norm")[0]
    for i, (path, owner) in enumerate(zip(run.variables, seen.owners, strict=True)):
        if owner >= 0 and path.endswith("/recurrent_kernel") and gates(run, run.layers[owner]) == 1:
            scale[owner] = norms[i] / run.schema.sizes[i] ** 0.25
    return scale


def gates(run: Run, path: str) -> int:
    """How many kernels a recurrent layer has side by side: 1 (SimpleRNN), 3 (GRU), 4 (LSTM); 0 where it cannot be told.

    Of U units with g of them the recurrent kernel has g U^2 entries and the bias g U, or 2 g U in Keras' usual GRU: the
    bias's squared is g or 4 g times the other.
    """
    row = run.layers.index(path) if path in run.layers else -1
    sizes: dict[str, int] = {}
    for variable, owner, size in zip(run.variables, run.schema.owners, run.schema.sizes, strict=True):
        if owner == row:
            sizes.setdefault(variable.rpartition("/")[2], size)
    if not {"recurrent_kernel", "bias"} <= sizes.keys():
        return 0
    times = sizes["bias"] ** 2 / sizes["recurrent_kernel"]
    return {1.0: 1, 3.0: 3, 12.0: 3, 4.0: 4}.get(times, 0)


def finding(
    seen: Evidence, rows: Any, *, start: Any, said: str, measured: tuple[str, float, float], gain: float,
    causes: tuple[str, ...], remedies: tuple[str, ...],
) -> Finding:  # fmt: skip
    """A finding about the first step.

    Args:
        seen: the run.
        rows: layers that have it.
        start: the first of them.
        said: what was found.
        measured: quantity, value, threshold.
        gain: below it, see `rules.learning`, it is a warning.
        causes: the likeliest first.
        remedies: by name.
    """
    severity = Severity.WARNING if seen.learning.useless(gain) else Severity.NOTE
    layers, name = seen.names(np.union1d(rows, [start]).astype(int)), seen.name(start)
    quantity, value, threshold = measured
    return Finding(
        severity=severity, summary=said, layers=layers, starts_at=name, since=int(seen.steps[0]), quantity=quantity,
        measured=value, threshold=threshold, samples=1, causes=causes, remedies=remedies,
    )  # fmt: skip
