"""Reads runs back from their event files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event

from kerasgrad import catalogue
from kerasgrad.events import directory, records
from kerasgrad.finding import Finding
from kerasgrad.run import Run, Sample, Schema, Units

_DTYPES = {1: np.float32, 9: np.int64}


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
    for event in _events(folder, damage):
        values = _decoded(event)
        if "schema" in values and run is None:
            run = Run(Schema.from_dict(values["schema"]))
        elif "overall" in values and run is not None and (not len(run) or event.step > run.steps[-1]):
            run.append(_sample(event, values, run.schema))
        texts |= {name: values[name] for name in ("facts", "unit_counts", "findings") if name in values}
        units = values.get("units", units)
    if run is None:
        raise ValueError(
            f"The event files there hold no rows: {' '.join(damage) or 'they ended too early.'} Received: {folder}"
        )
    run.facts |= texts.get("facts", {})
    run.findings = tuple(Finding.from_dict(finding) for finding in texts.get("findings", ()))
    run.facts["directory"] = str(folder)
    if damage:
        run.facts["damaged"] = damage
    _restore_units(run, units, texts.get("unit_counts", {}))
    return run


def _events(folder: Path, damage: list[str]) -> Iterator[Event]:
    """All events of a folder in order; a damaged file is read up to the damage, which is noted."""
    for path in sorted(p for p in folder.iterdir() if "tfevents" in p.name and p.is_file()):
        try:
            for payload in records.read(path):
                yield Event.FromString(payload)
        except records.DamagedError as error:
            damage.append(str(error))


def _decoded(event: Event) -> dict[str, Any]:
    """Our tensors in an event, by tag without the prefix; texts as what their JSON says."""
    values = {}
    for value in event.summary.value:
        if not value.tag.startswith(catalogue.TAG_PREFIX):
            continue
        if value.metadata.plugin_data.content:
            _check_version(value.metadata.plugin_data.content)
        name, tensor = value.tag[len(catalogue.TAG_PREFIX) :], value.tensor
        if tensor.string_val:
            values[name] = json.loads(tensor.string_val[0])
        elif tensor.dtype in _DTYPES:
            array = np.frombuffer(tensor.tensor_content, _DTYPES[tensor.dtype])
            dims = tensor.tensor_shape.dim
            values[name] = array if len(dims) == 1 else array.reshape([d.size for d in dims])
    return values


def _check_version(content: bytes) -> None:
    version = json.loads(content).get("version")
    if version != catalogue.FORMAT_VERSION:
        raise ValueError(
            f"The run was written in format {version}, this kerasgrad reads {catalogue.FORMAT_VERSION}; "
            "pip install --upgrade kerasgrad"
        )


def _sample(event: Event, values: dict[str, Any], schema: Schema) -> Sample:
    layer = {n: values[n] for n in catalogue.names("layer") if n in values}
    variable = {n: values[f"variable/{n}"] for n in catalogue.names("variable") if f"variable/{n}" in values}
    overall = dict(zip(catalogue.names("overall"), values["overall"].tolist(), strict=False))
    over_time = {p: values[f"signal_over_time/{p}"] for p in schema.recurrent if f"signal_over_time/{p}" in values}
    return Sample(event.step, event.wall_time, layer, variable, overall, over_time, values.get("gradient_histogram"))


def _restore_units(run: Run, units: Any, counts: dict[str, list[int]]) -> None:
    if units is None:
        return
    start = 0
    for path, (length, samples) in counts.items():
        last_fired, revivals = units[:, start : start + length]
        run.units[path] = Units(last_fired.copy(), revivals.copy(), samples)
        start += length
