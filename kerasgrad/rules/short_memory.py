"""Short memory: in a recurrent layer the signal does not reach the first time steps of the sequence.

What it sees: the signal at the layer's input by time step; the first quarter of the steps against the strongest
quarter.
Why it hurts: what happened early in the sequence cannot be learnt, however long the training.
Threshold and source: 4 orders of magnitude, as through depth; a warning with a gain below 0.7.
Known false alarms: tasks in which only the last steps matter; there it is as it should be, and the gain says so.
Remedies: use_lstm, use_gru, set_forget_bias, shorten_sequences, add_attention.
References: Hochreiter & Schmidhuber 1997; Bengio et al. 1994, Learning long-term dependencies is difficult.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, left_of, log10, median, some
from kerasgrad.rules.rule import Verdict, rule

DROP = 4.0
GAIN = 0.7
STEPS = 8
"""Shorter sequences have no early part."""


@rule(least=5)
def short_memory(seen: Evidence) -> Verdict:
    """Judges every recurrent layer with a signal over time."""
    if not seen.run.schema.recurrent:
        return "no recurrent layer has a signal over time; one that is fed by raw data has none at its input"
    found, short = [], []
    for path in seen.run.schema.recurrent:
        table = seen.run.signal_over_time(path)[seen.index[seen.late]].astype(np.float64)
        if table.shape[1] < STEPS:
            short.append(path)
            continue
        signal = log10(median(table))
        quarter = table.shape[1] // 4
        quarters = [np.nanmax(signal[i * quarter : (i + 1) * quarter], initial=log10(0)) for i in range(4)]
        drop = max(quarters) - quarters[0]
        if drop >= DROP and np.isfinite(drop):
            found.append(_finding(seen, path, float(drop), table.shape[1]))
    if len(short) == len(seen.run.schema.recurrent):
        return f"the sequences are shorter than {STEPS} steps"
    return found


def _finding(seen: Evidence, path: str, drop: float, steps: int) -> Finding:
    severity = Severity.WARNING if seen.learning.poor(GAIN) else Severity.NOTE
    said = f"Of {steps} time steps the first quarter receives {some(left_of(drop))} of the signal of the strongest."
    return Finding(
        "short_memory",
        severity,
        said,
        (path,),
        path,
        int(seen.steps[0]),
        "signal at the first / the strongest quarter",
        left_of(drop),
        10**-DROP,
        len(seen),
        (
            "no gates (SimpleRNN): each step multiplies the signal by less than 1",
            "forget gates that begin closed",
            "sequences longer than the layer can carry",
        ),
        ("use_lstm", "use_gru", "set_forget_bias", "shorten_sequences", "add_attention"),
    )
