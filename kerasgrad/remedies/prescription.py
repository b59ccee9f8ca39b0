"""What `prescribe` gives: the best model and the table of what was tried. Its `repr` is the table."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from kerasgrad.finding import WIDTH, Diagnosis, Finding


@dataclass(eq=False)
class Trial:
    """One short training.

    Attributes:
        remedies: that were applied, in order; none for the model as it is.
        warnings: the findings that stand at its end, and those of the audit, that are warnings or errors.
        scores: held-out loss and metrics by name.
        changed: what the remedies changed.
        seconds: how long it took.
        batch_size: examples in a step.
        loss_function: name of the loss, by which losses can be compared.
        reason: why it was not trained, `""` if it was.
        left: ailments of the untreated model that it has still, and new errors.
        helps: whether it is better than the untreated model: fewer of these and no greater a loss; or, where a rule warned
            of its training, as many and a loss 5 % smaller.
    """

    remedies: tuple[str, ...]
    warnings: tuple[Finding, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    seconds: float = 0.0
    batch_size: int = 0
    loss_function: str = ""
    reason: str = ""
    left: int = 0
    helps: bool = False

    @property
    def loss(self) -> float:
        """Held-out loss, NaN if it was not trained."""
        return float(self.scores.get("loss", math.nan))

    @property
    def name(self) -> str:
        """The remedies in a line."""
        return " + ".join(self.remedies) or "as it is"

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; numbers that are not finite become words."""
        numbers = {name: float(value) for name, value in self.scores.items()}
        return {
            "remedies": list(self.remedies),
            "warnings": [finding.to_dict() for finding in self.warnings],
            "scores": {name: value if math.isfinite(value) else str(value) for name, value in numbers.items()},
            "changed": list(self.changed),
            "seconds": round(self.seconds, 2),
            "batch_size": self.batch_size,
            "reason": self.reason,
            "left": self.left,
            "helps": self.helps,
        }


@dataclass(frozen=True, eq=False)
class Prescription:
    """The best model and what was tried. As a condition it is true if something helps.

    Attributes:
        model: with the best remedies, not yet trained, ready for `fit`; the one that was given where nothing helps.
        best: the trial of these remedies; None where nothing helps.
        trials: the model as it is, then the others, the best first.
        diagnosis: of the model as it is.
        advice: remedies that only a person can follow; `kerasgrad.remedies.explain(name)` says how.
        reason: why the model is left as it is, `""` where it is not.
    """

    model: Any
    best: Trial | None
    trials: tuple[Trial, ...]
    diagnosis: Diagnosis
    advice: tuple[str, ...] = ()
    reason: str = ""

    def __bool__(self) -> bool:
        """Whether something helps."""
        return self.best is not None

    def __repr__(self) -> str:
        """The table of trials, and what to do."""
        lines = [f"{self.diagnosis.model}: {f'take {self.best.name}' if self.best else self.reason}"]
        if self.trials:
            lines.append(self._table())
        if any(trial.scores for trial in self.trials[1:]):
            lines.append(RANKED)
        if self.best is not None:
            lines += [f"  {line}" for line in self.best.changed[:SHOWN]]
            lines += [f"  and {len(self.best.changed) - SHOWN} more"] if len(self.best.changed) > SHOWN else []
            lines.append("prescription.model is the model with these changes, not yet trained.")
        if self.advice:
            lines.append(f"For a person to do: {', '.join(self.advice)}")
        return "\n".join(lines)

    def _table(self) -> str:
        table = Table(box=box.SIMPLE_HEAD)
        metrics = list(dict.fromkeys(name for trial in self.trials for name in trial.scores))
        for column in ("", "remedies", "warnings", *(f"held-out {name}" for name in metrics)):
            table.add_column(column, justify="right" if column.startswith("held-out") else "left")
        for trial in self.trials:
            rules = ", ".join(dict.fromkeys(f.rule for f in trial.warnings)) or "none"
            mark = "*" if trial is self.best else "+" if trial.helps else ""
            scores = [f"{trial.scores[name]:.4g}" if name in trial.scores else "" for name in metrics]
            table.add_row(mark, trial.name, trial.reason or rules, *scores)
        out = io.StringIO()
        # Plain text also where a notebook would take it, or asks for colours.
        Console(file=out, width=WIDTH, force_terminal=False, force_jupyter=False, color_system=None).print(table)
        return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").splitlines())

    def to_dict(self) -> dict[str, Any]:
        """All but the model, as plain values for JSON."""
        return {
            "best": None if self.best is None else self.best.to_dict(),
            "trials": [trial.to_dict() for trial in self.trials],
            "diagnosis": self.diagnosis.to_dict(),
            "advice": list(self.advice),
            "reason": self.reason,
        }


RANKED = "Ranked by the warnings of the model as it is that are left, then by held-out loss; * is taken, + helps, too."
SHOWN = 6
"""Changes that are listed before the rest is counted."""
