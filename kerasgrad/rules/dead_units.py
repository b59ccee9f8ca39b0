"""Dead units: they fire for no example, so that no gradient reaches them and they stay as they are.

What it sees: the share of a layer's units that fired in no sample of the last `window`, and whole layers whose output
is zero throughout, which is seen at once. From the step at which each unit last fired it tells born dead from died at
step N, and counts those that came back.
Why it hurts: a dead unit is lost; a dead layer without a shortcut around it cuts all layers before it off.
Threshold and source: a layer with more than half of its units dead is dying (SageMaker Debugger), here a warning with a
gain below 0.5; a whole layer is a warning with a gain below 0.9. The share of zeros is not looked at: most of
DeepDiagnosis' false alarms are sparse layers.
Known false alarms: nets that are much too wide learn well with most units dead: a note then.
Remedies: lower_learning_rate, use_leaky_relu, reset_dead_units, use_he_initializer, standardize_inputs,
reset_biases. A lower rate cannot revive what is dead: for whole layers those come first that begin them anew.
References: Lu et al. 2019, Dying ReLU and initialization; Sokar et al. 2023.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence, median, share
from kerasgrad.rules.rule import Verdict, rule

HALF, WHOLE = 0.5, 0.999
GAIN_HALF, GAIN_WHOLE = 0.5, 0.9
SEEN = 10
"""Samples before it can be said of a unit that it never fired."""


@rule(
    "layer/activation_zeros",
    least=3,
    follows=("non_finite",),
    may_follow=("exploding_activation", "collapsing_activation", "unscaled_inputs", "rate_too_high", "unbounded_loss"),
)
def dead_units(seen: Evidence) -> Verdict:
    """Judges layers whose units can die."""
    watched = np.array([row for row, path in enumerate(seen.run.layers) if path in seen.run.schema.units], int)
    if not len(watched):
        return "no layer has an activation that can be exactly zero"
    zeros = seen.layer("activation_zeros")[:, watched]
    now = median(zeros[seen.late])
    dead = _dead_share(seen, watched)
    whole = now >= WHOLE
    dying = whole | (dead > HALF)
    if not dying.any():
        return []
    rows = watched[dying]
    # All layers after the first dead one may be dead because of it.
    start = _first_dead(seen, watched[whole]) if whole.any() else watched[int(np.nanargmax(np.where(dying, dead, -1)))]
    worst = 1.0 if whole.any() else float(np.nanmax(dead[dying]))
    poor = seen.learning.poor(GAIN_WHOLE if whole.any() else GAIN_HALF)
    column = zeros[:, list(watched).index(start)]
    since = seen.since(column >= WHOLE) if whole.any() else _step_of_death(seen, start)
    said = f"{share(worst)} of the units of {seen.name(start)} fire for no example{_history(seen, start)}."
    causes, remedies = _WHOLE if whole.any() and since != seen.steps[0] else _BORN if whole.any() else _DYING
    return [
        Finding(
            severity=Severity.WARNING if poor else Severity.NOTE,
            summary=said,
            layers=seen.names(rows),
            starts_at=seen.name(start),
            since=since,
            quantity="share of dead units",
            measured=worst,
            threshold=WHOLE if whole.any() else HALF,
            samples=len(seen),
            causes=causes,
            remedies=remedies,
        )
    ]


_STEP = "a step that was too large threw the biases far below zero"
_START = "biases or weights that begin far below zero, or weights that are zero"
_REST = "inputs that are not scaled", "nothing arrives from the layer before"
_ALIVE, _ANEW = ("use_leaky_relu", "standardize_inputs"), ("reset_dead_units", "use_he_initializer", "reset_biases")
_DYING = (_STEP, _START, *_REST), ("lower_learning_rate", "use_leaky_relu", *_ANEW, "standardize_inputs")
_WHOLE = (_STEP, _START, *_REST), ("reset_dead_units", "lower_learning_rate", *_ALIVE, "use_he_initializer", "reset_biases")
_BORN = (_START, *_REST, _STEP), ("reset_biases", "use_he_initializer", "reset_dead_units", *_ALIVE, "lower_learning_rate")
"""Causes and remedies by what was found: units that die, a layer that died, one that was dead from the start."""


def _first_dead(seen: Evidence, whole: Any) -> Any:
    """The first layer that is dead to stay; the first of all if none is."""
    zeros = seen.layer("activation_zeros")
    lasting = [row for row in whole if seen.since(zeros[:, row] >= WHOLE) is not None]
    return (lasting or list(whole))[0]


def _dead_share(seen: Evidence, watched: Any) -> Any:
    """Share of dead units by layer: what was recorded at the last sample, or, if no window has passed, those never seen."""
    recorded = seen.layer("dead_fraction")[:, watched]
    last = median(recorded[-3:])
    return np.where(np.isnan(last), 0.0, last)


def _step_of_death(seen: Evidence, row: Any) -> int | None:
    return seen.since(seen.layer("dead_fraction")[:, row] > HALF)


def _history(seen: Evidence, row: Any) -> str:
    """How they died: born dead, died at a step, came back."""
    units = seen.run.units.get(seen.name(row))
    if units is None or units.samples < SEEN:
        return ""
    born, back = int((units.last_fired < 0).sum()), int((units.revivals > 0).sum())
    died = units.last_fired[(units.last_fired >= 0) & (units.last_fired < int(seen.run.steps[-1]))]
    parts = [f"{born} never did"] if born else []
    if len(died):
        parts.append(f"of {len(died)} others the median last fired at step {int(np.median(died))}")
    parts += [f"{back} had come back"] if back else []
    return f" ({'; '.join(parts)})" if parts else ""
