"""Runs as TensorBoard's data provider holds them -> plain values and arrays. Knows nothing of HTTP."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.data.provider import RunTagFilter

from kerasgrad import catalogue
from kerasgrad.catalogue import PLUGIN_NAME, TAG_PREFIX
from kerasgrad.run import Schema
from kerasgrad.views import cells

EVERYTHING = 1 << 30
"""What the provider is asked for, so that it thins nothing itself; 0 would mean none."""

HISTOGRAMS = 500
"""Samples read of a histogram tag, which has a row of bins for every layer."""

MEMORY_BYTES = 512 * 2**20
"""Above this the tables that were not asked for the longest are forgotten."""


class NotServedError(ValueError):
    """What was asked for is not there, or makes no sense; the message says why."""


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
        self._texts: dict[tuple[str, str], tuple[Any, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def runs(self, context: Any, experiment: str) -> list[dict[str, Any]]:
        """All runs with what is needed to draw them, or the `reason` why they cannot be.

        Args:
            context: TensorBoard's request context.
            experiment: its experiment id.

        Returns:
            One dict a run, in the order of their names.
        """
        listed = self._provider.list_tensors(context, experiment_id=experiment, plugin_name=PLUGIN_NAME)
        return [self._described(context, experiment, name, tags) for name, tags in sorted(listed.items())]

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
        tags = self._tags(context, experiment, run)
        schema = _schema(self._read_texts(context, experiment, run, tags))
        if TAG_PREFIX + tag not in tags or tag not in _tables(schema):
            raise NotServedError(f"The run has no such data. Received: run={run!r}, tag={tag!r}")
        newest = tags[TAG_PREFIX + "overall"] if TAG_PREFIX + "overall" in tags else tags[TAG_PREFIX + tag]
        stamp = (newest.max_step, newest.max_wall_time, tags[TAG_PREFIX + tag].max_step)
        key = (experiment, run, tag)
        with self._lock:
            known = self._cache.get(key)
            if known is not None and known[0] == stamp:
                self._cache.move_to_end(key)
                return known[1]
        made = self._made(context, experiment, run, tag, tags, schema)
        with self._lock:
            self._cache[key] = (stamp, made)
            while sum(t.values.nbytes for _, t in self._cache.values()) > MEMORY_BYTES and len(self._cache) > 1:
                self._cache.popitem(last=False)
        return made

    def histogram(self, context: Any, experiment: str, run: str, row: int) -> Table:
        """The histogram of a layer's gradient, float32 `[samples, bins]`; at most `HISTOGRAMS` samples.

        Raises:
            NotServedError: there is none, or no such layer.
        """
        table = self.table(context, experiment, run, "gradient_histogram")
        schema = _schema(self._read_texts(context, experiment, run, self._tags(context, experiment, run)))
        return table.row(row, max(1, len(schema.bins) - 1))

    def _tags(self, context: Any, experiment: str, run: str) -> Mapping[str, Any]:
        chosen = RunTagFilter(runs=[run])
        listed = self._provider.list_tensors(
            context, experiment_id=experiment, plugin_name=PLUGIN_NAME, run_tag_filter=chosen
        )
        if run not in listed:
            raise NotServedError(f"There is no such run. Received: run={run!r}")
        tags: Mapping[str, Any] = listed[run]
        return tags

    def _made(self, context: Any, experiment: str, run: str, tag: str, tags: Mapping[str, Any], schema: Schema) -> Table:
        read = self._read(context, experiment, run, tag, HISTOGRAMS if tag == "gradient_histogram" else EVERYTHING)
        names = schema.names("overall")
        if tag == "overall":
            return _arranged(read, _description(tag, tags[TAG_PREFIX + tag]).get("rows", ()), names=names)
        if tag == "gradient_histogram" or TAG_PREFIX + "overall" not in tags:
            return read
        overall = self.table(context, experiment, run, "overall")
        steps = _steps(read, overall)
        values = read.at(steps)
        # What a thinned run does not tell of a step was nothing bad.
        loss, norm = (overall.at(steps, 0)[:, names.index(name)] for name in ("loss", "gradient_norm"))
        if tag.startswith("signal_over_time/"):
            values[cells.bad_over_time(values, norm)] = np.inf
            return Table(steps, values)
        sick = ~np.isfinite(loss + norm)
        witness = cells.witness(tag)
        counted = None
        known = tag in schema.names("layer") and tag != witness and TAG_PREFIX + witness in tags
        # Where loss and gradient norm are finite throughout no gradient was bad, and the counts need not be read.
        if known and np.isnan(values).any() and (witness == "activation_nonfinite" or sick.any()):
            counts = self.table(context, experiment, run, witness).at(steps, 0)
            counted = counts if counts.shape == values.shape else None
        values[cells.bad(values, counted)] = np.inf
        return Table(steps, values)

    def _read(self, context: Any, experiment: str, run: str, tag: str, most: int) -> Table:
        read = self._provider.read_tensors(
            context,
            experiment_id=experiment,
            plugin_name=PLUGIN_NAME,
            downsample=most,
            run_tag_filter=RunTagFilter(runs=[run], tags=[TAG_PREFIX + tag]),
        )
        data = read.get(run, {}).get(TAG_PREFIX + tag, [])
        steps = np.array([datum.step for datum in data], np.float64)
        # A step seen before was repeated by a session that was resumed too far back; the first one counts, as in `Run.load`.
        kept = np.flatnonzero(np.diff(np.maximum.accumulate(steps), prepend=-np.inf) > 0)
        rows = [np.asarray(data[i].numpy, np.float32).reshape(-1) for i in kept]
        width = max(map(len, rows), default=0)
        values = np.full((len(rows), width), np.nan, np.float32)
        for i, row in enumerate(rows):
            values[i, : len(row)] = row
        return Table(steps[kept], values)

    def _described(self, context: Any, experiment: str, name: str, tags: Mapping[str, Any]) -> dict[str, Any]:
        about: dict[str, Any] = {"name": name, "label": name.removesuffix("/gradients") or name}
        try:
            _check_versions(tags)
            texts = self._read_texts(context, experiment, name, tags)
            schema = _schema(texts)
        except NotServedError as error:
            return about | {"reason": str(error)}
        if TAG_PREFIX + "overall" not in tags:
            return about | {"reason": "There is no sample yet: its training has just begun, or was cut off."}
        newest = tags[TAG_PREFIX + "overall"]
        given = {tag.removeprefix(TAG_PREFIX) for tag in tags}
        return about | {
            "reason": None,
            "schema": schema.to_dict(),
            "facts": _object(texts.get("facts")),
            "findings": _findings(texts.get("findings")),
            "layer": [n for n in schema.names("layer") if n in given],
            "variable": [n for n in schema.names("variable") if f"variable/{n}" in given],
            "over_time": [path for path in schema.recurrent if f"signal_over_time/{path}" in given],
            "histograms": "gradient_histogram" in given,
            "last_step": newest.max_step,
            "wall_time": newest.max_wall_time,
        }

    def _read_texts(self, context: Any, experiment: str, run: str, tags: Mapping[str, Any]) -> dict[str, Any]:
        """What the text tags say last, by tag; what is not JSON is left out."""
        wanted = [TAG_PREFIX + tag for tag in ("schema", "facts", "findings") if TAG_PREFIX + tag in tags]
        stamp = [(tag, tags[tag].max_step, tags[tag].max_wall_time) for tag in wanted]
        known = self._texts.get((experiment, run))
        if known is not None and known[0] == stamp:
            return known[1]
        read = self._provider.read_tensors(
            context,
            experiment_id=experiment,
            plugin_name=PLUGIN_NAME,
            downsample=EVERYTHING,
            run_tag_filter=RunTagFilter(runs=[run], tags=wanted),
        )
        texts = {}
        for tag, data in read.get(run, {}).items():
            try:
                texts[tag.removeprefix(TAG_PREFIX)] = json.loads(data[-1].numpy.item())
            except (ValueError, IndexError, TypeError):
                continue
        self._texts[experiment, run] = (stamp, texts)
        return texts


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
    tags = {"overall", "gradient_histogram", *schema.names("layer")}
    tags |= {f"variable/{name}" for name in schema.names("variable")}
    return tags | {f"signal_over_time/{path}" for path in schema.recurrent}


def _description(tag: str, series: Any) -> dict[str, Any]:
    try:
        description = json.loads(series.plugin_content)
        description["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise NotServedError(f"The description of {tag!r} cannot be read.") from error
    return dict(description)


def _check_versions(tags: Mapping[str, Any]) -> None:
    for tag, series in tags.items():
        version = _description(tag, series)["version"]
        if version != catalogue.FORMAT_VERSION:
            raise NotServedError(
                f"It was written in format {version}, this kerasgrad reads {catalogue.FORMAT_VERSION}: "
                "pip install --upgrade kerasgrad"
            )


def _schema(texts: Mapping[str, Any]) -> Schema:
    """The rows of a run.

    Raises:
        NotServedError: there are none, or they do not fit together.
    """
    if not isinstance(texts.get("schema"), dict):
        raise NotServedError("The names of its layers are missing: its event file is damaged or ended too early.")
    try:
        schema = Schema.from_dict(texts["schema"])
    except (TypeError, ValueError) as error:
        raise NotServedError(f"The names of its layers cannot be read: {error}") from error
    if not schema.layers:
        raise NotServedError("It has no layers: nothing in the model could be examined.")
    if len(schema.activations) != len(schema.layers) or len(schema.owners) != len(schema.variables):
        raise NotServedError("The names of its layers do not fit together: its event file is damaged.")
    return schema


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _findings(value: Any) -> list[dict[str, Any]]:
    """The findings that the run holds, whether as a list or as a whole diagnosis."""
    listed = value.get("findings") if isinstance(value, dict) else value
    return [finding for finding in listed if isinstance(finding, dict)] if isinstance(listed, list) else []
