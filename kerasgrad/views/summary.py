"""Many runs, one line each, the worst first."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kerasgrad.finding import Diagnosis, Severity, counted
from kerasgrad.run import Run
from kerasgrad.views import writing
from kerasgrad.views.writing import number, plain, printable, share

_NAN = float("nan")
_FIGURES = 56
"""Columns that the figures of a line take."""


@dataclass(frozen=True)
class Line:
    """What is said of one run.

    Attributes:
        run: its name.
        severity: of its gravest finding that stands, `""` where there is none.
        finding: that finding's rule: the root, since causes come before symptoms.
        starts_at: the layer where it starts.
        loss: the newest one.
        accuracy: the newest one that was logged, NaN where none was.
        depth_ratio: the newest one.
        dead_fraction: the newest one.
        steps: training steps so far.
        samples: how many of them were observed.
        reason: why it could not be judged, `""` where it was.
    """

    run: str
    severity: str = ""
    finding: str = ""
    starts_at: str = ""
    loss: float = _NAN
    accuracy: float = _NAN
    depth_ratio: float = _NAN
    dead_fraction: float = _NAN
    steps: int = 0
    samples: int = 0
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON: None where there is no number, `"inf"` and `"-inf"` in words."""
        return {name: _json(value) for name, value in asdict(self).items()}


def line(name: str, run: Run, diagnosis: Diagnosis) -> Line:
    """Sums a run up.

    Args:
        name: of the run.
        run: the run.
        diagnosis: what the rules say of it.

    Returns:
        Its line.
    """
    standing = diagnosis.of(Severity.NOTE)
    root = standing[0] if standing else None
    newest = {s: writing.last(run.overall(s)) for s in ("loss", "depth_ratio", "dead_fraction")}
    judged = bool(diagnosis.examined or standing)
    return Line(
        name, severity=str(root.severity) if root else "", finding=root.rule if root else "",
        starts_at=root.starts_at if root else "", accuracy=_accuracy(run), **newest,
        steps=int(run.facts.get("batches") or (run.steps[-1] + 1 if len(run) else 0)), samples=len(run),
        reason="" if judged else "there is no sample yet" if not len(run) else "no rule could judge it",
    )  # fmt: skip


def worst_first(lines: Iterable[Line]) -> list[Line]:
    """The order of a summary: by severity, what could not be judged before what is well, then by name."""

    def rank(one: Line) -> tuple[int, str]:
        grave = Severity[one.severity.upper()].value if one.severity else 0
        return -2 * grave - (1 if one.reason else 0), one.run

    return sorted(lines, key=rank)


def table(lines: Sequence[Line], columns: int | None = None) -> str:
    """The lines as text.

    Args:
        lines: in the order in which they are to stand.
        columns: how wide it may be; as wide as the terminal if None.

    Returns:
        Plain text; figures are never cut, findings and layers give way.
    """
    wide = columns or writing.width()
    sick = sum(one.severity in ("warning", "error") for one in lines)
    with_accuracy = any(not math.isnan(one.accuracy) for one in lines)
    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    drawn.add_column("run", overflow="fold")
    drawn.add_column("worst finding", overflow="fold", ratio=1 if wide < 100 else None)
    for heading in ("loss", *(["accuracy"] if with_accuracy else []), "first / last", "dead", "steps"):
        drawn.add_column(heading, justify="right", no_wrap=True, min_width=max(7, len(heading)))
    for one in lines:
        figures = [number(one.loss), *([number(one.accuracy)] if with_accuracy else [])]
        figures += [number(one.depth_ratio), share(one.dead_fraction), str(one.steps)]
        drawn.add_row(Text(printable(one.run)), Text(_verdict(one)), *figures)
    return f"{counted(len(lines), 'run')}, {sick} with warnings or errors\n{plain(drawn, wide)}"


def _verdict(one: Line) -> str:
    if one.reason and not one.severity:
        return f"not judged: {printable(one.reason)}"
    if not one.severity:
        return "nothing found"
    return printable(f"{one.severity.upper()} {one.finding}" + (f" at {one.starts_at}" if one.starts_at else ""))


def to_csv(lines: Sequence[Line]) -> str:
    """The lines as CSV with a heading; an empty cell where there is no number."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(Line.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows({n: "" if v is None else v for n, v in one.to_dict().items()} for one in lines)
    return out.getvalue()


def _accuracy(run: Run) -> float:
    """The newest accuracy in the logs of the epochs, that of the validation first."""
    history = run.facts.get("history")
    columns = history if isinstance(history, dict) else {}
    names = sorted((n for n in columns if "acc" in n), key=lambda n: (not n.startswith("val_"), len(n)))
    for name in names:
        given = [value for value in columns[name] if isinstance(value, int | float)]
        if given:
            return float(given[-1])
    return _NAN


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
