"""Stuck metric: the loss falls and the accuracy does not move.

What it sees: accuracy by epoch beside the loss by epoch.
Why it hurts: the loss that is reported is not the loss of the predictions (see `last_activation`), or what falls is
only a penalty, or the classes are so uneven that the constant prediction is being learnt.
Threshold and source: a loss that fell by 30 % or more since the first epoch while the accuracy kept within 0.005, below
0.97, over at least 3 epochs.
Known false alarms: very small data, where few accuracies are possible.
Remedies: use_sigmoid, check_loss, weigh_classes.
References: the table of pairs in `last_activation`.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence
from kerasgrad.rules.learning import of_epochs
from kerasgrad.rules.rule import Verdict, rule

FALL, MOVE, HIGH = 0.3, 0.005, 0.97
EPOCHS = 3


@rule("overall/loss", least=3)
def stuck_metric(seen: Evidence) -> Verdict:
    """Judges accuracy against loss."""
    for metric in ("accuracy", "binary_accuracy", "sparse_categorical_accuracy", "categorical_accuracy"):
        accuracy, ends = of_epochs(seen.run, metric)
        loss, _ = of_epochs(seen.run, "loss")
        if len(accuracy) >= EPOCHS and len(loss) == len(accuracy):
            break
    else:
        return f"the fit reports no accuracy over {EPOCHS} epochs"
    fall, move = float(1 - loss[-1] / max(loss[0], 1e-30)), float(np.ptp(accuracy))
    if fall < FALL or move > MOVE or accuracy[-1] > HIGH:
        return []
    said = f"The loss fell by {100 * fall:.0f} %, the {metric} stayed at {accuracy[-1]:.3f}."
    return [
        Finding(
            severity=Severity.WARNING,
            summary=said,
            layers=(),
            starts_at="",
            since=int(ends[0]),
            quantity=f"range of the {metric}",
            measured=move,
            threshold=MOVE,
            samples=len(accuracy),
            causes=(
                "a last activation whose predictions are not those of the loss",
                "a loss that is mostly a penalty on the weights",
                "classes so uneven that the constant prediction is learnt",
            ),
            remedies=("use_sigmoid", "check_loss", "weigh_classes"),
        )
    ]
