"""Writes samples to an event file that plain TensorBoard reads as well."""

from __future__ import annotations

import itertools
import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from kerasgrad.catalogue import FORMAT_VERSION, PLUGIN_NAME, TAG_PREFIX
from kerasgrad.events import records
from kerasgrad.finding import Finding
from kerasgrad.run import Schema, Units
from kerasgrad.samples import Batch

_DTYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 9}
_DT_STRING = 7

SCALARS = ("loss", "gradient_norm", "depth_ratio", "dead_fraction", "learning_rate", "overhead")
"""Overall statistics that are ordinary scalars besides, for plain TensorBoard and whatever mirrors it."""
SCALAR_PREFIX = "health/"

_numbers = itertools.count()


def add_facts(file: Path, step: int, facts: Mapping[str, Any]) -> None:
    """Appends facts to a file that is closed already, in the place of those it has.

    Args:
        file: an event file of a run.
        step: of its last sample.
        facts: all of them, the old ones too.

    Raises:
        OSError: it cannot be written.
    """
    event = Event(wall_time=time.time(), step=step)
    _set_text(event.summary.value.add(tag=TAG_PREFIX + "facts"), facts)
    with file.open("ab") as appended:
        records.write(appended, event.SerializeToString())


def _set_text(value: Summary.Value, content: Any) -> None:
    value.tensor.dtype = _DT_STRING
    value.tensor.string_val.append(json.dumps(content).encode())


class Writer:
    """Appends to a run's directory, one event file a session.

    Args:
        folder: the run's folder.
        schema: its rows.
        flush_seconds: how long a sample may wait before it is on disk.

    Raises:
        OSError: from any method, when the disk says no.
    """

    def __init__(self, folder: Path, schema: Schema, flush_seconds: float) -> None:
        self.folder = folder
        self.schema = schema
        self._flush_seconds = flush_seconds
        self._flushed = time.monotonic()
        self._described: set[str] = set()
        stamp = f"{time.time():017.6f}".replace(".", "_")
        name = f"events.out.tfevents.{stamp}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self._file = (folder / name).open("xb")
        try:
            records.write(self._file, Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
            self._text("schema", 0, schema.to_dict())
            self.flush()
        except OSError:
            self._file.close()
            raise

    def samples(self, batch: Batch) -> None:
        """Appends samples, one event each: a float32 tensor per statistic, and a few scalars."""
        rows = [(name, self.schema.layers, values) for name, values in batch.layer.items()]
        rows += [(f"variable/{name}", self.schema.variables, values) for name, values in batch.variable.items()]
        # A statistic that a sample does not have is left out; reading it back gives NaN.
        given = [np.asarray(~np.isnan(values).all(axis=1)) for _, _, values in rows]
        names = self.schema.names("overall")
        missing = np.full(len(batch), np.nan, np.float32)
        overall = np.stack([batch.overall.get(name, missing) for name in names], axis=1)
        for i, step in enumerate(batch.steps.tolist()):
            event = Event(wall_time=batch.wall_time[i], step=step)
            for (tag, paths, values), known in zip(rows, given, strict=True):
                if known[i]:
                    self._add(event, tag, values[i], {"rows": paths})
            self._add(event, "overall", overall[i], {"rows": names})
            for path, series in batch.over_time.items():
                if len(series[i]):
                    self._add(event, f"signal_over_time/{path}", series[i], {"layer": path})
            if batch.histogram is not None:
                described = {"rows": self.schema.layers, "bins": self.schema.bins}
                self._add(event, "gradient_histogram", batch.histogram[i], described)
            for name in SCALARS:
                value = batch.overall[name][i] if name in batch.overall else np.nan
                if not np.isnan(value):
                    event.summary.value.add(tag=SCALAR_PREFIX + name, simple_value=value)
            self._write(event)

    def units(self, step: int, units: Mapping[str, Units]) -> None:
        """Appends what is known of single units so far; the last of these counts."""
        if not units:
            return
        rows = [np.stack([u.last_fired, u.revivals]) for u in units.values()]
        counts = {path: [len(u.last_fired), u.samples] for path, u in units.items()}
        event = Event(wall_time=time.time(), step=step)
        self._add(event, "units", np.concatenate(rows, axis=1), {})
        self._write(event)
        self._text("unit_counts", step, counts)

    def facts(self, step: int, facts: Mapping[str, Any]) -> None:
        """Appends the facts of the run; the last of these counts."""
        self._text("facts", step, facts)

    def findings(self, step: int, findings: Sequence[Finding]) -> None:
        """Appends all findings so far, those that were withdrawn included; the last of these counts."""
        self._text("findings", step, [finding.to_dict() for finding in findings])

    def _text(self, tag: str, step: int, content: Any) -> None:
        event = Event(wall_time=time.time(), step=step)
        _set_text(self._value(event, tag, {}), content)
        self._write(event)

    def _add(self, event: Event, tag: str, values: Any, metadata: Mapping[str, Any]) -> None:
        value = self._value(event, tag, metadata)
        value.tensor.dtype = _DTYPES[values.dtype]
        for size in values.shape:
            value.tensor.tensor_shape.dim.add(size=size)
        value.tensor.tensor_content = values.tobytes()

    def _value(self, event: Event, tag: str, metadata: Mapping[str, Any]) -> Summary.Value:
        value = event.summary.value.add(tag=TAG_PREFIX + tag)
        if tag not in self._described:
            self._described.add(tag)
            value.metadata.data_class = 2  # DATA_CLASS_TENSOR
            value.metadata.plugin_data.plugin_name = PLUGIN_NAME
            # The names of all rows, once for each statistic: of a deep model they are a third of a short run.
            described = json.dumps({"version": FORMAT_VERSION, **metadata}, separators=(",", ":"))
            value.metadata.plugin_data.content = described.encode()
        return value

    def _write(self, event: Event) -> None:
        records.write(self._file, event.SerializeToString())
        if time.monotonic() - self._flushed > self._flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Hands all samples so far to the operating system: they survive the death of this process."""
        self._flushed = time.monotonic()
        self._file.flush()

    def close(self) -> None:
        """Flushes and closes the file."""
        self._file.close()
