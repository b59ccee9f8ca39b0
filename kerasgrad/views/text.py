"""A run and its diagnosis for the terminal: tables of layers in depth order, the input on top."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

import numpy as np
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kerasgrad.finding import WIDTH, Diagnosis, Finding, Severity, counted
from kerasgrad.run import Run
from kerasgrad.views.labels import cropped, labels, short
from kerasgrad.views.layer_table import COLUMNS, cell, layers, legend, shown_sample
from kerasgrad.views.writing import (
    BAR,
    NAMED,
    NARROW,
    NOTHING,
    bar,
    encodable,
    few,
    filled,
    last,
    number,
    plain,
    printable,
    share,
    width,
)  # fmt: skip

__all__ = [
    "BAR", "COLUMNS", "NAMED", "NOTHING", "WIDTH", "bar", "cropped", "few", "findings", "judgement", "last", "number",
    "plain", "reasons", "report", "share", "short", "show",
]  # fmt: skip

ROWS = 40
"""Layers at most that stand below a diagnosis; `print(run)` has all."""


def report(run: Run, columns: int | None = None) -> str:
    """The report of a run: what each layer received at its last sample.

    Args:
        run: any run.
        columns: how wide it may be; that of the terminal, at most `WIDTH`, if None.

    Returns:
        Plain text.
    """
    wide = columns or width()
    return plain(Group(_heading(run, wide), layers(run, wide), *_notes(run, wide)), wide)


def show(run: Run, diagnosis: Diagnosis | None = None, file: TextIO | None = None) -> None:
    """Prints the report, with colours where a person reads it and as plain text where a file or a pipe does.

    Args:
        run: any run.
        diagnosis: what the rules say of it: printed first, and its layers are marked in the table.
        file: where to; standard output if None.
    """
    console = Console(file=file, highlight=False, force_jupyter=False)
    wide = max(NARROW, min(WIDTH, console.width)) if console.is_terminal else WIDTH
    judged = [] if diagnosis is None else [Text(findings(diagnosis, wide) + "\n")]
    for text in judged:
        for word, style in _STYLES.items():
            text.highlight_regex(rf"(?m)^{word.upper()} .*$", style)
    whole = Group(*judged, _heading(run, wide), layers(run, wide, _marked(diagnosis)), *_notes(run, wide))
    written = plain(whole, wide)
    encoding = getattr(file or sys.stdout, "encoding", None)
    if console.is_terminal and encodable(written, encoding) == written:
        console.print(whole, width=wide)
    else:
        print(encodable(written, encoding), file=file)


def judgement(diagnosis: Diagnosis) -> str:
    """The report of a diagnosis: its findings, and below them the layers with what reaches each.

    Args:
        diagnosis: of a run, or an audit, which has no signal to show.

    Returns:
        Plain text, as wide as the terminal, at most `WIDTH` columns.
    """
    wide = width()
    parts = [findings(diagnosis, wide)]
    if any(value > 0 for value in diagnosis.signal.values()):
        parts.append(plain(_bars(diagnosis, wide), wide).lstrip("\n"))
    return "\n\n".join(parts)


def findings(diagnosis: Diagnosis, columns: int = WIDTH) -> str:
    """Each cause with its layers, evidence and remedies, below it what follows from it; then what was not examined."""
    described = (_described(finding, diagnosis.consequences(finding), columns=columns) for finding in diagnosis.roots)
    parts = [_judged(diagnosis), *described]
    lines = [_wrapped(line, columns) for line in reasons(diagnosis.not_examined, len(diagnosis.not_examined))]
    return "\n\n".join([*parts, *(["\n".join(lines)] if lines else [])])


def _judged(diagnosis: Diagnosis) -> str:
    standing = [finding for finding in diagnosis.roots if finding.withdrawn is None]
    following = len(diagnosis.of(Severity.NOTE)) - len(standing)
    counts = [(len([f for f in standing if f.severity == s]), str(s)) for s in reversed(Severity)]
    found = ", ".join(counted(n, word) for n, word in counts if n) or "nothing found"
    found += f", {following} more {'follows' if following == 1 else 'follow'}" if following else ""
    over = f", steps {diagnosis.steps[0]} to {diagnosis.steps[1]}" if diagnosis.steps else ""
    rules = f"rules: {len(diagnosis.examined)}, samples: {diagnosis.samples}{over}" if diagnosis.samples else "no samples"
    return f"{printable(diagnosis.model)}: {found} ({rules})"


def _described(finding: Finding, consequences: Sequence[Finding], *, columns: int) -> str:
    """A finding as a paragraph, what follows from it in a line each."""
    lines = [
        finding.beginning,
        finding.summary,
        f"layers: {few(list(finding.layers))}" if len(finding.layers) > 2 else "",
        f"measured: {finding.evidence}" if finding.evidence else "",
        *(f"({letter}) {cause}" for letter, cause in zip("abcdefgh", finding.causes, strict=False)),
        f"remedies: {', '.join(finding.remedies)}" if finding.remedies else "",
        "follows from it:" if consequences else "",
    ]
    heading = printable(f"{str(finding.severity).upper()} {finding.title}")
    following = (_wrapped(f"{f.severity} {f.title}: {f.summary}", columns, indent="    ") for f in consequences)
    return "\n".join([heading, *(_wrapped(line, columns) for line in lines if line), *following])


def _wrapped(text: str, columns: int, *, indent: str = "  ") -> str:
    return filled(text, columns, first=indent, then=f"{indent}  ")


def _bars(diagnosis: Diagnosis, columns: int) -> RenderableType:
    """The signal of each layer as a bar, the layers of findings marked; of deep nets `ROWS` layers, evenly."""
    paths, signal = tuple(diagnosis.signal), np.array(list(diagnosis.signal.values()))
    starts = [paths.index(f.starts_at) for f in diagnosis.of(Severity.NOTE) if f.starts_at in paths]
    evenly = np.linspace(0, len(paths) - 1, min(ROWS, len(paths))).round().astype(int)
    shown, marks = np.unique([*evenly, *starts]).astype(int), _marked(diagnosis)
    some = f"{len(shown)} of {len(paths)} layers, print(run) has all; " if len(shown) < len(paths) else ""
    table = Table(box=box.SIMPLE_HEAD)
    if marks:
        table.add_column("", width=2)
    table.add_column("layer", no_wrap=True)
    table.add_column("signal", justify="right", no_wrap=True)
    table.add_column("", min_width=BAR, no_wrap=True)
    names = labels(paths, columns - BAR - 24)
    for row in shown:
        name = Text(names[row])
        found = [Text(marks.get(paths[row], ""))] if marks else []
        table.add_row(*found, name, number(signal[row]), bar(signal[row], signal))
    return Group(table, Text(f"{some}{legend(marks)}"))


_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold"}
_MARKS = {"error": "✖", "warning": "▲", "note": "●"}


def _marked(diagnosis: Diagnosis | None) -> dict[str, str]:
    """The gravest standing finding of each layer as a mark; with a star where it starts."""
    marks: dict[str, str] = {}
    for finding in diagnosis.of(Severity.NOTE) if diagnosis is not None else ():
        for path in filter(None, (*finding.layers, finding.starts_at)):
            marks.setdefault(path, _MARKS[str(finding.severity)] + ("*" if path == finding.starts_at else ""))
    return marks


def _heading(run: Run, columns: int) -> Text:
    where = run.facts.get("directory") or "in memory"
    rows = f"{counted(len(run.layers), 'layer')}, {counted(len(run.variables), 'variable')}"
    lines = [printable(f"{run.facts.get('model', 'model')}: {rows}, {where}")]
    if not len(run):
        return Text(filled(lines[0], columns) + "\nNo sample yet.")
    loss = run.overall("loss")
    over = f"step {run.steps[0]}" if len(run) == 1 else f"steps {run.steps[0]} to {run.steps[-1]}"
    what, now = f"{counted(len(run), 'sample')}, {over}", shown_sample(run)
    batch = run.overall("examples")
    if not np.isnan(batch).all():
        what += f", batches of {np.nanmedian(batch):.0f}"
    before = "" if len(run) == 1 else f"{number(float(loss[0]))} -> "
    fell = f"loss {before}{cell(loss, -1, number)}"
    norm, dead = (cell(run.overall(n), now, f) for n, f in (("gradient_norm", number), ("dead_fraction", share)))
    lines.append(f"{what}; {fell}; gradient norm {norm}; dead units {dead}")
    ratio, factor = last(run.overall("depth_ratio")), last(run.overall("decay_factor"))
    if not np.isnan(ratio):
        lines.append(
            f"On its way from the output to the input a layer leaves {number(factor)} of the signal; "
            f"the first quarter of the layers gets {number(ratio)} of what the last gets."
        )
    return Text("\n".join(filled(line, columns) for line in lines))


def _notes(run: Run, columns: int) -> list[Text]:
    lines = [*_bad_numbers(run), *reasons(run.not_examined)]
    if run.kept_every > 1:
        lines.append(f"in memory every {run.kept_every}th sample is kept, evenly thinned; the event file has all")
    overflows = run.facts.get("loss_scale_overflows", 0)
    if overflows:
        lines.append(f"loss scaling overflowed at {overflows} samples and skipped their updates, as it should")
    lines += [f"damaged: {what}" for what in run.facts.get("damaged", [])]
    lines += list(run.facts.get("notes", []))
    return [Text(filled(line, columns)) for line in lines]


def _bad_numbers(run: Run) -> list[str]:
    """Where NaN or infinity was met first."""
    lines = []
    for what in ("activation", "gradient"):
        found = run.table(f"{what}_nonfinite", "layer") > 0
        if found.any():
            first = int(np.flatnonzero(found.any(axis=1))[0])
            where = [labels(run.layers)[row] for row in np.flatnonzero(found[first])]
            lines.append(f"NaN or infinity in the {what} of {len(where)} layers since step {run.steps[first]}: {few(where)}")
    return lines


def reasons(not_examined: Mapping[str, str], most: int = NAMED) -> list[str]:
    """The layers, or rules, that share a reason, in one line."""
    grouped: dict[str, list[str]] = {}
    for path, reason in not_examined.items():
        grouped.setdefault(reason, []).append(path)
    return [f"not examined: {few(paths, most)}: {printable(reason)}" for reason, paths in grouped.items()]
