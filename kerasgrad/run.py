"""One training, as it was recorded: samples x rows x statistics in float32, with the facts of the run."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasgrad import catalogue
from kerasgrad.finding import Finding

Floats = NDArray[np.float32]

MEMORY_BYTES = 256 * 2**20
"""Above this a run in memory drops every second sample; its file keeps them all."""


@dataclass(frozen=True)
class Schema:
    """The rows of a run, the same in all its samples.

    Attributes:
        layers: paths, in depth order.
        variables: paths, grouped by layer in the same order.
        owners: for each variable the index of its layer.
        sizes: for each variable its number of entries.
        activations: for each layer the name of its activation.
        units: for each layer watched for dead units, their number.
        recurrent: layers with a signal over time.
        bins: edges of the gradient histogram, empty if none is recorded.
    """

    layers: tuple[str, ...]
    variables: tuple[str, ...]
    owners: tuple[int, ...]
    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    units: Mapping[str, int]
    recurrent: tuple[str, ...] = ()
    bins: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain lists and dicts, for JSON."""
        return {k: (dict(v) if isinstance(v, Mapping) else list(v)) for k, v in self.__dict__.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schema:
        """The inverse of `to_dict`; keys of later versions are left out."""
        known = {k: v for k, v in values.items() if k in cls.__dataclass_fields__}
        arguments: dict[str, Any] = {k: (dict(v) if isinstance(v, Mapping) else tuple(v)) for k, v in known.items()}
        return cls(**arguments)


@dataclass
class Units:
    """What is known of each unit of one layer.

    Attributes:
        last_fired: step at which it last gave something other than zero, int64 `[units]`; -1 if never.
        revivals: how often it fired again after having been dead, int64 `[units]`.
        samples: over how many samples this was seen.
    """

    last_fired: NDArray[np.int64]
    revivals: NDArray[np.int64]
    samples: int = 0

    @classmethod
    def unseen(cls, count: int) -> Units:
        """Units of which nothing is known yet."""
        return cls(np.full(count, -1, np.int64), np.zeros(count, np.int64))


@dataclass
class Sample:
    """One observed step.

    Attributes:
        step: the monitor's count of training batches before it.
        wall_time: seconds since the epoch.
        layer: float32 `[layers]` by statistic.
        variable: float32 `[variables]` by statistic.
        overall: one number by statistic.
        over_time: signal per time step, float32 `[time]` by layer.
        histogram: float32 `[layers, bins]`, or None.
    """

    step: int
    wall_time: float
    layer: dict[str, Floats]
    variable: dict[str, Floats]
    overall: dict[str, float]
    over_time: dict[str, Floats] = field(default_factory=dict)
    histogram: Floats | None = None


class _Table:
    """Rows that grow at the end, in one array."""

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.float32) -> None:
        self._values = np.empty((0, *shape), dtype)
        self.length = 0

    def append(self, row: Any) -> None:
        if self.length == len(self._values):
            grown = np.empty((max(64, 2 * self.length), *self._values.shape[1:]), self._values.dtype)
            grown[: self.length] = self._values
            self._values = grown
        self._values[self.length] = row
        self.length += 1

    def values(self) -> Any:
        return self._values[: self.length]

    def keep(self, index: Any) -> None:
        self._values = self.values()[index].copy()
        self.length = len(self._values)

    @classmethod
    def of(cls, values: Any) -> _Table:
        table = cls(values.shape[1:], values.dtype)
        table._values, table.length = values, len(values)
        return table


class Run:
    """The record of one training. Its `repr` is the report.

    Get one from `GradientMonitor.run` or `Run.load`; both give the same numbers. `findings` are those that were raised
    while it trained; `kerasgrad.diagnose` examines it anew.

    Args:
        schema: its rows.
        facts: what is true of the whole run: versions, schedule, what was not examined and why.

    Example:
        >>> run = kerasgrad.Run.load("logs/mine")
        >>> run.layer("signal_rms")["dense_3"]      # float32 [samples]
        >>> run.overall("depth_ratio")[-1]
    """

    def __init__(self, schema: Schema, facts: Mapping[str, Any] | None = None) -> None:
        self.schema = schema
        self.facts: dict[str, Any] = dict(facts or {})
        self.findings: tuple[Finding, ...] = ()
        self.units = {path: Units.unseen(count) for path, count in schema.units.items()}
        self.kept_every = 1
        self._seen = 0
        self._steps = _Table((), np.int64)
        self._wall = _Table((), np.float64)
        rows = {"layer": len(schema.layers), "variable": len(schema.variables)}
        self._tables: dict[tuple[str, str], _Table] = {
            (s.of, s.name): _Table((rows[s.of],) if s.of in rows else ()) for s in catalogue.STATISTICS
        }
        self._histogram = _Table((rows["layer"], max(0, len(schema.bins) - 1)))
        self._over_time: dict[str, list[Floats]] = {path: [] for path in schema.recurrent}

    @classmethod
    def load(cls, log_dir: str | os.PathLike[str]) -> Run:
        """Reads a run back from its event files, without TensorFlow.

        Args:
            log_dir: what was given to `GradientMonitor`; the newest run in it, if there are several. To read an older
                one name its own directory (`logs/mine/gradients` the first, `logs/mine/2` the second).

        Returns:
            The run, with the numbers that `monitor.run` had.

        Raises:
            FileNotFoundError: no run was recorded there.
        """
        from kerasgrad import events

        return events.load(log_dir)

    def __repr__(self) -> str:
        """The report: a table of layers in depth order."""
        from kerasgrad.views import text

        return text.report(self)

    def _repr_html_(self) -> str:
        """The same in a notebook."""
        from kerasgrad.views import page

        return page.table(self)

    def __len__(self) -> int:
        """Number of samples."""
        return self._steps.length

    @property
    def steps(self) -> NDArray[np.int64]:
        """The step of each sample, int64 `[samples]`, rising."""
        return self._steps.values()  # type: ignore[no-any-return]

    @property
    def wall_time(self) -> NDArray[np.float64]:
        """When each sample was taken, seconds since 1970, float64 `[samples]`."""
        return self._wall.values()  # type: ignore[no-any-return]

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of the layers, in depth order."""
        return self.schema.layers

    @property
    def variables(self) -> tuple[str, ...]:
        """Paths of the trainable variables, in the order of their layers."""
        return self.schema.variables

    @property
    def not_examined(self) -> dict[str, str]:
        """What has no numbers, and why, by path."""
        return dict(self.facts.get("not_examined", {}))

    def layer(self, statistic: str) -> dict[str, Floats]:
        """A statistic of the layers.

        Args:
            statistic: a name from the catalogue, such as `"signal_rms"`.

        Returns:
            float32 `[samples]` by layer path; NaN where it was not measured.

        Raises:
            KeyError: there is no such statistic; the message lists those there are.
        """
        return dict(zip(self.layers, self.table(statistic, "layer").T, strict=True))

    def variable(self, statistic: str) -> dict[str, Floats]:
        """A statistic of the trainable variables: float32 `[samples]` by path. As `layer`."""
        return dict(zip(self.variables, self.table(statistic, "variable").T, strict=True))

    def overall(self, statistic: str) -> Floats:
        """A statistic of the whole model: float32 `[samples]`. As `layer`."""
        return self.table(statistic, "overall")

    def table(self, statistic: str, of: catalogue.Of) -> Floats:
        """A statistic as one array: float32 `[samples, rows]`, or `[samples]` of the whole model."""
        catalogue.find(statistic, of)
        return self._tables[of, statistic].values()  # type: ignore[no-any-return]

    def signal_over_time(self, layer: str) -> Floats:
        """The signal's RMS at a recurrent layer's input, per time step.

        Args:
            layer: path of a recurrent layer in `run.schema.recurrent`.

        Returns:
            float32 `[samples, time]`, padded with NaN where a sample's sequences were shorter.

        Raises:
            KeyError: the layer has none; the message says why, where that is known.
        """
        if layer not in self._over_time:
            reason = self.not_examined.get(f"{layer}: signal_over_time", "it is not a recurrent layer of this run")
            raise KeyError(f"No signal over time for that layer: {reason}. Received: layer={layer!r}")
        rows = self._over_time[layer]
        padded = np.full((len(rows), max(map(len, rows), default=0)), np.nan, np.float32)
        for i, row in enumerate(rows):
            padded[i, : len(row)] = row
        return padded

    def histogram(self, layer: str) -> Floats:
        """Gradient entries per bin of |g|: float32 `[samples, bins]`, edges in `run.schema.bins`.

        Raises:
            KeyError: no histograms were recorded, or there is no such layer.
        """
        if not self.schema.bins or layer not in self.layers:
            why = "record them with GradientMonitor(histograms=True)" if not self.schema.bins else f"layers: {self.layers}"
            raise KeyError(f"No gradient histogram for that layer; {why}. Received: layer={layer!r}")
        return self._histogram.values()[:, self.layers.index(layer)]  # type: ignore[no-any-return]

    def append(self, sample: Sample) -> None:
        """Adds a sample at the end, thinning the run evenly if it has grown too large for memory."""
        self._seen += 1
        if (self._seen - 1) % self.kept_every:
            return
        self._steps.append(sample.step)
        self._wall.append(sample.wall_time)
        for (of, name), table in self._tables.items():
            table.append(getattr(sample, of).get(name, np.nan))
        if self.schema.bins:
            self._histogram.append(np.nan if sample.histogram is None else sample.histogram)
        for path, rows in self._over_time.items():
            rows.append(sample.over_time.get(path, np.zeros(0, np.float32)))
        if self._bytes() > MEMORY_BYTES:
            self._thin()

    def _bytes(self) -> int:
        over_time = sum(len(rows) * rows[-1].nbytes for rows in self._over_time.values() if rows)
        return int(over_time + sum(t.values().nbytes for t in (*self._tables.values(), self._histogram)))

    def _thin(self) -> None:
        self.kept_every *= 2
        every_second = slice(None, None, 2)
        for table in (self._steps, self._wall, self._histogram, *self._tables.values()):
            table.keep(every_second)
        self._over_time = {path: rows[every_second] for path, rows in self._over_time.items()}

    def select(self, *, steps: slice | None = None, layers: Iterable[str] | None = None) -> Run:
        """A part of the run.

        Args:
            steps: range of steps, such as `slice(100, None)`; its `step` is not used.
            layers: paths to keep, in any order.

        Returns:
            A new run that shares no memory with this one.

        Raises:
            KeyError: a layer is not in the run.
        """
        wanted = list(self.layers if layers is None else layers)
        missing = [path for path in wanted if path not in self.layers]
        if missing:
            raise KeyError(f"No such layer in this run; it has {list(self.layers)}. Received: {missing}")
        rows = [i for i, path in enumerate(self.layers) if path in wanted]
        of_rows = [i for i, owner in enumerate(self.schema.owners) if owner in rows]
        part = Run(_subset(self.schema, rows, of_rows), self.facts)
        if self.layers:
            part.facts.setdefault("output_layer", self.layers[-1])  # the last of a part is not the model's output
        span = steps or slice(None)
        low = 0 if span.start is None else np.searchsorted(self.steps, span.start)
        high = len(self) if span.stop is None else np.searchsorted(self.steps, span.stop)
        index = {"layer": rows, "variable": of_rows}
        for (of, name), table in self._tables.items():
            values = table.values()[low:high]
            part._tables[of, name] = _Table.of(values[:, index[of]] if of in index else values.copy())
        part._steps = _Table.of(self.steps[low:high].copy())
        part._wall = _Table.of(self.wall_time[low:high].copy())
        part._histogram = _Table.of(self._histogram.values()[low:high][:, rows])
        part._over_time = {path: [row.copy() for row in self._over_time[path][low:high]] for path in part.schema.recurrent}
        part.units = {path: copy.deepcopy(self.units[path]) for path in part.schema.units}
        part.findings = self.findings
        part._seen, part.kept_every = len(part), self.kept_every
        return part

    def to_pandas(self) -> Any:
        """The run as one long table.

        Returns:
            A pandas DataFrame with the columns `step, of, row, statistic, value`.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("Run.to_pandas needs pandas: pip install pandas") from error
        rows = {"layer": self.layers, "variable": self.variables, "overall": ("model",)}
        frames = [
            pandas.DataFrame(
                {
                    "step": np.repeat(self.steps, len(rows[of])),
                    "of": of,
                    "row": np.tile(np.array(rows[of], dtype=object), len(self)),
                    "statistic": name,
                    "value": table.values().reshape(-1),
                }
            )
            for (of, name), table in self._tables.items()
        ]
        return pandas.concat(frames, ignore_index=True)


def _subset(schema: Schema, rows: list[int], of_rows: list[int]) -> Schema:
    kept = tuple(schema.layers[i] for i in rows)
    return Schema(
        kept,
        tuple(schema.variables[i] for i in of_rows),
        tuple(rows.index(schema.owners[i]) for i in of_rows),
        tuple(schema.sizes[i] for i in of_rows),
        tuple(schema.activations[i] for i in rows),
        {path: n for path, n in schema.units.items() if path in kept},
        tuple(path for path in schema.recurrent if path in kept),
        schema.bins,
    )
