"""Stale trainable: `trainable` was changed after Keras had traced the step, so that it says what Keras does not do.

What it sees: the variables that the step was traced to train, beside those that `trainable` names now.
Why it hurts: a backbone that was frozen after a first `fit` goes on being trained, and one that was unfrozen stays as it is:
Keras reads `trainable` when it traces the step, which `compile` makes it do anew, and at no other time.
Threshold and source: one layer; the setter of `keras.Layer.trainable` and the guide to transfer learning say so.
Known false alarms: the GAN idiom of old, in which a discriminator that was compiled before is frozen on purpose for the
combined model. It is a note where layers are trained that need not be: only the combined model knows what they are for.
Remedies: compile_again.
References: keras.io, "Transfer learning and fine-tuning", on `compile` after a change of `trainable`.
"""

from __future__ import annotations

from kerasgrad.finding import Finding, Severity, counted
from kerasgrad.rules.evidence import Evidence
from kerasgrad.rules.rule import Verdict, rule


@rule
def stale_trainable(seen: Evidence) -> Verdict:
    """Judges what the step was traced to train."""
    stale = seen.run.facts.get("stale_trainable") or {}
    return [_found(seen, list(stale[what]), what=what) for what in ("trained", "untrained") if stale.get(what)]


def _found(seen: Evidence, layers: list[str], *, what: str) -> Finding:
    does, says = ("is trained", False) if what == "trained" else ("is not trained", True)
    others = f" and {counted(len(layers) - 1, 'other layer')}" if len(layers) > 1 else ""
    return Finding(
        severity=Severity.WARNING,
        summary=f"`{layers[0]}`{others} {does} although `trainable` is {says}: compile again.",
        layers=tuple(layers),
        starts_at=layers[0],
        samples=len(seen),
        causes=("`trainable` was changed after the step was traced; Keras reads it again when the model is compiled",),
        remedies=("compile_again",),
    )
