"""One training, as it was recorded: samples x rows x statistics in float32, with the facts of the run."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kerasgrad import catalogue
from kerasgrad.finding import Finding
from kerasgrad.metadata import Facts, Schema
from kerasgrad.samples import NO_TIME, Batch, Floats, Sample, Table

__all__ = ["Batch", "Facts", "Run", "Sample", "Schema", "Units"]

OF: tuple[catalogue.Of, ...] = ("variable", "layer", "overall")

MEMORY_BYTES = 256 * 2**20
"""Above this a run in memory drops every second sample; its file keeps them all."""


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
        self.facts = cast(Facts, dict(facts or {}))
        self.findings: tuple[Finding, ...] = ()
        self.units = {path: Units.unseen(count) for path, count in schema.units.items()}
        self.kept_every = 1
        self._seen = 0
        self._steps = Table((), np.int64)
        self._wall = Table((), np.float64)
        shapes = {"layer": (len(schema.layers),), "variable": (len(schema.variables),), "overall": ()}
        self._tables = {(of, name): Table(shapes[of]) for of in OF for name in schema.names(of)}
        self._histogram = Table((len(schema.layers), max(0, len(schema.bins) - 1)))
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
        return self._steps.values  # type: ignore[no-any-return]

    @property
    def wall_time(self) -> NDArray[np.float64]:
        """When each sample was taken, seconds since 1970, float64 `[samples]`."""
        return self._wall.values  # type: ignore[no-any-return]

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
        if (of, statistic) not in self._tables:
            known = ", ".join(self.schema.names(of))
            raise KeyError(f"No statistic of a {of} has that name. Known: {known}. Received: name={statistic!r}")
        return self._tables[of, statistic].values  # type: ignore[no-any-return]

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
        return self._histogram.values[:, self.layers.index(layer)]  # type: ignore[no-any-return]

    def extend(self, batch: Batch) -> None:
        """Adds samples at the end, thinning the run evenly if it has grown too large for memory."""
        kept = slice(-self._seen % self.kept_every, None, self.kept_every)
        self._seen += len(batch)
        steps = batch.steps[kept]
        self._steps.extend(steps)
        self._wall.extend(batch.wall_time[kept])
        given = {"layer": batch.layer, "variable": batch.variable, "overall": batch.overall}
        for (of, name), table in self._tables.items():
            table.extend(given[of][name][kept] if name in given[of] else table.missing(len(steps)))
        if self.schema.bins:
            given_bins = batch.histogram
            self._histogram.extend(self._histogram.missing(len(steps)) if given_bins is None else given_bins[kept])
        for path, rows in self._over_time.items():
            rows.extend(batch.over_time[path][kept] if path in batch.over_time else [NO_TIME] * len(steps))
        while self._bytes() > MEMORY_BYTES and len(self) > 1:
            self._thin()

    def append(self, sample: Sample) -> None:
        """Adds one sample at the end."""
        self.extend(sample.as_batch())

    def _bytes(self) -> int:
        over_time = sum(len(rows) * rows[-1].nbytes for rows in self._over_time.values() if rows)
        return int(over_time + sum(t.values.nbytes for t in (*self._tables.values(), self._histogram)))

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
        part = Run(self.schema.subset(rows, of_rows), self.facts)
        if self.layers:
            part.facts.setdefault("output_layer", self.layers[-1])  # the last of a part is not the model's output
        span = steps or slice(None)
        low = 0 if span.start is None else np.searchsorted(self.steps, span.start)
        high = len(self) if span.stop is None else np.searchsorted(self.steps, span.stop)
        index = {"layer": rows, "variable": of_rows}
        for (of, name), table in self._tables.items():
            values = table.values[low:high]
            part._tables[of, name] = Table.of(values[:, index[of]] if of in index else values.copy())
        part._steps = Table.of(self.steps[low:high].copy())
        part._wall = Table.of(self.wall_time[low:high].copy())
        part._histogram = Table.of(self._histogram.values[low:high][:, rows])
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
                    "value": table.values.reshape(-1),
                }
            )
            for (of, name), table in self._tables.items()
        ]
        return pandas.concat(frames, ignore_index=True)

    def to_csv(self, path: str | os.PathLike[str], *, wide: bool = False) -> None:
        """Writes all numbers as CSV: one number a line, or with `wide` one step a line; see `kerasgrad.views.export`."""
        from kerasgrad.views import export

        export.to_csv(self, path, wide=wide)
