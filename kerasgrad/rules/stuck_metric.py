"""Stuck metric: the loss falls and the accuracy does not move.

What it sees: accuracy by epoch beside the loss by epoch.
Why it hurts: the loss that is reported is not the loss of the predictions (see `last_activation`), or what falls is
only a penalty, or the classes are so uneven that the constant prediction is being learnt.
Threshold and source: a loss that fell by 30 % or more since the first epoch while the accuracy kept within 0.005, below
0.97, over at least 3 epochs; or an accuracy that sank below half of what it was. Held-out figures are taken where there
are none of the training.
Known false alarms: very small data, where few accuracies are possible.
Remedies: use_sigmoid, check_loss, weigh_classes.
References: the table of pairs in `last_activation`.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence
from kerasgrad.rules.learning import of_epochs
from kerasgrad.rules.rule import ANY, Verdict, rule

FALL, MOVE, HIGH = 0.3, 0.005, 0.97
EPOCHS = 3
SUNK, KNOWN = 0.5, 0.2
"""Share of the first accuracy below which it has sunk, and the accuracy from which on there was something to lose."""
METRICS = ("accuracy", "binary_accuracy", "sparse_categorical_accuracy", "categorical_accuracy")


@rule("overall/loss", least=3, follows=("plateau",), may_follow=ANY)
def stuck_metric(seen: Evidence) -> Verdict:
    """Judges accuracy against loss."""
    for name in (f"{of}{metric}" for of in ("", "val_") for metric in METRICS):
        metric = name
        accuracy, ends = of_epochs(seen.run, metric)
        loss, _ = of_epochs(seen.run, "val_loss" if metric.startswith("val_") else "loss")
        if len(accuracy) >= EPOCHS and len(loss) == len(accuracy):
            break
    else:
        return f"the fit reports no accuracy over {EPOCHS} epochs"
    fall, move = float((loss[0] - loss[-1]) / max(abs(loss[0]), 1e-30)), float(np.ptp(accuracy))
    against = accuracy[0] >= KNOWN and accuracy[-1] < SUNK * accuracy[0]
    if fall < FALL or not (against or (move <= MOVE and accuracy[-1] <= HIGH)):
        return []
    what = f"sank from {accuracy[0]:.3f} to" if against else "stayed at"
    said = f"The loss fell by {100 * fall:.0f} %, the {metric} {what} {accuracy[-1]:.3f}."
    return [
        Finding(
            severity=Severity.WARNING,
            summary=said,
            layers=(),
            starts_at="",
            since=int(ends[0]),
            quantity=f"{metric} now / at first" if against else f"range of the {metric}",
            measured=float(accuracy[-1] / accuracy[0]) if against else move,
            threshold=SUNK if against else MOVE,
            samples=len(accuracy),
            causes=(
                *(("a loss whose sign is flipped: what it rewards is to be wrong",) if against else ()),
                "a last activation whose predictions are not those of the loss",
                "a loss that is mostly a penalty on the weights",
                "classes so uneven that the constant prediction is learnt",
            ),
            remedies=("check_loss", "use_sigmoid") if against else ("use_sigmoid", "check_loss", "weigh_classes"),
            shown=bool(against),
        )
    ]
