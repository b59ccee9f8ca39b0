"""A run and its diagnosis for the terminal: tables of layers in depth order, the input on top."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import numpy as np
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kerasgrad.finding import WIDTH, Diagnosis, Finding, Severity, counted
from kerasgrad.run import Run

BAR = 10
"""Length of a full bar; each block less is a factor of ten less than the largest layer."""

ROWS = 40
"""Layers at most that stand below a diagnosis; `print(run)` has all."""
NAMED = 4
"""Layers that are named in a line before the rest is counted."""

NAME = 12
"""Columns that the name of a layer gets at least."""

NOTHING = "-"


def report(run: Run) -> str:
    """The report of a run: what each layer received at its last sample.

    Args:
        run: any run.

    Returns:
        Plain text, at most `WIDTH` columns.
    """
    return plain(Group(_heading(run), _layers(run), *_notes(run)))


def show(run: Run, diagnosis: Diagnosis | None = None, file: TextIO | None = None) -> None:
    """Prints the report, with colours where a person reads it and as plain text where a file or a pipe does.

    Args:
        run: any run.
        diagnosis: what the rules say of it: printed first, and its layers are marked in the table.
        file: where to; standard output if None.
    """
    console = Console(file=file, highlight=False, force_jupyter=False)
    judged = [] if diagnosis is None else [Text(findings(diagnosis) + "\n")]
    for text in judged:
        for word, style in _STYLES.items():
            text.highlight_regex(rf"(?m)^{word.upper()} .*$", style)
    whole = Group(*judged, _heading(run), _layers(run, _marked(diagnosis)), *_notes(run))
    if console.is_terminal:
        console.print(whole)
    else:
        print(plain(whole), file=file)


def judgement(diagnosis: Diagnosis) -> str:
    """The report of a diagnosis: its findings, and below them the layers with what reaches each.

    Args:
        diagnosis: of a run, or an audit, which has no signal to show.

    Returns:
        Plain text, at most `WIDTH` columns.
    """
    parts = [findings(diagnosis)]
    if any(value > 0 for value in diagnosis.signal.values()):
        parts.append(plain(_bars(diagnosis)).lstrip("\n"))
    return "\n\n".join(parts)


def findings(diagnosis: Diagnosis) -> str:
    """Each cause with its layers, evidence and remedies, below it what follows from it; then what was not examined."""
    described = (_described(finding, diagnosis.consequences(finding)) for finding in diagnosis.roots)
    parts = [_judged(diagnosis), *described]
    lines = [_wrapped(line) for line in reasons(diagnosis.not_examined, len(diagnosis.not_examined))]
    return "\n\n".join([*parts, *(["\n".join(lines)] if lines else [])])


def _judged(diagnosis: Diagnosis) -> str:
    standing = [finding for finding in diagnosis.roots if finding.withdrawn is None]
    following = len(diagnosis.of(Severity.NOTE)) - len(standing)
    counts = [(len([f for f in standing if f.severity == s]), str(s)) for s in reversed(Severity)]
    found = ", ".join(counted(n, word) for n, word in counts if n) or "nothing found"
    found += f", {following} more {'follows' if following == 1 else 'follow'}" if following else ""
    over = f", steps {diagnosis.steps[0]} to {diagnosis.steps[1]}" if diagnosis.steps else ""
    rules = f"rules: {len(diagnosis.examined)}, samples: {diagnosis.samples}{over}" if diagnosis.samples else "no samples"
    return f"{diagnosis.model}: {found} ({rules})"


def _described(finding: Finding, consequences: Sequence[Finding] = ()) -> str:
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
    heading = f"{str(finding.severity).upper()} {finding.title}"
    following = (_wrapped(f"{f.severity} {f.title}: {f.summary}", "    ") for f in consequences)
    return "\n".join([heading, *(_wrapped(line) for line in lines if line), *following])


def _wrapped(text: str, indent: str = "  ") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)


def _bars(diagnosis: Diagnosis) -> RenderableType:
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
    names = short(paths)
    for row in shown:
        name = Text(cropped(names[row], WIDTH - BAR - 24))
        found = [Text(marks.get(paths[row], ""))] if marks else []
        table.add_row(*found, name, number(signal[row]), bar(signal[row], signal))
    return Group(table, Text(f"{some}{_legend(marks)}"))


_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold"}
_MARKS = {"error": "✖", "warning": "▲", "note": "●"}


def _marked(diagnosis: Diagnosis | None) -> dict[str, str]:
    """The gravest standing finding of each layer as a mark; with a star where it starts."""
    marks: dict[str, str] = {}
    for finding in diagnosis.of(Severity.NOTE) if diagnosis is not None else ():
        for path in filter(None, (*finding.layers, finding.starts_at)):
            marks.setdefault(path, _MARKS[str(finding.severity)] + ("*" if path == finding.starts_at else ""))
    return marks


def _legend(marks: Mapping[str, str]) -> str:
    meaning = "✖ error, ▲ warning, ● note, * where it starts; " if marks else ""
    return meaning + "bar: signal, one block less for each factor of ten below the largest"


def number(value: float) -> str:
    """A number with three significant digits, `-` where there is none."""
    if np.isnan(value):
        return NOTHING
    if value == 0 or 1e-2 <= abs(value) < 1e4:
        return f"{value:.3g}"
    return f"{value:.1e}"


def share(value: float) -> str:
    """A share as a percentage, `-` where there is none."""
    return NOTHING if np.isnan(value) else f"{100 * value:.0f} %"


def bar(value: float, among: Any) -> str:
    """A bar that loses one block for each factor of ten below the largest of `among`."""
    finite = among[np.isfinite(among) & (among > 0)]
    if not np.isfinite(value) or value <= 0 or not len(finite):
        return "" if not np.isinf(value) else "!" * BAR
    return "█" * max(0, round(BAR + float(np.log10(value / finite.max()))))


def plain(renderable: RenderableType) -> str:
    """What rich draws as plain text, at most `WIDTH` columns."""
    out = io.StringIO()
    # In a notebook rich would hand it to the notebook, and leave the text empty.
    console = Console(
        file=out, width=WIDTH, force_terminal=False, force_jupyter=False, color_system=None, legacy_windows=False
    )
    console.print(renderable)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def last(values: Any) -> float:
    """The newest number that is one."""
    given = values[~np.isnan(values)]
    return float(given[-1]) if len(given) else float("nan")


def _shown(run: Run) -> int:
    """The sample that the report is about: the last, or the last one whose gradients loss scaling did not throw away."""
    kept = np.flatnonzero(run.overall("loss_scale_overflow") != 1)
    return int(kept[-1]) if len(kept) else len(run) - 1


def _cell(column: Any, sample: int, form: Any) -> str:
    """A number of that sample; `nan` where it was measured and is none, `-` where it never was."""
    value = float(column[sample])
    return "nan" if np.isnan(value) and not np.isnan(column).all() else str(form(value))


def _heading(run: Run) -> Text:
    where = run.facts.get("directory") or "in memory"
    rows = f"{counted(len(run.layers), 'layer')}, {counted(len(run.variables), 'variable')}"
    lines = [f"{run.facts.get('model', 'model')}: {rows}, {where}"]
    if not len(run):
        return Text(lines[0] + "\nNo sample yet.")
    loss = run.overall("loss")
    over = f"step {run.steps[0]}" if len(run) == 1 else f"steps {run.steps[0]} to {run.steps[-1]}"
    what, now = f"{counted(len(run), 'sample')}, {over}", _shown(run)
    batch = run.overall("examples")
    if not np.isnan(batch).all():
        what += f", batches of {np.nanmedian(batch):.0f}"
    before = "" if len(run) == 1 else f"{number(float(loss[0]))} -> "
    fell = f"loss {before}{_cell(loss, -1, number)}"
    norm, dead = (_cell(run.overall(n), now, f) for n, f in (("gradient_norm", number), ("dead_fraction", share)))
    lines.append(f"{what}; {fell}; gradient norm {norm}; dead units {dead}")
    ratio, factor = last(run.overall("depth_ratio")), last(run.overall("decay_factor"))
    if not np.isnan(ratio):
        lines.append(
            f"On its way from the output to the input a layer leaves {number(factor)} of the signal; "
            f"the first quarter of the layers gets {number(ratio)} of what the last gets."
        )
    return Text("\n".join(lines))


COLUMNS = (
    ("gradient", "gradient_norm", number, 8),
    ("signal", "signal_rms", number, 7),
    ("update/w", "update_ratio", number, 8),
    ("act. mean", "activation_mean", number, 9),
    ("std", "activation_std", number, 7),
    ("zeros", "activation_zeros", share, 5),
    ("dead", "dead_fraction", share, 5),
    ("saturated", "saturated_fraction", share, 9),
)
"""Heading, statistic, how it is written, and the width that it needs."""


def _layers(run: Run, marks: Mapping[str, str] | None = None) -> RenderableType:
    if not len(run):
        return Text("")
    tables = {name: run.table(name, "layer") for _, name, _, _ in COLUMNS}
    shown = [column for column in COLUMNS if not np.isnan(tables[column[1]]).all()]
    signal, now = tables["signal_rms"][_shown(run)], _shown(run)
    cells: dict[str, list[str]] = {"activation": list(run.schema.activations)}
    for heading, name, form, width in shown:
        cells[heading.rjust(width)] = [_cell(column, now, form) for column in tables[name].T]
        if name == "signal_rms":
            cells[" " * BAR] = [bar(value, signal) for value in signal]
    found = {"  ": [(marks or {}).get(path, "") for path in run.layers]} if marks else {}
    taken = sum(max(map(len, (heading, *column))) for heading, column in (found | cells).items())
    paths, among = short(run.layers), len(found | cells) + 1
    needed = min(NAME, max(map(len, ("layer", *paths))))
    # Where three blanks between columns leave no room for the names, there are two, or one: figures are never cut.
    rooms = {padding: WIDTH - taken - (1 + sum(padding)) * among - 1 for padding in ((1, 1), (1, 0), (0, 0))}
    (right, left), room = next((one for one in rooms.items() if one[1] >= needed), ((0, 0), NAME))
    table = Table(box=box.SIMPLE_HEAD, caption=_legend(marks or {}), caption_justify="left", padding=(0, right, 0, left))
    names = {"layer": [cropped(path, room) for path in paths]}
    for heading in found | names | cells:
        number_like = heading.strip() in {one[0] for one in shown}
        table.add_column(heading, justify="right" if number_like else "left", no_wrap=True)
    for row in zip(*(found | names | cells).values(), strict=True):
        table.add_row(*map(Text, row))
    return table


def cropped(path: str, room: int) -> str:
    """A path with its end kept, which tells layers apart."""
    return path if len(path) <= room else "…" + path[len(path) - room + 1 :]


def short(paths: tuple[str, ...]) -> list[str]:
    """Paths without the folder that all of them are in."""
    folders = [path.split("/")[:-1] for path in paths]
    shared = 0
    while folders and all(len(f) > shared and f[shared] == folders[0][shared] for f in folders):
        shared += 1
    return ["/".join(path.split("/")[shared:]) for path in paths]


def _notes(run: Run) -> list[Text]:
    lines = [*_bad_numbers(run), *reasons(run.not_examined)]
    if run.kept_every > 1:
        lines.append(f"in memory every {run.kept_every}th sample is kept, evenly thinned; the event file has all")
    overflows = run.facts.get("loss_scale_overflows", 0)
    if overflows:
        lines.append(f"loss scaling overflowed at {overflows} samples and skipped their updates, as it should")
    lines += [f"damaged: {what}" for what in run.facts.get("damaged", [])]
    lines += list(run.facts.get("notes", []))
    return [Text(line) for line in lines]


def _bad_numbers(run: Run) -> list[str]:
    """Where NaN or infinity was met first."""
    lines = []
    for what in ("activation", "gradient"):
        found = run.table(f"{what}_nonfinite", "layer") > 0
        if found.any():
            first = int(np.flatnonzero(found.any(axis=1))[0])
            where = [short(run.layers)[row] for row in np.flatnonzero(found[first])]
            lines.append(f"NaN or infinity in the {what} of {len(where)} layers since step {run.steps[first]}: {few(where)}")
    return lines


def reasons(not_examined: Mapping[str, str], most: int = NAMED) -> list[str]:
    """The layers, or rules, that share a reason, in one line."""
    grouped: dict[str, list[str]] = {}
    for path, reason in not_examined.items():
        grouped.setdefault(reason, []).append(path)
    return [f"not examined: {few(paths, most)}: {reason}" for reason, paths in grouped.items()]


def few(paths: list[str], most: int = NAMED) -> str:
    """The first names, and how many more there are."""
    return ", ".join(paths[:most]) + (f" and {len(paths) - most} more" if len(paths) > most else "")
