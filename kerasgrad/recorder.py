"""Turns the raw moments of each sample into a row of a `Run`, in memory and on disk. Needs no TensorFlow itself."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kerasgrad import events
from kerasgrad.finding import Finding
from kerasgrad.run import Run
from kerasgrad.samples import Batch
from kerasgrad.statistics.rows import merge_replicas, statistics
from kerasgrad.statistics.units import DORMANT, DORMANT_SIGNAL, UnitHistory

logger = logging.getLogger("kerasgrad")

UNIT_STATISTICS = ("dead_fraction", "dormant_fraction", "dormant_signal_fraction")

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
        extra: further overall statistics.
    """

    step: int
    wall_time: float
    raw: dict[str, Any]
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """How much memory the raw numbers take."""
        return sum(values.nbytes for values in self.raw.values())


class Recorder:
    """Keeps one run.

    Args:
        run: the run to append to: a new one, or one that is continued.
        folder: where its event files go, or None for memory only.
        window: samples after which a silent unit counts as dead.
        owners: layer row of each variable that is measured; those with -1 count in what is said of the whole model, and
            have no row.
    """

    def __init__(self, run: Run, folder: Path | None, window: int, owners: Sequence[int]) -> None:
        self.run = run
        self.folder = folder
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
        return batch

    def _batch(self, taken: Sequence[Taken]) -> Batch:
        owners = np.array(self.owners, np.int64)
        raws = [{name: merge_replicas(name, values) for name, values in one.raw.items()} for one in taken]
        columns, layers, scalars = (np.stack([raw[name] for raw in raws]) for name in ("variables", "layers", "overall"))
        found = statistics(columns, layers, scalars, owners)
        overflow = found.overall["loss_scale_overflow"] > 0
        if overflow.any():
            self.run.facts["loss_scale_overflows"] = self.run.facts.get("loss_scale_overflows", 0) + int(overflow.sum())
        of_units = [self._of_units(raw["units"], one.step) for raw, one in zip(raws, taken, strict=True)]
        layer = found.layer | {name: np.stack([rows[name] for rows in of_units]) for name in UNIT_STATISTICS}
        layer["dormant_signal_fraction"][overflow] = np.nan
        dead = {"dead_fraction": np.array([self._dead(rows) for rows in layer["dead_fraction"]])}
        extra = {name: np.array([one.extra.get(name, np.nan) for one in taken]) for one in taken for name in one.extra}
        with np.errstate(over="ignore"):
            return Batch(
                np.array([one.step for one in taken], np.int64),
                np.array([one.wall_time for one in taken], np.float64),
                {name: values.astype(np.float32) for name, values in layer.items()},
                {name: values[:, owners >= 0].astype(np.float32) for name, values in found.variable.items()},
                {name: values.astype(np.float32) for name, values in (found.overall | dead | extra).items()},
                self._over_time(raws),
                np.stack([raw["histogram"] for raw in raws]).astype(np.float32) if self.run.schema.bins else None,
            )

    def _of_units(self, sums: Any, step: int) -> dict[str, Any]:
        """The statistics that come from single units: dead, dormant by activation, dormant by signal."""
        activity, signal = sums
        layers = self._history.layers
        found = (
            self._history.dead_fraction(activity, step),
            layers.dormant_fraction(activity, DORMANT),
            layers.dormant_fraction(signal, DORMANT_SIGNAL),
        )
        rows = np.full((len(found), len(self.run.schema.layers)), np.nan)
        rows[:, self._watched] = found
        return dict(zip(UNIT_STATISTICS, rows, strict=True))

    def _dead(self, fractions: Any) -> float:
        """Dead units over all watched layers."""
        counts, shares = self._history.layers.counts, fractions[self._watched]
        known = ~np.isnan(shares)
        return float(shares[known] @ counts[known] / counts[known].sum()) if known.any() else math.nan

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
        folder, schema = self.folder, self.run.schema

        def attempt() -> None:
            if self._writer is None:
                self._writer = events.Writer(folder, schema, FLUSH_SECONDS)
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
