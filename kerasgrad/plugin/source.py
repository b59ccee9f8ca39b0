"""Runs as TensorBoard's data provider holds them -> plain values and arrays. Knows nothing of HTTP."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.data.provider import RunTagFilter

from kerasgrad.events import format
from kerasgrad.plugin.provided import EVERYTHING, Memory, NotServedError, Provided
from kerasgrad.run import Schema
from kerasgrad.views import heatmap_cells

__all__ = ["NotServedError", "Source", "Table"]

logger = logging.getLogger("kerasgrad")

HISTOGRAMS = 500
"""Samples read of a histogram tag, which has a row of bins for every layer."""

MEMORY_BYTES = 512 * 2**20
"""Above this the tables that were not asked for the longest are forgotten."""


@dataclass(frozen=True)
class Table:
    """One statistic of one run.

    Attributes:
        steps: step of each sample, float64 `[samples]`, rising.
        values: float32 `[samples, rows]`: infinite where it was measured and is no number, NaN where there is none.
    """

    steps: NDArray[np.float64]
    values: NDArray[np.float32]

    def after(self, step: float) -> Table:
        """The samples later than a step."""
        first = int(np.searchsorted(self.steps, step, side="right"))
        return Table(self.steps[first:], self.values[first:])

    def at(self, steps: NDArray[np.float64], missing: float = np.nan) -> NDArray[np.float32]:
        """The values at some steps, `missing` where there are none."""
        values = np.full((len(steps), self.values.shape[1]), missing, np.float32)
        _, here, there = np.intersect1d(steps, self.steps, assume_unique=True, return_indices=True)
        values[here] = self.values[there]
        return values

    def row(self, row: int, width: int = 1) -> Table:
        """One row, or one block of `width` rows.

        Raises:
            NotServedError: there is no such row.
        """
        count = self.values.shape[1] // width
        if not 0 <= row < count:
            raise NotServedError(f"There are {count} rows. Received: row={row}")
        return Table(self.steps, self.values[:, row * width : (row + 1) * width])

    def to_bytes(self) -> bytes:
        """Little-endian: uint32 samples, uint32 rows, float64 `[samples]` steps, float32 `[samples, rows]` values."""
        counts = np.array(self.values.shape, "<u4")
        return b"".join(part.tobytes() for part in (counts, self.steps.astype("<f8"), self.values.astype("<f4")))


class Source:
    """The runs of a log directory.

    Args:
        provider: TensorBoard's data provider, of either loader.
    """

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._cache: OrderedDict[tuple[str, str, str], tuple[Any, Table]] = OrderedDict()
        self._memories: dict[tuple[str, str], Memory] = {}
        self._lock = threading.RLock()

    def runs(self, context: Any, experiment: str) -> list[dict[str, Any]]:
        """All runs with what is needed to draw them, or the `reason` why they cannot be.

        Args:
            context: TensorBoard's request context.
            experiment: its experiment id.

        Returns:
            One dict a run, in the order of their names.
        """
        listed = self._listed(context, experiment)
        return [_described(name, self._provided((context, experiment, name), tags)) for name, tags in sorted(listed.items())]

    def table(self, context: Any, experiment: str, run: str, tag: str) -> Table:
        """One tag of a run, with a row for each sample of the run.

        Args:
            context: TensorBoard's request context.
            experiment: its experiment id.
            run: name of the run.
            tag: without the prefix, such as `"signal_rms"` or `"variable/update_ratio"`.

        Raises:
            NotServedError: there is no such run or tag, or its records do not fit together.
        """
        try:
            return self._table((experiment, run, tag), self._one(context, experiment, run=run))
        except MemoryError as error:
            raise NotServedError(f"It is too large for this machine. Received: run={run!r}, tag={tag!r}") from error

    def histogram(self, context: Any, experiment: str, run: str, row: int) -> Table:
        """The histogram of a layer's gradient, float32 `[samples, bins]`; at most `HISTOGRAMS` samples.

        Raises:
            NotServedError: there is none, or no such layer.
        """
        table = self.table(context, experiment, run, format.HISTOGRAM)
        schema = self._one(context, experiment, run=run).schema()
        return table.row(row, max(1, len(schema.bins) - 1))

    def _listed(self, context: Any, experiment: str, *, chosen: RunTagFilter | None = None) -> Mapping[str, Any]:
        listed: Mapping[str, Any] = self._provider.list_tensors(
            context, experiment_id=experiment, plugin_name=format.PLUGIN_NAME, run_tag_filter=chosen
        )
        return listed

    def _one(self, context: Any, experiment: str, *, run: str) -> Provided:
        listed = self._listed(context, experiment, chosen=RunTagFilter(runs=[run]))
        if run not in listed:
            raise NotServedError(f"There is no such run. Received: run={run!r}")
        return self._provided((context, experiment, run), listed[run])

    def _provided(self, where: tuple[Any, str, str], tags: Mapping[str, Any]) -> Provided:
        with self._lock:
            memory = self._memories.setdefault(where[1:], Memory())
        return Provided(self._provider, where, tags=tags, memory=memory)

    def _table(self, key: tuple[str, str, str], provided: Provided) -> Table:
        _, run, tag = key
        schema = provided.schema()
        if tag not in provided or tag not in _tables(schema):
            raise NotServedError(f"The run has no such data. Received: run={run!r}, tag={tag!r}")
        newest = provided.stamp(format.OVERALL if format.OVERALL in provided else tag)
        stamp = (*newest, provided.stamp(tag)[0])
        with self._lock:
            known = self._cache.get(key)
            if known is not None and known[0] == stamp:
                self._cache.move_to_end(key)
                return known[1]
        made = self._made(key, provided, schema)
        with self._lock:
            self._cache[key] = (stamp, made)
            while sum(t.values.nbytes for _, t in self._cache.values()) > MEMORY_BYTES and len(self._cache) > 1:
                self._cache.popitem(last=False)
        return made

    def _made(self, key: tuple[str, str, str], provided: Provided, schema: Schema) -> Table:
        experiment, run, tag = key
        read = _read(provided, tag, schema=schema)
        names = schema.names("overall")
        if tag == format.OVERALL:
            return _arranged(read, provided.row_names(tag), names=names)
        if tag == format.HISTOGRAM or format.OVERALL not in provided:
            return read
        overall = self._table((experiment, run, format.OVERALL), provided)
        steps = _steps(read, overall)
        values = read.at(steps)
        # What a thinned run does not tell of a step was nothing bad.
        loss, norm = (overall.at(steps, 0)[:, names.index(name)] for name in ("loss", "gradient_norm"))
        if tag.startswith(format.TIME_PREFIX):
            values[heatmap_cells.bad_over_time(values, norm)] = np.inf
            return Table(steps, values)
        sick = ~np.isfinite(loss + norm)
        witness = heatmap_cells.witness(tag)
        counted = None
        known = tag in schema.names("layer") and tag != witness and witness in provided
        # Where loss and gradient norm are finite throughout no gradient was bad, and the counts need not be read.
        if known and np.isnan(values).any() and (witness == "activation_nonfinite" or sick.any()):
            counts = self._table((experiment, run, witness), provided).at(steps, 0)
            counted = counts if counts.shape == values.shape else None
        values[heatmap_cells.bad(values, counted)] = np.inf
        return Table(steps, values)


def _described(name: str, provided: Provided) -> dict[str, Any]:
    about: dict[str, Any] = {"name": name, "label": name.removesuffix(f"/{format.FOLDER}") or name}
    try:
        return about | {"reason": None} | _contents(provided)
    except NotServedError as error:
        return about | {"reason": str(error)}
    except Exception as error:  # one run that nobody foresaw must not take the others down
        logger.warning("kerasgrad: the run %s cannot be shown", name, exc_info=True)
        return about | {"reason": f"It cannot be read: {type(error).__name__}."}


def _contents(provided: Provided) -> dict[str, Any]:
    provided.check_versions()
    schema = provided.schema()
    if format.OVERALL not in provided:
        raise NotServedError("There is no sample yet: its training has just begun, or was cut off.")
    last_step, wall_time = provided.stamp(format.OVERALL)
    return {
        "schema": schema.to_dict(),
        "facts": provided.facts(),
        "findings": provided.findings(),
        "layer": [n for n in schema.names("layer") if format.layer_tag(n) in provided],
        "variable": [n for n in schema.names("variable") if format.variable_tag(n) in provided],
        "over_time": [path for path in schema.recurrent if format.time_tag(path) in provided],
        "histograms": format.HISTOGRAM in provided,
        "last_step": last_step,
        "wall_time": wall_time,
    }


def _read(provided: Provided, tag: str, *, schema: Schema) -> Table:
    """The numbers of a tag as they are in the file."""
    layers, of_variables = len(schema.layers), tag.startswith(format.VARIABLE_PREFIX)
    width: int | None = len(schema.variables) if of_variables else layers
    if tag == format.OVERALL:
        width = len(provided.row_names(tag))
    elif tag == format.HISTOGRAM:
        width = layers * max(0, len(schema.bins) - 1)
    elif tag.startswith(format.TIME_PREFIX):
        width = None
    steps, rows = provided.numbers(tag, width, most=HISTOGRAMS if tag == format.HISTOGRAM else EVERYTHING)
    values = np.full((len(rows), max(map(len, rows), default=width or 0)), np.nan, np.float32)
    for i, row in enumerate(rows):
        values[i, : len(row)] = row
    return Table(steps, values)


def _steps(read: Table, overall: Table) -> NDArray[np.float64]:
    """The steps at which a statistic is known, or known to be missing: one without any number is not written.

    TensorBoard keeps so many records of each tag, drawn at random, and other ones of a tag that is not in every sample. Of
    a tag that has less than that many all are here; of others what is missing may have been thrown away.
    """
    thinned = len(read.steps) >= len(overall.steps)
    return read.steps if thinned else np.union1d(overall.steps, read.steps)


def _arranged(read: Table, rows: Sequence[str], *, names: Sequence[str]) -> Table:
    """The vector of the whole model with its columns in the order of `names`, whatever order its file has."""
    values = np.full((len(read.steps), len(names)), np.nan, np.float32)
    for column, name in enumerate(rows[: read.values.shape[1]]):
        if name in names:
            values[:, names.index(name)] = read.values[:, column]
    return Table(read.steps, values)


def _tables(schema: Schema) -> set[str]:
    """The tags that hold tables of numbers."""
    tags = {format.OVERALL, format.HISTOGRAM, *map(format.layer_tag, schema.names("layer"))}
    return tags | {*map(format.variable_tag, schema.names("variable")), *map(format.time_tag, schema.recurrent)}
