"""The table of layers in depth order, as wide as there is room: what matters most stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kerasgrad.run import Run
from kerasgrad.views.labels import labels
from kerasgrad.views.writing import BAR, bar, number, printable, share

NAME = 32
"""Columns that the name of a layer gets, if it needs them, before a column of figures goes."""
NAME_AT_LEAST = 12

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

GOES_FIRST = (
    "activation_mean", "activation_std", "activation_zeros", "activation", "saturated_fraction", "dead_fraction",
    "update_ratio", "bar",
)  # fmt: skip
"""What goes, one after the other, where a window is too narrow for all; the signal and the gradient always stay."""


@dataclass(frozen=True)
class _Column:
    """One column of the table: its figures are never cut."""

    key: str
    heading: str
    cells: list[str]
    right: bool

    @property
    def width(self) -> int:
        return max(map(len, (self.heading, *self.cells)))


def layers(run: Run, columns: int, marks: Mapping[str, str] | None = None) -> RenderableType:
    """The layers of a run at its last sample.

    Args:
        run: any run.
        columns: how wide it may be.
        marks: signs of the layers that findings name.

    Returns:
        For rich to draw; no cell is wider than its column.
    """
    if not len(run):
        return Text("")
    given, dropped = _columns(run, marks or {}), []
    wanted = min(NAME, max(map(len, ("layer", *labels(run.layers)))))
    candidates = [key for key in GOES_FIRST if key in {column.key for column in given}]
    padding, room = _room(given, columns, wanted)
    while room < wanted and candidates:
        key = candidates.pop(0)
        dropped += [column.heading.strip() for column in given if column.key == key and key != "bar"]
        given = [column for column in given if column.key != key]
        padding, room = _room(given, columns, wanted)
    names = _Column("layer", "layer", labels(run.layers, max(room, NAME_AT_LEAST)), False)
    place = 1 if marks else 0
    legend = _legend(marks or {}, any(column.key == "bar" for column in given), dropped)
    return Group(_drawn([*given[:place], names, *given[place:]], padding), Text(legend))


def shown_sample(run: Run) -> int:
    """The sample that a report is about: the last, or the last one whose gradients loss scaling did not throw away."""
    kept = np.flatnonzero(run.overall("loss_scale_overflow") != 1)
    return int(kept[-1]) if len(kept) else len(run) - 1


def cell(column: Any, sample: int, form: Callable[[float], str]) -> str:
    """A number of that sample; `nan` where it was measured and is none, `-` where it never was."""
    value = float(column[sample])
    return "nan" if np.isnan(value) and not np.isnan(column).all() else form(value)


def _legend(marks: Mapping[str, str], bars: bool, dropped: list[str]) -> str:
    lines = [legend(marks, bars)] if bars or marks else []
    lines += [f"not shown, for want of room: {', '.join(dropped)}"] if dropped else []
    return "\n".join(lines)


def legend(marks: Mapping[str, str], bars: bool = True) -> str:
    """What the signs and bars of a table mean."""
    parts = ["✖ error, ▲ warning, ● note, * where it starts"] if marks else []
    parts += ["bar: signal, one block less for each factor of ten below the largest"] if bars else []
    return "; ".join(parts)


def _columns(run: Run, marks: Mapping[str, str]) -> list[_Column]:
    """All columns of which the run has a number, but for the names."""
    now = shown_sample(run)
    tables = {name: run.table(name, "layer") for _, name, _, _ in COLUMNS}
    signal = tables["signal_rms"][now]
    given = [_Column("marks", "  ", [marks.get(path, "") for path in run.layers], False)] if marks else []
    given.append(_Column("activation", "activation", [printable(name) for name in run.schema.activations], False))
    for heading, name, form, width in COLUMNS:
        if np.isnan(tables[name]).all():
            continue
        given.append(_Column(name, heading.rjust(width), [cell(c, now, form) for c in tables[name].T], True))
        if name == "signal_rms":
            given.append(_Column("bar", " " * BAR, [bar(value, signal) for value in signal], False))
    return given


def _room(given: list[_Column], columns: int, wanted: int) -> tuple[tuple[int, int], int]:
    """The blanks right and left of each cell, and what is left for the names: where three blanks do not do, two or one."""
    taken, among = sum(column.width for column in given), len(given) + 1
    rooms = [((r, b), columns - taken - (1 + r + b) * among - 1) for r, b in ((1, 1), (1, 0), (0, 0))]
    return next((one for one in rooms if one[1] >= wanted), rooms[-1])


def _drawn(given: list[_Column], padding: tuple[int, int]) -> Table:
    right, left = padding
    table = Table(box=box.SIMPLE_HEAD, padding=(0, right, 0, left))
    for column in given:
        # With its width said, rich neither folds nor cuts it.
        table.add_column(
            Text(column.heading), justify="right" if column.right else "left", no_wrap=True, min_width=column.width
        )
    for row in zip(*(column.cells for column in given), strict=True):
        table.add_row(*map(Text, row))
    return table
