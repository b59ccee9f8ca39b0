"""Several runs in one table, their layers aligned by relative depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from kerasgrad.run import Run
from kerasgrad.views import heatmap_cells, text, writing
from kerasgrad.views.labels import labels

LABEL = 12
"""Columns that the name of a layer gets at least."""

OVERALL = (
    ("decay_factor", "a layer leaves"),
    ("depth_ratio", "first / last"),
    ("dead_fraction", "dead units"),
    ("loss", "loss"),
)
"""What is said of each whole run in such a table, and how it is called."""

SCALES = ("gamma", "beta", "scale", "alpha")
"""How Keras names the variables of normalisations and of PReLU."""


def side_by_side(runs: Mapping[str, Run], columns: int | None = None) -> str:
    """Several runs in one table: what reaches each layer of the first, and the others' layers at the same relative depth.

    Args:
        runs: runs by the name to show.
        columns: how wide it may be; as wide as the terminal, at most `WIDTH`, if None. Bars go where it is narrow.

    Returns:
        Plain text.
    """
    wide = columns or writing.width()
    barred = wide >= LABEL + len(runs) * (text.BAR + 16) + 4
    table = Table(
        box=box.SIMPLE_HEAD, title="Signal (RMS of dL/da) at each layer's output, the input on top", title_justify="left"
    )
    table.add_column("layer", justify="right", no_wrap=True)
    rows = {name: learning_rows(run) for name, run in runs.items()}
    shown = {name: newest(run, "signal_rms")[rows[name]] for name, run in runs.items()}
    for name in runs:
        table.add_column(writing.printable(name), justify="right", min_width=8)
        if barred:
            table.add_column("", min_width=text.BAR, no_wrap=True)
    first = next(iter(runs), None)
    room = max(LABEL, wide - len(runs) * (16 + barred * text.BAR) - 4)
    named = [] if first is None else [labels(runs[first].layers, room)[row] for row in rows[first]]
    beside = {name: nearest(len(named), len(signal)) for name, signal in shown.items()}
    for depth, label in enumerate(named):
        texts: list[str] = []
        for name, signal in shown.items():
            value = signal[beside[name][depth]]
            texts += [text.number(value), *([text.bar(value, signal)] if barred else [])]
        table.add_row(Text(label), *texts)
    table.add_section()
    for statistic, label in OVERALL:
        texts = []
        for run in runs.values():
            value = text.last(run.overall(statistic))
            texts += [text.share(value) if statistic == "dead_fraction" else text.number(value), *([""] if barred else [])]
        table.add_row(label, *texts)
    return text.plain(table, wide)


def learning_rows(run: Run) -> Any:
    """Rows of the layers that own weights which mix units, int `[rows]` in depth order; all layers where none does.

    Normalisations have a row too, but their scales and offsets are as few as units: nets with and without them are compared
    by the layers that both have.
    """
    mixing = [path.rpartition("/")[2] not in SCALES for path in run.variables]
    owners = np.unique([o for o, mixes in zip(run.schema.owners, mixing, strict=True) if mixes and o >= 0]).astype(int)
    return owners if len(owners) else np.arange(len(run.layers))


def nearest(count: int, among: int) -> Any:
    """For each of `count` layers that of `among` others at the nearest relative depth: int `[count]`."""
    return np.rint(np.linspace(0, among - 1, count) if count > 1 else np.full(count, among - 1)).astype(int)


def newest(run: Run, statistic: str) -> Any:
    """The newest value of each layer.

    Args:
        run: a run with at least one sample.
        statistic: of the layers.

    Returns:
        float64 `[layers]`: infinite where it was measured and is no number, NaN where there is none.
    """
    table = run.table(statistic, "layer").copy()
    table[heatmap_cells.bad(table, run.table(heatmap_cells.witness(statistic), "layer"))] = np.inf
    kept = run.overall("loss_scale_overflow") != 1  # what loss scaling throws away says nothing
    return np.array([text.last(column) for column in (table[kept] if kept.any() else table).T])
