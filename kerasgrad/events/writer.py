"""Writes samples to an event file that plain TensorBoard reads as well."""

from __future__ import annotations

import itertools
import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from kerasgrad.events import directory, format, records
from kerasgrad.events.places import Place
from kerasgrad.finding import Finding
from kerasgrad.run import Schema, Units
from kerasgrad.samples import Batch

LONG_BYTES, LONG_SECONDS = 512, 60.0
"""What is longer, of facts and units, is written at most so often: whole at each flush it would be most of the file."""
REMOTE_SECONDS = 60.0
"""A remote file is put there whole at each flush."""
REMOTE_BYTES = 8 * 2**20
"""Beyond this a remote file is ended, and the next begun."""

_numbers = itertools.count()


def add_facts(file: Place, facts: Mapping[str, Any], *, step: int) -> None:
    """Appends facts to a file that is closed already, in the place of those of the same name.

    Args:
        file: an event file of a run, on a local disk.
        step: of its last sample.
        facts: those to be added.

    Raises:
        OSError: it cannot be written.
    """
    event = Event(wall_time=time.time(), step=step)
    for key, fact in facts.items():
        value = event.summary.value.add(tag=format.PREFIX + format.FACT_PREFIX + key)
        _describe(value, {})
        _set_text(value, format.text(fact))
    with file.open("ab") as appended:
        records.write(appended, event.SerializeToString())


def _set_text(value: Summary.Value, strings: Sequence[bytes]) -> None:
    value.tensor.dtype = format.DT_STRING
    value.tensor.tensor_shape.dim.add(size=len(strings))
    value.tensor.string_val.extend(strings)


def _describe(value: Summary.Value, of_tag: Mapping[str, Any]) -> None:
    value.metadata.data_class = 2  # DATA_CLASS_TENSOR
    value.metadata.plugin_data.plugin_name = format.PLUGIN_NAME
    value.metadata.plugin_data.content = format.description(**of_tag)


class Writer:
    """Appends to a run's directory, one event file a session, or one after the other where it is remote.

    Args:
        folder: the run's folder.
        schema: its rows.
        session: what this session is, see `docs/event-format.md`; the reader tells trainings apart by it.

    Raises:
        OSError: from any method, when the disk says no.
    """

    def __init__(self, folder: Place, schema: Schema, *, session: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.schema = schema
        self._session = dict(session or {})
        self._remote = not directory.is_local(folder)
        self._checked = (
            *(format.layer_tag(name) for name in schema.names("layer")),
            *(format.variable_tag(name) for name in schema.names("variable")),
            *(format.time_tag(path) for path in schema.recurrent),
            format.OVERALL,
            *((format.HISTOGRAM,) if schema.bins else ()),
        )
        self._written: dict[str, tuple[str, float]] = {}
        self._waiting: dict[str, tuple[int, str]] = {}
        self._units: tuple[int, Mapping[str, Units]] | None = None
        self._open()

    def _open(self) -> None:
        """Begins a file; each says for itself what its tags are."""
        self._described: set[str] = set()
        self._repeated = False
        # A clock that was set back must not put this file before those that are there.
        stamp = max([int(time.time()), *map(directory.stamp, directory.event_files(self.folder))])
        name = f"events.out.tfevents.{stamp:010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self._file = (self.folder / name).open("xb")
        try:
            records.write(self._file, Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
            if self._session:
                self._text(format.SESSION, 0, content=self._session)
            self._text(format.SCHEMA, 0, content=format.rows(self.schema))
            self._file.flush()
        except OSError:
            self._file.close()
            raise
        self._flushed = time.monotonic()

    def samples(self, batch: Batch) -> None:
        """Appends samples, one event each: a float32 tensor per statistic, their checksums, and a few scalars."""
        rows = [
            (format.layer_tag(name), self.schema.layers, batch.layer[name])
            for name in self.schema.names("layer")
            if name in batch.layer
        ]
        rows += [
            (format.variable_tag(name), self.schema.variables, batch.variable[name])
            for name in self.schema.names("variable")
            if name in batch.variable
        ]
        # A statistic that a sample does not have is left out; reading it back gives NaN.
        given = [np.asarray(~np.isnan(values).all(axis=1)) for _, _, values in rows]
        names = self.schema.names("overall")
        missing = np.full(len(batch), np.nan, np.float32)
        overall = np.stack([batch.overall.get(name, missing) for name in names], axis=1)
        for i, step in enumerate(batch.steps.tolist()):
            event = Event(wall_time=batch.wall_time[i], step=step)
            checks: dict[str, int] = {}
            for (tag, paths, values), known in zip(rows, given, strict=True):
                if known[i]:
                    self._add(event, tag, values=values[i], of_tag={"rows": paths}, checks=checks)
            self._add(event, format.OVERALL, values=overall[i], of_tag={"rows": names}, checks=checks)
            for path, series in batch.over_time.items():
                if len(series[i]):
                    self._add(event, format.time_tag(path), values=series[i], of_tag={"layer": path}, checks=checks)
            if batch.histogram is not None:
                bins = {"rows": self.schema.layers, "bins": self.schema.bins}
                self._add(event, format.HISTOGRAM, values=batch.histogram[i], of_tag=bins, checks=checks)
            sums = np.array([checks.get(tag, 0) for tag in self._checked], np.int32)
            self._add(event, format.CHECKS, values=sums, of_tag={"rows": self._checked})
            _add_scalars(event, batch, sample=i)
            self._write(event)
        if not self._repeated:  # damage to the first one would leave rows without names
            self._repeated = True
            self._text(format.SCHEMA, int(batch.steps[-1]), content=format.rows(self.schema))
        self.flush()

    def units(self, step: int, units: Mapping[str, Units]) -> None:
        """Appends what is known of single units so far, if it has changed; the last of these counts."""
        if units:
            self._put_units(step, units, at_last=False)

    def _put_units(self, step: int, units: Mapping[str, Units], *, at_last: bool) -> None:
        rows = np.concatenate([np.stack([u.last_fired, u.revivals]) for u in units.values()], axis=1)
        counts = {path: [len(u.last_fired), u.samples] for path, u in units.items()}
        known, since = self._written.get(format.UNITS, ("", -np.inf))
        long = rows.nbytes > LONG_BYTES and time.monotonic() - since < LONG_SECONDS
        self._units = (step, units) if long and not at_last else None
        seen = json.dumps(counts)
        if (long and not at_last) or known == seen:  # each sample of a layer counts, so that its units do not change alone
            return
        self._written[format.UNITS] = seen, time.monotonic()
        event = Event(wall_time=time.time(), step=step)
        self._add(event, format.UNITS, values=rows, of_tag={})
        _set_text(self._value(event, format.UNIT_COUNTS, of_tag={}), format.text(counts))
        self._write(event)

    def facts(self, step: int, facts: Mapping[str, Any]) -> None:
        """Appends the facts of the run that have changed; of each the last counts."""
        for key, value in facts.items():
            if key not in format.NOT_STORED:
                self._waiting[key] = step, json.dumps(value)
        self._put_facts(step, at_last=False)

    def _put_facts(self, step: int, *, at_last: bool) -> None:
        """Writes those that wait: all of them at last, before that what is long at most once a minute."""
        now, event = time.monotonic(), Event(wall_time=time.time(), step=step)
        for key, (_, written) in list(self._waiting.items()):
            known, since = self._written.get(format.FACT_PREFIX + key, ("", -np.inf))
            if known != written and len(written) > LONG_BYTES and now - since < LONG_SECONDS and not at_last:
                continue
            del self._waiting[key]
            if known != written:
                self._written[format.FACT_PREFIX + key] = written, now
                _set_text(self._value(event, format.FACT_PREFIX + key, of_tag={}), format.checked(written.encode()))
        if event.summary.value:
            self._write(event)

    def findings(self, step: int, findings: Sequence[Finding]) -> None:
        """Appends all findings so far, those that were withdrawn included; the last of these counts."""
        self._text(format.FINDINGS, step, content=[finding.to_dict() for finding in findings])

    def _text(self, tag: str, step: int, *, content: Any) -> None:
        event = Event(wall_time=time.time(), step=step)
        _set_text(self._value(event, tag, of_tag={}), format.text(content))
        self._write(event)

    def _add(
        self, event: Event, tag: str, *, values: Any, of_tag: Mapping[str, Any], checks: dict[str, int] | None = None
    ) -> None:
        value = self._value(event, tag, of_tag=of_tag)
        value.tensor.dtype = format.DTYPES[values.dtype]
        for size in values.shape:
            value.tensor.tensor_shape.dim.add(size=size)
        content = values.tobytes()
        value.tensor.tensor_content = content
        if checks is not None:
            checks[tag] = format.checksum(event.step, content)

    def _value(self, event: Event, tag: str, *, of_tag: Mapping[str, Any]) -> Summary.Value:
        value = event.summary.value.add(tag=format.PREFIX + tag)
        if tag not in self._described:
            # The names of all rows, once for each statistic: of a deep model they are a third of a short run.
            self._described.add(tag)
            _describe(value, of_tag)
        return value

    def _write(self, event: Event) -> None:
        records.write(self._file, event.SerializeToString())

    def flush(self) -> None:
        """Hands all so far to the operating system, where it survives this process; to a remote place once a minute.

        Raises:
            FileNotFoundError: the file was removed while it was written.
        """
        if not self._remote:
            self._file.flush()
            if os.fstat(self._file.fileno()).st_nlink == 0:
                self._file.close()
                raise FileNotFoundError(f"{self._file.name} was removed while it was written")
        elif time.monotonic() - self._flushed >= REMOTE_SECONDS:
            self._flushed = time.monotonic()
            self._file.flush()
            if self._file.tell() > REMOTE_BYTES:
                self._file.close()
                self._open()

    def close(self) -> None:
        """Writes what still waits, and closes the file."""
        try:
            self._put_facts(max((step for step, _ in self._waiting.values()), default=0), at_last=True)
            if self._units is not None:
                self._put_units(*self._units, at_last=True)
        finally:
            self._file.close()


def _add_scalars(event: Event, batch: Batch, *, sample: int) -> None:
    for name in format.SCALARS:
        value = batch.overall[name][sample] if name in batch.overall else np.nan
        if not np.isnan(value):
            event.summary.value.add(tag=format.SCALAR_PREFIX + name, simple_value=value)
