"""Short memory: in a recurrent layer the signal does not reach the first time steps of the sequence.

What it sees: the signal at the layer's input by time step; the first quarter of the steps against the strongest
quarter.
Why it hurts: what happened early in the sequence cannot be learnt, however long the training.
Threshold and source: 4 orders of magnitude, as through depth; or, in the first samples, 2.5 with 0.4 of them at each
step, where a gate that is half open, the start of a GRU, costs 0.2 to 0.3. A warning with a gain below 0.7.
Known false alarms: tasks in which only the last steps matter; there it is as it should be, and the gain says so.
Remedies: use_lstm, use_gru for a SimpleRNN, set_forget_bias, set_chrono_bias for a layer with gates; then
shorten_sequences, add_attention.
References: Hochreiter & Schmidhuber 1997; Bengio et al. 1994, Learning long-term dependencies is difficult.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, left_of, log10, median, some
from kerasgrad.rules.initial import gates
from kerasgrad.rules.rule import Verdict, rule

DROP = 4.0
DROP_START, EACH_STEP = 2.5, 0.4
"""Orders of magnitude in the first samples, in all and at each time step."""
FIRST = 5
"""Samples that say how it begins."""
GAIN = 0.7
STEPS = 8
"""Shorter sequences have no early part."""


@rule(least=5, may_follow=("non_finite", "exploding_activation", "exploding_gradient", "rate_too_high", "saturated_units"))
def short_memory(seen: Evidence) -> Verdict:
    """Judges every recurrent layer with a signal over time."""
    if not seen.run.schema.recurrent:
        return "no recurrent layer has a signal over time; one that is fed by raw data has none at its input"
    found, short = [], []
    for path in seen.run.schema.recurrent:
        table = seen.run.signal_over_time(path)[seen.index].astype(np.float64)
        steps = table.shape[1]
        if steps < STEPS:
            short.append(path)
            continue
        now, start = _drop(table[seen.late]), _drop(table[:FIRST])
        from_the_start = seen.steps[0] == 0 and start >= max(DROP_START, EACH_STEP * (steps - steps // 4))
        if now >= DROP:
            found.append(_finding(seen, path, drop=now, steps=steps, threshold=DROP))
        elif from_the_start:
            found.append(_finding(seen, path, drop=start, steps=steps, threshold=DROP_START))
    if len(short) == len(seen.run.schema.recurrent):
        return f"the sequences are shorter than {STEPS} steps"
    return found


def _drop(table: Any) -> float:
    """Orders of magnitude between the strongest quarter of the time steps and the first, in the median sample."""
    signal, quarter = log10(median(table)), table.shape[1] // 4
    quarters = [np.nanmax(signal[i * quarter : (i + 1) * quarter], initial=log10(0)) for i in range(4)]
    return float(max(quarters) - quarters[0])


def _finding(seen: Evidence, path: str, *, drop: float, steps: int, threshold: float) -> Finding:
    severity = Severity.WARNING if seen.learning.poor(GAIN) else Severity.NOTE
    when = "" if threshold == DROP else " in the first samples"
    said = f"Of {steps} time steps the first quarter receives {some(left_of(drop))} of the signal of the strongest{when}."
    causes, remedies = _for(gates(seen.run, path))
    return Finding(
        severity=severity,
        summary=said,
        layers=(path,),
        starts_at=path,
        since=int(seen.steps[0]),
        quantity="signal at the first / the strongest quarter",
        measured=left_of(drop),
        threshold=10**-threshold,
        samples=len(seen),
        causes=causes,
        remedies=remedies,
    )


def _for(kernels: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Causes and remedies of a layer with that many kernels, see `initial.gates`; of both kinds where that is not known."""
    causes: list[str] = []
    remedies: list[str] = []
    if kernels in (0, 1):
        causes.append("no gates (SimpleRNN): each step multiplies the signal by less than 1")
        remedies += ["use_lstm", "use_gru"]
    if kernels != 1:
        causes.append("gates that begin closed: an LSTM's forget gate, a GRU's update gate")
        remedies += ["set_forget_bias", "set_chrono_bias"]
    causes.append("sequences longer than the layer can carry")
    return tuple(causes), (*remedies, "shorten_sequences", "add_attention")
