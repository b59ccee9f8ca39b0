"""What a run may suffer from: one ailment a file, its text on top; from a `Run` to findings, without TensorFlow.

kerasgrad.diagnose(run)                       # all of `DEFAULT`
kerasgrad.rules.vanishing_gradient(run)       # one of them: a list of findings
"""

from __future__ import annotations

from collections.abc import Iterable

from kerasgrad.finding import Diagnosis, Finding, Severity
from kerasgrad.rules.clipping_always import clipping_always
from kerasgrad.rules.collapsing_activation import collapsing_activation
from kerasgrad.rules.constant_output import constant_output
from kerasgrad.rules.dead_units import dead_units
from kerasgrad.rules.disconnected import disconnected
from kerasgrad.rules.diverging_loss import diverging_loss
from kerasgrad.rules.dormant_units import dormant_units
from kerasgrad.rules.evidence import Evidence
from kerasgrad.rules.exploding_activation import exploding_activation
from kerasgrad.rules.exploding_gradient import exploding_gradient
from kerasgrad.rules.frozen_layer import frozen_layer
from kerasgrad.rules.last_activation import last_activation
from kerasgrad.rules.loss_not_decreasing import loss_not_decreasing
from kerasgrad.rules.non_finite import non_finite
from kerasgrad.rules.order import ordered
from kerasgrad.rules.oscillating_loss import oscillating_loss
from kerasgrad.rules.overfitting import overfitting
from kerasgrad.rules.plateau import plateau
from kerasgrad.rules.rate_too_high import rate_too_high
from kerasgrad.rules.rate_too_low import rate_too_low
from kerasgrad.rules.rule import Rule, Verdict, rule
from kerasgrad.rules.saturated_units import saturated_units
from kerasgrad.rules.short_memory import short_memory
from kerasgrad.rules.shrinking_weights import shrinking_weights
from kerasgrad.rules.small_batch import small_batch
from kerasgrad.rules.stale_trainable import stale_trainable
from kerasgrad.rules.stuck_metric import stuck_metric
from kerasgrad.rules.unbalanced_layers import unbalanced_layers
from kerasgrad.rules.unbounded_loss import unbounded_loss
from kerasgrad.rules.unscaled_inputs import unscaled_inputs
from kerasgrad.rules.vanishing_gradient import vanishing_gradient
from kerasgrad.run import Run

DEFAULT: tuple[Rule, ...] = (
    non_finite, stale_trainable, disconnected, last_activation, unbounded_loss, unscaled_inputs, exploding_activation,
    collapsing_activation,
    rate_too_high, rate_too_low, small_batch, shrinking_weights, clipping_always, dead_units, saturated_units, dormant_units,
    vanishing_gradient, exploding_gradient, short_memory, frozen_layer, unbalanced_layers, constant_output,
    loss_not_decreasing, plateau, oscillating_loss, diverging_loss, overfitting, stuck_metric,
)  # fmt: skip
"""All rules of this package, causes before effects."""

__all__ = ["DEFAULT", "Diagnosis", "Evidence", "Finding", "Rule", "Severity", "Verdict", "diagnose", "rule"]


def diagnose(run: Run, rules: Iterable[Rule] = DEFAULT) -> Diagnosis:
    """Examines a run: what it suffers from, since when, which layer starts it, why, and what to change.

    Args:
        run: any run, live, loaded, or a baseline.
        rules: which rules; a function of your own becomes one with `kerasgrad.rules.rule`.

    Returns:
        The findings, and what could not be examined and why. Its `repr` is the report.

    Example:
        >>> kerasgrad.diagnose(kerasgrad.Run.load("logs/mine"))
    """
    seen, rules = Evidence(run), tuple(rules)
    findings: list[Finding] = []
    examined, not_examined = [], {}
    for each in rules:
        verdict = each.examine(seen)
        if isinstance(verdict, str):
            not_examined[each.name] = verdict
        else:
            examined.append(each.name)
            findings += verdict
    steps = (int(run.steps[0]), int(run.steps[-1])) if len(run) else None
    model = str(run.facts.get("model") or "model")
    return Diagnosis(tuple(ordered(findings, rules)), not_examined, tuple(examined), model, len(run), steps, _signal(seen))


def _signal(seen: Evidence) -> dict[str, float]:
    """What reached each layer at the last sound sample."""
    return dict(zip(seen.run.layers, map(float, seen.layer("signal_rms")[-1]), strict=True)) if len(seen) else {}
