"""Exploding gradient: the signal grows from layer to layer on its way back, or the gradient grows from step to step.

What it sees: (1) the signal at the first layers against the last; (2) the gradient norm now against its median at the
start, while the loss has not fallen.
Why it hurts: the lower layers are thrown about by steps that the upper ones cannot follow; in the end numbers overflow.
Threshold and source: growth of 4 orders of magnitude through depth, or of 3 over time with a loss above that of the
start. Elsewhere first / last > 70 (AutoTrainer) fires on many nets that learn. Both need a gain below 0.7; through depth
that on held-out data counts too, since such a net may learn its examples by heart and nothing else.
Known false alarms: large gradients everywhere, as from unscaled targets, are not growth and are not reported.
Remedies: clip_gradients, clip_gradients_adaptively, lower_learning_rate, use_he_initializer, add_normalization; where the
run shows that weights begin too large (`rules.causes`), use_he_initializer or use_glorot_initializer first.
References: Pascanu et al. 2013; Philipp et al. 2018, The exploding gradient problem demystified.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.causes import of_growing, told
from kerasgrad.rules.evidence import SPAN, Evidence, log10, median
from kerasgrad.rules.rule import Verdict, rule

DEPTH, TIME = 4.0, 3.0
"""Orders of magnitude, through depth and over time."""
GAIN = 0.7
FIRST = 10
"""Samples that say how large the gradient was at the start."""


@rule(
    "layer/signal_rms",
    "overall/gradient_norm",
    least=5,
    follows=("exploding_activation",),
    may_follow=("unscaled_inputs", "rate_too_high", "unbounded_loss"),
)
def exploding_gradient(seen: Evidence) -> Verdict:
    """Judges growth through depth and over time."""
    through_depth = _through_depth(seen) if seen.learning.useless(GAIN) else []
    over_time = _over_time(seen) if seen.learning.poor(GAIN) else []
    return [*through_depth, *over_time][:1]


CAUSES = (
    "initial weights that are too large, in one layer or in all",
    "a learning rate that is too high",
    "a recurrent layer over many steps without clipping",
)
REMEDIES = ("clip_gradients", "clip_gradients_adaptively", "lower_learning_rate", "use_he_initializer", "add_normalization")


def _through_depth(seen: Evidence) -> list[Finding]:
    rows = seen.learners
    signal = log10(seen.layer("signal_rms")[:, rows])
    now = log10(median(seen.layer("signal_rms")[seen.late][:, rows]))
    known = np.flatnonzero(np.isfinite(now) & (now > log10(0)))
    if len(known) < 2:
        return []
    growth = now[known[:-1]].max() - now[known[-1]]
    if growth < DEPTH:
        return []
    step = int(np.argmin(np.diff(now[known])))
    start = seen.name(rows[known[step + 1]])
    causes, remedies = told(of_growing(seen, first=rows[known[0]] + 1, last=rows[known[-1]]))
    since = seen.since(signal[:, known[:-1]].max(axis=1) - signal[:, known[-1]] >= DEPTH)
    said = f"The signal grows {10**growth:.1e}-fold on its way from the output to the input, most of all through {start}."
    return [
        Finding(
            severity=Severity.WARNING,
            summary=said,
            layers=seen.names(rows[known[: step + 1]]),
            starts_at=start,
            since=since,
            quantity="largest signal / signal at the last layer",
            measured=float(10**growth),
            threshold=10**DEPTH,
            samples=len(seen),
            causes=causes or CAUSES,
            shown=bool(causes),
            remedies=(*remedies, *REMEDIES[:3]) if remedies else REMEDIES,
        )
    ]


def _over_time(seen: Evidence) -> list[Finding]:
    norm = seen.overall("gradient_norm")
    growth = float(log10(median(norm[seen.late])) - log10(median(norm[:FIRST])))
    # From nothing to something is no growth: it began with weights or units that pass nothing on.
    if not TIME <= growth < SPAN or seen.learning.fall > 0:
        return []
    since = seen.since(log10(norm) - log10(median(norm[:FIRST])) >= TIME)
    said = f"The gradient norm has grown {10**growth:.1e}-fold since the start, and the loss with it."
    return [
        Finding(
            severity=Severity.WARNING,
            summary=said,
            layers=(),
            starts_at="",
            since=since,
            quantity="gradient norm now / at the start",
            measured=float(10**growth),
            threshold=10**TIME,
            samples=len(seen),
            causes=CAUSES[1:],
            remedies=REMEDIES,
        )
    ]
