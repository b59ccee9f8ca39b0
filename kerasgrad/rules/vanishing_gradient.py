"""Vanishing gradient: the signal dies on its way from the output to the input.

What it sees: the signal (RMS of dL/da) at the layers that own variables, in depth order. It compares the strongest
signal among the layers up to a depth with the strongest above it, so that a branch that starts at zero (ReZero, zero
gamma, LoRA) does not count while another way is open. It takes the start or the end, where the drop is larger.
Why it hurts: what gets a ten-thousandth of the signal learns ten thousand times slower under SGD, and what an adaptive
optimizer makes of it is mostly noise.
Threshold and source: a drop of 3 orders of magnitude with a gain below 0.5, of 4 with a gain below 0.7 (3 to 4 is the
teaching figure), or of 7 in any case. Absolute thresholds (mean |g| < 1e-7 elsewhere) fire on nets that have converged:
here all layers shrink together.
Known false alarms: per-entry signals are divided by the positions where a mean over them is taken; what is lost in that one
step is not counted, where the sizes show it (`rules.pooling`), and elsewhere 4 orders leave room for it. Weight gradients
are not looked at: they can be level while the signal dies.
Remedies: use_relu, add_shortcuts, add_normalization, use_he_initializer; where the run shows why (`rules.causes`), those
that help against it, use_glorot_initializer, reset_dead_units and use_leaky_relu among them.
References: Hochreiter 1991; Glorot & Bengio 2010; He et al. 2016.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.causes import of_shrinking, told
from kerasgrad.rules.evidence import START, Evidence, left_of, log10, median, some
from kerasgrad.rules.pooling import pooled, without_division
from kerasgrad.rules.rule import Verdict, rule

DROP, DROP_WARNING, DROP_ALWAYS = 3.0, 4.0, 7.0
"""Orders of magnitude between the last layers and the first."""
GAIN_SLIGHT, GAIN = 0.5, 0.7
"""Below these a drop, and a steep one, are warnings."""
CHAINS = "each step trains several losses, such as those of a GAN, whose nets are no single chain"
LAYERS = 3
"""Fewer layers than these have no depth to vanish in."""

CAUSES = (
    "activations whose derivative is below 1 (sigmoid at most 1/4), many times over",
    "initial weights that are too small",
    "more than 20 to 30 layers without shortcuts",
    "units that are dead or saturated in between",
)
"""What usually brings it about, where the run does not show which."""
REMEDIES = ("use_relu", "add_shortcuts", "add_normalization", "use_he_initializer")


@rule(
    "layer/signal_rms",
    least=5,
    follows=("non_finite", "dead_units", "saturated_units", "disconnected"),
    may_follow=("collapsing_activation", "exploding_activation"),
)
def vanishing_gradient(seen: Evidence) -> Verdict:
    """Judges the signal through depth."""
    if seen.losses > 1:
        return CHAINS
    rows, behind = seen.learners, pooled(seen)
    signal = seen.layer("signal_rms")[:, rows]
    known: Any = np.isfinite(signal).any(axis=0)
    place = int(known[:behind].sum()) if behind is not None and known[behind] else None
    rows, signal = rows[known], signal[:, known]
    if len(rows) < LAYERS:
        return f"fewer than {LAYERS} layers that are trained have a signal"
    start, late = (without_division(log10(median(signal[part])), place=place) for part in (slice(START), seen.late))
    now = max(late, start, key=lambda levels: float((above(levels) - below(levels)).max()))
    drop = above(now) - below(now)
    if drop.max() < DROP or now.max() < log10(0):
        return []
    steep = drop.max() >= DROP_WARNING
    certain = seen.learning.poor(GAIN if steep else GAIN_SLIGHT) or drop.max() >= DROP_ALWAYS
    depth = start_of_drop(now)
    start = rows[-2] if depth is None else _within(seen, rows[depth - 1], upper=rows[depth])
    ratio = left_of(float(drop.max()))
    each = without_division(log10(signal), place=place)
    since = seen.since((above(each) - below(each)).max(axis=-1) >= DROP)
    since = int(seen.steps[0]) if since is None else since
    where = "it fades from layer to layer" if depth is None else f"most of it is lost in {seen.name(start)}"
    lower = rows[:depth] if depth is not None else rows[:-1]
    # The last activation is no part of the way: cross-entropies are taken from the logits before it.
    first, last = (rows[0], rows[-1]) if depth is None else (rows[depth - 1], start)
    causes, remedies = told(of_shrinking(seen, first=first + 1, last=min(last, rows[-1] - 1)))
    said = f"{seen.name(rows[0])} receives {some(ratio)} of the signal that the last layers receive; {where}."
    return [
        Finding(
            severity=Severity.WARNING if certain else Severity.NOTE,
            summary=said,
            layers=seen.names(lower[now[: len(lower)] < now.max() - DROP / 2]),
            starts_at=seen.name(start),
            since=since,
            quantity="signal at the first layers / at the last",
            measured=ratio,
            threshold=10**-DROP,
            samples=len(seen),
            causes=causes or CAUSES,
            shown=bool(causes),
            remedies=remedies or REMEDIES,
        )
    ]


def below(signal: Any) -> Any:
    """Strongest signal up to each depth but the last, `[..., layers - 1]`."""
    return np.fmax.accumulate(signal, axis=-1)[..., :-1]


def above(signal: Any) -> Any:
    """Strongest signal above each depth but the last."""
    return np.fmax.accumulate(signal[..., ::-1], axis=-1)[..., ::-1][..., 1:]


def start_of_drop(now: Any) -> int | None:
    """Depth of the layer in or just below which most of the signal is lost, None if it fades evenly.

    Args:
        now: logarithm of the signal by depth.
    """
    steps = np.diff(below(np.append(now, now[-1])))
    largest = int(np.argmax(steps))
    return largest + 1 if steps[largest] > np.maximum(steps, 0).sum() / 2 else None


def _within(seen: Evidence, lower: Any, *, upper: Any) -> Any:
    """Row of the layer that loses most between two that own weights: one of those without weights, or the upper one."""
    signal = log10(median(seen.layer("signal_rms")[seen.late, lower : upper + 1]))
    if not np.isfinite(signal).all():
        return upper
    return lower + 1 + int(np.argmax(np.diff(signal)))
