"""Turns the raw moments of each sample into a row of a `Run`, in memory and on disk. Needs no TensorFlow itself."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasgrad import events
from kerasgrad.catalogue import STATISTICS, Statistic
from kerasgrad.finding import Finding
from kerasgrad.run import Run
from kerasgrad.samples import Batch
from kerasgrad.statistics.columns import Columns
from kerasgrad.statistics.rows import Finished, Table, finish, merge_replicas, merges_of, tabulate
from kerasgrad.statistics.units import PerUnit, UnitHistory

logger = logging.getLogger("kerasgrad")

WINDOW = 50
"""Samples after which a silent unit counts as dead, unless somebody chooses otherwise."""
FLUSH_SECONDS = 2.0
"""How long what is known may stay off the disk."""


@dataclass
class Taken:
    """What was measured in one step.

    Attributes:
        step: the monitor's step.
        wall_time: seconds since 1970.
        raw: the tensors of `statistics.measure` as arrays with a leading axis of replicas.
        extra: what the monitor itself knows of the step: moments of the quantity `monitor`, by name.
        follows: whether the step before was measured too, so that moments that look back hold.
    """

    step: int
    wall_time: float
    raw: dict[str, Any]
    extra: dict[str, float] = field(default_factory=dict)
    follows: bool = False

    @property
    def bytes(self) -> int:
        """How much memory the raw numbers take."""
        return sum((v.values if isinstance(v, Columns) else v).nbytes for v in self.raw.values())


class Recorder:
    """Keeps one run.

    Args:
        run: the run to append to: a new one, or one that is continued.
        folder: where its event files go, or None for memory only.
        window: samples after which a silent unit counts as dead.
        owners: layer row of each variable that is measured; those with -1 count in what is said of the whole model, and
            have no row.
        statistics: what is recorded besides the catalogue.
    """

    def __init__(
        self,
        run: Run,
        folder: events.Place | None,
        *,
        window: int,
        owners: Sequence[int],
        statistics: Sequence[Statistic] = (),
    ) -> None:
        self.run = run
        self.failed: dict[str, str] = {}
        self._statistics = (*STATISTICS, *statistics)
        self._merges = merges_of(self._statistics)
        self._looking_back = {moment.key for statistic in statistics for moment in statistic.own if moment.previous}
        self.folder = folder
        if folder is not None and not len(run):
            run.facts.setdefault("run_id", uuid.uuid4().hex)
        self.owners = owners
        self._history = UnitHistory(run.units, window)
        self._watched = np.array([run.schema.layers.index(path) for path in run.units], np.int64)
        self._writer: events.Writer | None = None
        self._disk_failed = False
        self._flushed = 0.0

    def record(self, taken: Sequence[Taken]) -> Batch:
        """Adds samples, of which many at once cost little more than one.

        Args:
            taken: at least one, in the order of their steps.

        Returns:
            All of them, as they were added.
        """
        batch = self._batch(taken)
        self.run.extend(batch)
        self._on_disk(lambda writer: writer.samples(batch))
        if self.rested():
            self.flush()
        return batch

    def _batch(self, taken: Sequence[Taken]) -> Batch:
        owned = np.array(self.owners, np.int64) >= 0
        raws = [
            {name: merge_replicas(name, values, merges=self._merges) for name, values in one.raw.items()} for one in taken
        ]
        found = self._finished(taken, raws)
        with np.errstate(over="ignore"):
            return Batch(
                np.array([one.step for one in taken], np.int64),
                np.array([one.wall_time for one in taken], np.float64),
                {name: values.astype(np.float32) for name, values in found.layer.items()},
                {name: values[:, owned].astype(np.float32) for name, values in found.variable.items()},
                {name: values.astype(np.float32) for name, values in found.overall.items()},
                self._over_time(raws),
                np.stack([raw["histogram"] for raw in raws]).astype(np.float32) if self.run.schema.bins else None,
            )

    def _finished(self, taken: Sequence[Taken], raws: Sequence[dict[str, Any]]) -> Finished:
        """The statistics of some samples, in float64."""
        table = tabulate(raws, owners=np.array(self.owners, np.int64), merges=self._merges)
        overflows = int(table.overflow.sum())
        if overflows:
            self.run.facts["loss_scale_overflows"] = self.run.facts.get("loss_scale_overflows", 0) + overflows
        self._add_units(table, [(one.step, raw["units"]) for one, raw in zip(taken, raws, strict=True)])
        for name in ("sample_seconds", "overhead"):
            table.overall[f"monitor.{name}"] = np.array([one.extra.get(name, np.nan) for one in taken])
        alone = ~np.array([one.follows for one in taken])
        for key in self._looking_back:
            for moments in (table.variable, table.layer, table.overall):
                if key in moments:
                    moments[key][alone] = np.nan
        found = finish(self._statistics, table)
        self.failed |= found.failed
        return found

    def _add_units(self, table: Table, samples: Sequence[tuple[int, Any]]) -> None:
        """The moments of single units: how many were silent, and the sums of |a| and |s|, `[2, units]` of each step."""
        sums = np.stack([values for _, values in samples])
        activity, signal = sums[:, 0], np.where(table.overflow[:, None], np.nan, sums[:, 1])
        silent = np.stack([self._history.silent(one, step) for one, (step, _) in zip(activity, samples, strict=True)])
        of_units = [PerUnit(v, self._history.layers, self._watched, len(self.run.layers)) for v in (activity, signal)]
        counts = np.broadcast_to(self._history.layers.counts.astype(np.float64), silent.shape)
        table.layer["units.activity"], table.layer["units.signal"] = of_units
        for name, values in (("silent", silent), ("count", counts)):
            table.layer[f"units.{name}"] = of_units[0].in_rows(values)
            table.overall[f"units.{name}"] = values

    def _over_time(self, raws: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
        """The signal per time step of each sample, by recurrent layer; empty where it was not seen."""
        rows: dict[str, list[Any]] = {path: [] for path in self.run.schema.recurrent}
        for path, samples in rows.items():
            name = f"time/{self.run.layers.index(path)}"
            for raw in raws:
                sums = raw.get(name, np.zeros((0, 2)))
                with np.errstate(invalid="ignore"):
                    samples.append(np.sqrt(sums[:, 1] / sums[:, 0]).astype(np.float32))
        return rows

    def rested(self) -> bool:
        """Whether the last flush is long enough ago; epochs may be as short as a step."""
        return time.monotonic() - self._flushed > FLUSH_SECONDS

    def flush(self) -> None:
        """Puts all that is known on disk: facts, units, samples."""
        self._flushed = time.monotonic()
        step = int(self.run.steps[-1]) if len(self.run) else 0

        def put(writer: events.Writer) -> None:
            writer.units(step, self.run.units)
            writer.facts(step, self.run.facts)
            writer.flush()

        if len(self.run):
            self._on_disk(put)

    def note_findings(self, findings: Sequence[Finding]) -> None:
        """Takes what the rules found so far, in the place of what they had found before."""
        self.run.findings = tuple(findings)
        self._on_disk(lambda writer: writer.findings(int(self.run.steps[-1]), findings))

    def close(self) -> None:
        """Flushes, and closes the file; a later sample opens another beside it."""
        self.flush()
        writer, self._writer = self._writer, None
        if writer is not None:
            self._tried(writer.close)

    def _on_disk(self, write: Any) -> None:
        """Writes, if there is somewhere to write. A disk that fails costs the file, not the run."""
        if self.folder is None or self._disk_failed:
            return
        folder, schema, run_id = self.folder, self.run.schema, self.run.facts.get("run_id")
        session = {} if run_id is None else {"run": run_id, "session": uuid.uuid4().hex}

        def attempt() -> None:
            if self._writer is None:
                self._writer = events.Writer(folder, schema, session=session)
            write(self._writer)

        self._tried(attempt)

    def _tried(self, write: Any) -> None:
        try:
            write()
        except OSError as error:
            self._disk_failed = True
            note = f"writing to {self.folder} failed after step {self.run.steps[-1:]}: {error}; the run goes on in memory"
            self.run.facts.setdefault("notes", []).append(note)
            logger.warning("kerasgrad: %s. Training is not affected.", note)
