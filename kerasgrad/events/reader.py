"""Reads runs back from their event files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event

from kerasgrad import catalogue
from kerasgrad.events import directory, records
from kerasgrad.finding import Finding
from kerasgrad.run import Run, Schema, Units
from kerasgrad.samples import NO_TIME, Batch

_DTYPES = {1: np.float32, 9: np.int64}

AT_ONCE = 256
"""Samples that are gathered before they go into the run."""


@dataclass
class _Record:
    """One event: its tensors, texts and vectors by tag without the prefix."""

    step: int
    wall_time: float
    values: dict[str, Any]


def load(log_dir: str | os.PathLike[str]) -> Run:
    """Reads a run, see `Run.load`.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: the files hold no schema, or one of a later version of kerasgrad.
    """
    folder = directory.find(log_dir)
    run: Run | None = None
    texts: dict[str, Any] = {}
    units: Any = None
    damage: list[str] = []
    samples: list[_Record] = []
    newest = -1
    for record in _records(folder, damage):
        values = record.values
        if "schema" in values and run is None:
            run = Run(Schema.from_dict(values["schema"]))
        elif "overall" in values and record.step > newest:
            newest = record.step
            samples.append(record)
        if run is not None and len(samples) >= AT_ONCE:
            run.extend(_batch(samples, run.schema))
            samples.clear()
        texts |= {name: values[name] for name in ("facts", "unit_counts", "findings") if name in values}
        units = values.get("units", units)
    if run is None:
        raise ValueError(
            f"The event files there hold no rows: {' '.join(damage) or 'they ended too early.'} Received: {folder}"
        )
    run.extend(_batch(samples, run.schema))
    run.facts |= texts.get("facts", {})
    run.findings = tuple(Finding.from_dict(finding) for finding in texts.get("findings", ()))
    run.facts["directory"] = str(folder)
    if damage:
        run.facts["damaged"] = damage
    _restore_units(run, units, texts.get("unit_counts", {}))
    return run


def _records(folder: Path, damage: list[str]) -> Iterator[_Record]:
    """All records of a folder in order; a damaged file is read up to the damage, which is noted."""
    for path in sorted(p for p in folder.iterdir() if "tfevents" in p.name and p.is_file()):
        described: dict[str, dict[str, Any]] = {}
        try:
            for payload in records.read(path):
                event = Event.FromString(payload)
                yield _Record(event.step, event.wall_time, _decoded(event, described))
        except records.DamagedError as error:
            damage.append(str(error))


def _decoded(event: Event, described: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Our tensors in an event, by tag without the prefix; texts as what their JSON says, `overall` by name.

    Args:
        event: of a run.
        described: what the file said of each tag so far, to which is added.
    """
    values = {}
    for value in event.summary.value:
        if not value.tag.startswith(catalogue.TAG_PREFIX):
            continue
        name, tensor = value.tag[len(catalogue.TAG_PREFIX) :], value.tensor
        if value.metadata.plugin_data.content:
            described[name] = _description(value.metadata.plugin_data.content)
        if tensor.string_val:
            values[name] = json.loads(tensor.string_val[0])
        elif tensor.dtype in _DTYPES:
            array = np.frombuffer(tensor.tensor_content, _DTYPES[tensor.dtype])
            dims = tensor.tensor_shape.dim
            values[name] = array if len(dims) == 1 else array.reshape([d.size for d in dims])
    if "overall" in values:
        rows = described.get("overall", {}).get("rows", ())
        values["overall"] = dict(zip(rows, values["overall"], strict=False))
    return values


def _description(content: bytes) -> dict[str, Any]:
    description: dict[str, Any] = json.loads(content)
    version = description.get("version")
    if version != catalogue.FORMAT_VERSION:
        raise ValueError(
            f"The run was written in format {version}, this kerasgrad reads {catalogue.FORMAT_VERSION}; "
            "pip install --upgrade kerasgrad"
        )
    return description


def _batch(samples: Sequence[_Record], schema: Schema) -> Batch:
    """The samples as arrays, of those statistics that at least one of them has."""
    values = [record.values for record in samples]

    def table(tag: str, rows: int) -> Any:
        found = np.full((len(values), rows), np.nan, np.float32)
        for i, of_sample in enumerate(values):
            if tag in of_sample:
                found[i] = of_sample[tag]
        return found

    given = {tag for of_sample in values for tag in of_sample}
    overall = [of_sample["overall"] for of_sample in values]
    histograms = [of_sample.get("gradient_histogram", np.nan) for of_sample in values]
    bins = (len(schema.layers), len(schema.bins) - 1)
    return Batch(
        np.array([record.step for record in samples], np.int64),
        np.array([record.wall_time for record in samples], np.float64),
        {name: table(name, len(schema.layers)) for name in schema.names("layer") if name in given},
        {
            name: table(f"variable/{name}", len(schema.variables))
            for name in schema.names("variable")
            if f"variable/{name}" in given
        },
        {name: np.array([each.get(name, np.nan) for each in overall], np.float32) for name in schema.names("overall")},
        {path: [of_sample.get(f"signal_over_time/{path}", NO_TIME) for of_sample in values] for path in schema.recurrent},
        np.stack([np.broadcast_to(each, bins) for each in histograms]) if schema.bins and samples else None,
    )


def _restore_units(run: Run, units: Any, counts: dict[str, list[int]]) -> None:
    if units is None:
        return
    start = 0
    for path, (length, samples) in counts.items():
        last_fired, revivals = units[:, start : start + length]
        run.units[path] = Units(last_fired.copy(), revivals.copy(), samples)
        start += length
