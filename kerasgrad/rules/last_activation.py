"""The last activation does not fit the loss.

What it sees: the last layer's activation and units, the loss by name, and which metrics are reported.
Why it hurts: a softmax over one unit is always 1; a ReLU cannot give half of the targets and is off for good once it is
off; a cross-entropy of numbers that are no probabilities is meaningless.
Threshold and source: none; the table below. Keras 3 takes cross-entropies from the logits that the last activation
leaves behind, whatever that activation was: `Dense(1, activation="softmax")` trains with the loss of a sigmoid and
predicts a constant. A squared error above 1 with a sigmoid or a softmax, or above 4 with a tanh, shows that targets
lie beyond what the activation can give.
An accuracy of a linear output counts against a loss of numbers alone: one written by hand may take logits.
Known false alarms: a ReLU on counts or prices is a choice: it is a warning only with a gain below 0.7. A softmax in the
model's own `call`, behind the last layer, is not seen: a categorical cross-entropy of what is no probability is a warning
with a gain below 0.9. Of cross-entropies the gain on held-out data counts too.
Remedies: use_sigmoid, use_softmax, use_linear_output, scale_targets, set_from_logits, use_binary_crossentropy; check_labels
where a cross-entropy is below 0, check_loss where classes are trained with an absolute error.
References: DeepFD's and NeuraLint's lists of faults; Bishop 2006, section 5.2, on pairs of loss and activation.
"""

from __future__ import annotations

import math

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.applicable import REGRESSIONS
from kerasgrad.rules.evidence import NO_OUTPUT, Evidence
from kerasgrad.rules.learning import of_epochs, outputs
from kerasgrad.rules.rule import Verdict, rule

GAIN, GAIN_CERTAIN = 0.7, 0.9
_ONE, _TWO = ("sigmoid", "hard_sigmoid", "softmax"), ("tanh", "hard_tanh")
FARTHEST = {
    "mean_squared_error": dict.fromkeys(_ONE, 1.0) | dict.fromkeys(_TWO, 4.0),
    "mean_absolute_error": dict.fromkeys(_ONE, 1.0) | dict.fromkeys(_TWO, 2.0),
}
"""Loss by the last activation that cannot be exceeded while targets lie within its range; penalties apart."""
NO_PROBABILITIES = ("relu", "relu6", "softplus", "elu", "selu", "gelu", "silu", "leaky_relu", "exponential", "tanh")


@rule(least=0)
def last_activation(seen: Evidence) -> Verdict:
    """Judges the pair of the last activation and the loss."""
    loss = str(seen.run.facts.get("loss_function") or "")
    if not loss or not seen.run.layers:
        return "the run does not say which loss was trained" if not loss else "the run has no layers"
    if seen.output < 0:
        return NO_OUTPUT
    kind, units = seen.run.schema.activations[seen.output], outputs(seen.run)
    logits = bool(seen.run.facts.get("from_logits"))
    severity, said, remedies = _judged(seen, kind, units=units, loss=loss, logits=logits)
    if severity is None:
        return []
    name = seen.name(seen.output)
    return [
        Finding(
            severity=severity,
            summary=said,
            layers=(name,),
            starts_at=name,
            since=None,
            samples=len(seen),
            causes=("an activation or loss that was carried over from another task",),
            remedies=remedies,
        )
    ]


def _judged(
    seen: Evidence, kind: str, *, units: int, loss: str, logits: bool
) -> tuple[Severity | None, str, tuple[str, ...]]:
    """What is wrong whatever happens is an error; the rest is a warning if little was learnt."""
    severity, said, remedies = misfit(kind, units, loss=loss, logits=logits)
    if severity is None and kind in ("relu", "relu6"):
        severity, remedies = Severity.WARNING, ("use_linear_output",)
        said = f"The output passes a {kind}, which cannot be negative and may be off for good."
    if severity is None and seen.learning.now > FARTHEST.get(loss, {}).get(kind, math.inf):
        severity, remedies = Severity.WARNING, ("use_linear_output", "scale_targets")
        span = "-1 to 1" if kind in _TWO else "0 to 1"
        said = f"A {kind} gives {span}; a {loss} of {seen.learning.now:.3g} shows targets that lie far outside of it."
    if "crossentropy" in loss and seen.learning.now < 0:
        said = f"The {loss} is {seen.learning.now:.3g}, below 0: targets lie outside of 0 to 1, or a penalty is negative."
        return Severity.WARNING, said, ("check_labels",)
    accuracy, _ = of_epochs(seen.run, "accuracy")
    if severity is None and len(accuracy) and (kind == "linear" or loss == "mean_absolute_error") and loss in REGRESSIONS:
        severity, remedies = Severity.WARNING, ("use_sigmoid", "use_softmax", "check_loss")
        said = f"Accuracy is reported for a {kind} output that is trained with {loss}."
    if severity is Severity.WARNING and seen.broken is None and not _does_harm(seen, kind, loss=loss, logits=logits):
        severity = Severity.NOTE
    return severity, said, remedies


def _does_harm(seen: Evidence, kind: str, *, loss: str, logits: bool) -> bool:
    """Whether so little was learnt that it is no choice."""
    if "crossentropy" not in loss:
        return seen.learning.poor(GAIN)
    certain = "categorical" in loss and not logits and kind in ("linear", *NO_PROBABILITIES)
    return seen.learning.useless(GAIN_CERTAIN if certain else GAIN)


def misfit(kind: str, units: int, *, loss: str, logits: bool) -> tuple[Severity | None, str, tuple[str, ...]]:
    """Whether an activation does not fit a loss.

    Args:
        kind: name of the last activation.
        units: units of the output, 0 if not known.
        loss: name of the loss in snake case.
        logits: whether the loss takes logits.

    Returns:
        How grave it is, None if they fit; in words; remedies.
    """
    entropy = "crossentropy" in loss
    if kind == "softmax" and units == 1:
        return Severity.ERROR, "A softmax over one unit is 1 for every example.", ("use_sigmoid",)
    if "categorical_crossentropy" in loss and units == 1:
        return Severity.ERROR, f"{loss} over one unit is constant.", ("use_sigmoid", "use_binary_crossentropy")
    if entropy and not logits and kind == "linear":
        said = f"{loss} of a linear output without from_logits=True."
        return Severity.WARNING, said, ("set_from_logits", "use_softmax", "use_sigmoid")
    if entropy and logits and kind in ("softmax", "sigmoid"):
        return Severity.WARNING, f"{loss} with from_logits=True is given a {kind}.", ("use_linear_output",)
    if entropy and not logits and kind in NO_PROBABILITIES:
        return Severity.WARNING, f"{loss} of a {kind} output, which gives no probabilities.", ("use_softmax", "use_sigmoid")
    if "categorical_crossentropy" in loss and kind == "sigmoid" and units > 1:
        return Severity.WARNING, f"{loss} of sigmoids, which do not add up to 1.", ("use_softmax",)
    if "binary_crossentropy" in loss and kind == "softmax" and units > 1:
        return Severity.NOTE, f"{loss} of a softmax over {units} units.", ("use_sigmoid",)
    return None, "", ()
