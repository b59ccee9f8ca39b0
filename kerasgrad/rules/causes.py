"""Why a signal shrinks on its way back: the causes that a run shows, the one that takes most of it first.

A layer passes on W^T (s * f'(z)): it shrinks what the derivative of its activation leaves, what dead units let through, and
what the size of its weights makes of it. Each of the three can be told from what is recorded, in orders of magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kerasgrad.rules.evidence import Evidence, share

SIGMOIDS = {"sigmoid": 0.25, "hard_sigmoid": 1 / 6, "softmax": 0.25}
"""The steepest slope of activations that shrink whatever passes them."""
GAINS = {"relu": 2**0.5, "leaky_relu": 2**0.5, "relu6": 2**0.5, "elu": 1.0, "tanh": 1.0, "linear": 1.0, "selu": 1.0}
"""rms(w) sqrt(fan-in) with which the mean square of a signal is kept (He et al. 2015; Glorot & Bengio 2010)."""
SMALL = 0.85
"""Share of that size below which weights count as too small; Glorot's in a ReLU net are at 0.71."""
MOST = 0.5
"""Share of units that are dead, or of outputs that are saturated, from which on they are in the way."""
DEEP = 20
"""Layers from which on shortcuts are worth their while (He et al. 2016)."""


@dataclass(frozen=True)
class Cause:
    """Something that shrinks a signal.

    Attributes:
        said: in words.
        decades: orders of magnitude that it takes, about.
        remedies: what helps against it.
    """

    said: str
    decades: float
    remedies: tuple[str, ...]


def of_shrinking(seen: Evidence, first: int, last: int) -> list[Cause]:
    """What the run shows of it.

    Args:
        seen: the evidence.
        first: the first layer row of those that the signal passes.
        last: the last one.

    Returns:
        The causes, the strongest first; none where it does not show.
    """
    rows = np.arange(first, last + 1)
    found = [*_sigmoids(seen, rows), *_small_weights(seen, rows), *_off(seen, rows)]
    found.sort(key=lambda cause: -cause.decades)
    deep = int(np.isin(rows, seen.learners).sum())
    if found and deep >= DEEP:
        found.append(Cause(f"{deep} layers in a row, if no shortcut leads past them", 0.0, ("add_shortcuts",)))
    return found


def _sigmoids(seen: Evidence, rows: np.ndarray) -> Iterator[Cause]:
    kinds = [seen.run.schema.activations[row] for row in rows]
    for kind, slope in SIGMOIDS.items():
        count = kinds.count(kind)
        if count:
            layers = f"{count} layers with a {kind}" if count > 1 else f"a layer with a {kind}"
            leaves = f"each of which leaves {slope:.2g} at most" if count > 1 else f"which leaves {slope:.2g} at most"
            yield Cause(
                f"{layers}, {leaves}", -count * math.log10(slope), ("use_relu", "add_shortcuts", "add_normalization")
            )


def _small_weights(seen: Evidence, rows: np.ndarray) -> Iterator[Cause]:
    """Kernels whose size is known by their bias, and that no normalisation makes good for."""
    if not len(seen) or seen.steps[0] > 0:
        return
    norms, small = seen.variable("weight_norm")[0], {}
    for row, nxt in zip(seen.learners, [*seen.learners[1:], None], strict=True):
        own = {seen.run.variables[i].rpartition("/")[2]: int(i) for i in np.flatnonzero(seen.owners == row)}
        after = [] if nxt is None else [seen.run.variables[i] for i in np.flatnonzero(seen.owners == nxt)]
        if row not in rows or own.keys() != {"kernel", "bias"} or any(path.endswith("/gamma") for path in after):
            continue
        kind = _activation_after(seen, int(row), nxt)
        size = float(norms[own["kernel"]]) / math.sqrt(seen.run.schema.sizes[own["bias"]]) / GAINS.get(kind, math.nan)
        if 0 <= size < SMALL:
            small[int(row)] = size, kind
    if small:
        worst = min(small, key=lambda row: small[row][0])
        size, kind = small[worst]
        remedy = "use_he_initializer" if GAINS[kind] > 1 else "use_glorot_initializer"
        others = {1: "", 2: ", those of another layer are too small as well"}
        more = others.get(len(small), f", those of {len(small) - 1} others are too small as well")
        begins = f"the weights of {seen.name(worst)} begin at {size:.2g} of the size that keeps a signal{more}"
        yield Cause(begins, -sum(math.log10(max(s, 1e-9)) for s, _ in small.values()), (remedy, "add_normalization"))


def _activation_after(seen: Evidence, row: int, until: int | None) -> str:
    """What is applied to a layer's output, be it by a layer of its own."""
    kinds = seen.run.schema.activations[row : until if until is not None else row + 1]
    return next((kind for kind in kinds if kind != "linear"), "linear")


def _off(seen: Evidence, rows: np.ndarray) -> Iterator[Cause]:
    """Units that pass nothing, because they are dead or saturated."""
    for statistic, what, remedies in (
        ("dead_fraction", "units of {} are dead", ("reset_dead_units", "use_leaky_relu")),
        ("saturated_fraction", "outputs of {} are saturated", ("use_glorot_initializer", "use_relu")),
    ):
        shares = np.nan_to_num(seen.layer(statistic)[-1][rows]) if len(seen) else np.zeros(0)
        if (shares >= MOST).any():
            worst = rows[int(shares.argmax())]
            said = f"{share(float(shares.max()))} of the {what.format(seen.name(worst))}"
            yield Cause(said, float(-np.log10(np.maximum(1 - shares[shares >= MOST], 1e-3)).sum()), remedies)
