"""Constant output: the model says the same whatever it is shown.

What it sees: the deviation of the output over examples, where the model ends in one unit. A softmax over one unit is
always 1.
Why it hurts: nothing of the input reaches the output.
Threshold and source: a deviation below a thousandth of what a sure prediction would have (sigmoid: sqrt(m (1 - m));
squared error: the root of the loss), now and with a gain below 0.5; exactly 0 in every sample is an error.
Known false alarms: the first steps of a small initial output are not looked at.
Remedies: use_sigmoid, use_linear_output, lower_learning_rate, standardize_inputs, reset_dead_units.
References: TheDeepChecker (Ben Braiek & Khomh 2023), "unchanged output".
"""

from __future__ import annotations

import math

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import NO_OUTPUT, Evidence, median
from kerasgrad.rules.learning import outputs
from kerasgrad.rules.rule import Verdict, rule

SHARE = 1e-3
OF_KIND = {
    "softmax": ("a softmax over one unit, which is always 1", "use_sigmoid"),
    "relu": ("a ReLU on the output that is off for all examples", "use_linear_output"),
}
"""By the last activation: what it may do, and the remedy."""
GAIN = 0.5


@rule(
    "layer/activation_std",
    "overall/loss",
    least=10,
    follows=("non_finite", "dead_units", "saturated_units"),
    may_follow=(
        "last_activation",
        "disconnected",
        "collapsing_activation",
        "exploding_activation",
        "rate_too_high",
        "shrinking_weights",
    ),
)
def constant_output(seen: Evidence) -> Verdict:
    """Judges models that end in one unit."""
    if seen.output < 0:
        return NO_OUTPUT
    if outputs(seen.run) != 1:
        return "with several outputs the deviation over examples cannot be told from that between outputs"
    if median(seen.overall("examples")) <= 1:
        return "one example at a time has no deviation"
    deviation, mean = seen.layer("activation_std")[:, seen.output], seen.layer("activation_mean")[:, seen.output]
    now = float(median(deviation[seen.late]))
    name, kind = seen.name(seen.output), seen.run.schema.activations[seen.output]
    said = f"The output of {name} is the same for all examples."
    never = bool((deviation == 0).all())
    middle = float(median(mean[seen.late]))
    sure = math.sqrt(max(middle * (1 - middle), 0)) if kind == "sigmoid" else 0.0
    sure = sure or math.sqrt(max(seen.learning.now, 0.0))
    if not never and not (now <= SHARE * sure and seen.learning.poor(GAIN)):
        return []
    return [
        Finding(
            severity=Severity.ERROR if never else Severity.WARNING,
            summary=said,
            layers=(name,),
            starts_at=name,
            since=seen.since(deviation <= SHARE * sure),
            quantity="deviation of the output over examples",
            measured=now,
            threshold=SHARE * sure,
            samples=len(seen),
            causes=(
                *((OF_KIND[kind][0],) if kind in OF_KIND else ()),
                "dead or saturated layers before the output",
                "a learning rate that threw the weights away",
            ),
            remedies=(
                *(OF_KIND[kind][1:] if kind in OF_KIND else ()),
                "lower_learning_rate",
                "standardize_inputs",
                "reset_dead_units",
            ),
        )
    ]
