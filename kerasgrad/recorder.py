"""Turns the raw moments of each sample into a row of a `Run`, in memory and on disk. Needs no TensorFlow itself."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasgrad import events
from kerasgrad.finding import Finding
from kerasgrad.run import Run, Sample
from kerasgrad.statistics.rows import merge_replicas, statistics
from kerasgrad.statistics.units import DORMANT, DORMANT_SIGNAL, UnitHistory, dormant_fraction

logger = logging.getLogger("kerasgrad")

Raw = dict[str, Any]

FLUSH_SECONDS = 2.0
"""How long what is known may stay off the disk."""


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
        self._histories = {path: UnitHistory(units, window) for path, units in run.units.items()}
        self._writer: events.Writer | None = None
        self._disk_failed = False
        self._flushed = 0.0

    def record(self, step: int, wall_time: float, raw: Raw, extra: Mapping[str, float]) -> Sample:
        """Adds a sample.

        Args:
            step: the monitor's step.
            wall_time: seconds since 1970.
            raw: the tensors that `statistics.measure` left, as arrays with a leading axis of replicas.
            extra: further overall statistics.

        Returns:
            The sample, as it was added.
        """
        schema, raw, owners = self.run.schema, merge_replicas(raw), np.array(self.owners, np.int64)
        found = statistics(raw, owners)
        layer, overall = found.layer | self._of_units(raw["units"], step), {**found.overall, **extra}
        overall["dead_fraction"] = self._dead(layer["dead_fraction"])
        if overall["loss_scale_overflow"]:
            self.run.facts["loss_scale_overflows"] = self.run.facts.get("loss_scale_overflows", 0) + 1
            layer["dormant_signal_fraction"] = np.full(len(schema.layers), np.nan)
        sample = Sample(
            step,
            wall_time,
            {k: _float32(v) for k, v in layer.items()},
            {k: _float32(v[owners >= 0]) for k, v in found.variable.items()},
            {k: float(np.float32(v)) for k, v in overall.items()},
            self._over_time(raw),
            _float32(raw["histogram"]) if "histogram" in raw else None,
        )
        self.run.append(sample)
        self._on_disk(lambda writer: writer.sample(sample))
        return sample

    def _of_units(self, sums: Any, step: int) -> dict[str, Any]:
        """The statistics that come from single units: dead, dormant by activation, dormant by signal."""
        schema = self.run.schema
        rows = {
            n: np.full(len(schema.layers), np.nan) for n in ("dead_fraction", "dormant_fraction", "dormant_signal_fraction")
        }
        start = 0
        for path, count in schema.units.items():
            row = schema.layers.index(path)
            activity, signal = sums[:, start : start + count]
            rows["dead_fraction"][row] = self._histories[path].dead_fraction(activity, step)
            rows["dormant_fraction"][row] = dormant_fraction(activity, DORMANT)
            rows["dormant_signal_fraction"][row] = dormant_fraction(signal, DORMANT_SIGNAL)
            start += count
        return rows

    def _dead(self, fractions: Any) -> float:
        """Dead units over all watched layers."""
        counts = np.array([self.run.schema.units.get(path, 0) for path in self.run.layers], float)
        known = ~np.isnan(fractions) & (counts > 0)
        return float((fractions[known] * counts[known]).sum() / counts[known].sum()) if known.any() else math.nan

    def _over_time(self, raw: Raw) -> dict[str, Any]:
        rows = {}
        for name, values in raw.items():
            if name.startswith("time/"):
                with np.errstate(invalid="ignore"):
                    rows[self.run.layers[int(name[5:])]] = _float32(np.sqrt(values[:, 1] / values[:, 0]))
        return {path: row for path, row in rows.items() if path in self.run.schema.recurrent}

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


def _float32(values: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)
