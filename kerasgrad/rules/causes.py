"""Why a signal shrinks or grows on its way back, and why nothing is learnt: what a run shows, the strongest first.

A layer passes on W^T (s * f'(z)): the derivative of its activation and dead units shrink the signal, the size of its weights
shrinks it or makes it grow. Each of the three can be told from what is recorded, in orders of magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from kerasgrad.rules.evidence import Evidence, median, share
from kerasgrad.rules.initial import scale_of

SIGMOIDS = {"sigmoid": 0.25, "hard_sigmoid": 1 / 6, "softmax": 0.25}
"""The steepest slope of activations that shrink whatever passes them."""
GAINS = {"relu": 2**0.5, "leaky_relu": 2**0.5, "relu6": 2**0.5, "elu": 1.0, "tanh": 1.0, "linear": 1.0, "selu": 1.0}
"""rms(w) sqrt(fan-in) with which the mean square of a signal is kept (He et al. 2015; Glorot & Bengio 2010)."""
SMALL, LARGE = 0.85, 1.4
"""Shares of that size below and above which weights do not keep it; Glorot's in a ReLU net are at 0.71, He's in a net of
tanh at 1.41."""
MOST = 0.5
"""Share of units that are dead, or of outputs that are saturated, from which on they are in the way."""
KEPT = 0.3
"""Share that a dropout leaves, below which it may be in the way."""
FAR = 30.0
"""Size of the error against that of the outputs, from which on targets count as far away."""
BLIND = ": signal_over_time"
"""Ends the name of what was not examined where the time steps of a layer have no signal."""
DEEP = 20
"""Layers from which on shortcuts are worth their while (He et al. 2016)."""


@dataclass(frozen=True)
class Cause:
    """Something that changes a signal.

    Attributes:
        said: in words.
        decades: orders of magnitude by which it does, about.
        remedies: what helps against it.
        shown: whether the run shows it; else it is only likely.
    """

    said: str
    decades: float
    remedies: tuple[str, ...]
    shown: bool = True


def told(shown: list[Cause]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Causes in words, and their remedies, each once, as a finding has them."""
    return tuple(cause.said for cause in shown), tuple(dict.fromkeys(name for cause in shown for name in cause.remedies))


def of_shrinking(seen: Evidence, *, first: int, last: int) -> list[Cause]:
    """What the run shows of it.

    Args:
        seen: the evidence.
        first: the first layer row of those that the signal passes.
        last: the last one.

    Returns:
        The causes, the strongest first; none where it does not show.
    """
    rows = np.arange(first, last + 1)
    found = [*_sigmoids(seen, rows), *_weights(seen, rows, odd=lambda size: size < SMALL, what="small"), *_off(seen, rows)]
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


def of_growing(seen: Evidence, *, first: int, last: int) -> list[Cause]:
    """The same of a signal that grows."""
    return list(_weights(seen, np.arange(first, last + 1), odd=lambda size: size > LARGE, what="large"))


def _weights(seen: Evidence, rows: np.ndarray, *, odd: Callable[[float], bool], what: str) -> Iterator[Cause]:
    """Kernels whose size is known by their bias, and that no normalisation makes good for."""
    if not len(seen) or seen.steps[0] > 0:
        return
    found: dict[int, tuple[float, str]] = {}
    for row, nxt in zip(seen.learners, [*seen.learners[1:], None], strict=True):
        normalised = nxt is not None and "gamma" in seen.parts(nxt)
        if row not in rows or normalised or seen.parts(row) != {"kernel", "bias"}:
            continue
        kind = _activation_after(seen, int(row), until=nxt)
        size = scale_of(seen, row) / GAINS.get(kind, math.nan)
        if odd(size):
            found[int(row)] = math.log10(max(size, 1e-9)), kind
    if found:
        worst = max(found, key=lambda row: abs(found[row][0]))
        size, kind = found[worst]
        remedy = "use_he_initializer" if GAINS[kind] > 1 else "use_glorot_initializer"
        others = {1: "", 2: f"; those of another layer are too {what} as well"}
        more = others.get(len(found), f"; those of {len(found) - 1} others are too {what} as well")
        begin = f"the weights of {seen.name(worst)} begin at {10**size:.2g} times the size that keeps a signal{more}"
        yield Cause(begin, sum(abs(size) for size, _ in found.values()), (remedy, "add_normalization"))


def _activation_after(seen: Evidence, row: int, *, until: int | None) -> str:
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
            yield Cause(said, float(-np.log10(np.maximum(1 - shares[shares >= MOST], 1e-9)).sum()), remedies)


def of_no_learning(seen: Evidence) -> list[Cause]:
    """What the run shows of why a loss stays where it is, beside what has a rule of its own.

    Args:
        seen: the evidence.

    Returns:
        The causes; none where it does not show.
    """
    return [*_linear(seen), *_dropped(seen), *_far_targets(seen), *_forgetful(seen)]


def _linear(seen: Evidence) -> Iterator[Cause]:
    if len(seen.learners) > 1 and set(seen.run.schema.activations[:-1]) == {"linear"}:
        yield Cause("all layers before the last one are linear, and so is what they make together", 0.0, ("use_relu",))


def _dropped(seen: Evidence) -> Iterator[Cause]:
    """A dropout is told by its name, and by what it leaves of what the row before it gives."""
    given = 1 - median(seen.layer("activation_zeros"))
    for row in range(1, len(given)):
        kept = given[row] / given[row - 1] if given[row - 1] > 0 else math.nan
        if "dropout" in seen.name(row).lower() and kept <= KEPT:
            said = f"{seen.name(row)} sets {share(1 - float(kept))} of what it is given to zero"
            yield Cause(said, -math.log10(max(kept, 1e-9)), ("lower_dropout",))


def _far_targets(seen: Evidence) -> Iterator[Cause]:
    """An error that dwarfs the outputs of a regression is the distance to its targets."""
    power = {"mean_squared_error": 0.5, "mean_absolute_error": 1.0}.get(str(seen.run.facts.get("loss_function") or ""))
    if power is None or seen.output < 0 or not seen.learning.now > 0:
        return
    error, size = seen.learning.now**power, float(median(seen.magnitude()[seen.late, seen.output]))
    if error > FAR * max(size, 1.0):
        said = f"targets of about {error:.2g}, to which outputs of about {size:.2g} have a long way to go"
        yield Cause(said, math.log10(error / max(size, 1.0)), ("scale_targets", "raise_learning_rate"))


def _forgetful(seen: Evidence) -> Iterator[Cause]:
    """A recurrent layer that is fed by raw data has no signal over time, so that its memory has no rule."""
    blind = [key.removesuffix(BLIND) for key in seen.run.not_examined if key.endswith(BLIND)]
    if blind:
        said = (
            f"a memory that is too short: kerasgrad.through_time(model, {blind[0].rpartition('/')[2]!r}, x, y) measures it"
        )
        yield Cause(said, 0.0, ("shorten_sequences", "use_lstm"), shown=False)
