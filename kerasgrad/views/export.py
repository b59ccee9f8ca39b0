"""A run as a plain table for other programs: CSV or Parquet, one number a line or one step a line."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np

from kerasgrad import catalogue
from kerasgrad.run import Run

LONG = ("step", "wall_time", "of", "row", "statistic", "value")
"""The columns of a long table."""


def to_csv(run: Run, path: str | os.PathLike[str], *, wide: bool = False) -> None:
    """Writes all numbers of a run as CSV.

    Statistics that have no number in the whole run are left out; what was not measured at a step is an empty cell.

    Args:
        run: any run.
        path: of the file, which is written anew.
        wide: one line a step with a column for each row and statistic (`layer/dense/signal_rms`), instead of one line a
            number with the columns of `LONG`.
    """
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        write_csv(run, file, wide=wide)


def write_csv(run: Run, file: TextIO, *, wide: bool = False) -> None:
    """The same into an open file."""
    table = columns(run, wide=wide)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow([_cell(value) for value in row])


def to_parquet(run: Run, path: str | os.PathLike[str], *, wide: bool = False) -> None:
    """The same as Parquet.

    Raises:
        ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install pyarrow") from error
    parquet.write_table(pyarrow.table(columns(run, wide=wide)), path)


def columns(run: Run, *, wide: bool = False) -> dict[str, Any]:
    """The table by column: arrays of the same length.

    Args:
        run: any run.
        wide: see `to_csv`.

    Returns:
        int64 steps, float64 seconds since 1970, float32 values, and text.
    """
    if wide:
        numbers = {f"{of}/{row}/{name}": values for of, name, row, values in _series(run)}
        return {"step": run.steps, "wall_time": run.wall_time} | numbers
    series = list(_series(run))
    count = len(series)
    texts = {"of": [one[0] for one in series], "row": [one[2] for one in series], "statistic": [one[1] for one in series]}
    values = np.stack([values for *_, values in series]) if series else np.empty((0, len(run)), np.float32)
    return {
        "step": np.tile(run.steps, count), "wall_time": np.tile(run.wall_time, count),
        **{name: np.repeat(np.array(text, object), len(run)) for name, text in texts.items()},
        "value": values.reshape(-1),
    }  # fmt: skip


def _series(run: Run) -> Iterator[tuple[str, str, str, Any]]:
    """Kind, statistic, row and numbers of everything that the run has."""
    rows: dict[catalogue.Of, tuple[str, ...]] = {"layer": run.layers, "variable": run.variables, "overall": ("model",)}
    for of, name in ((kind, name) for kind in rows for name in run.schema.names(kind)):
        table = run.table(name, of).reshape(len(run), -1)
        if np.isnan(table).all():
            continue
        for row, values in zip(rows[of], table.T, strict=True):
            yield of, name, row, values


def _cell(value: Any) -> Any:
    """A number in the digits that it has, nothing where there is none."""
    if not isinstance(value, np.floating):
        return value
    return "" if np.isnan(value) else str(value)
