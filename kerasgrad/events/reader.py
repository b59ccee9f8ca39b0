"""Reads runs back from their event files. What cannot be read is left out and named in the fact `damaged`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event

from kerasgrad.events import directory, format, records
from kerasgrad.events.gathering import Gathered, Record
from kerasgrad.events.places import Place
from kerasgrad.finding import Finding
from kerasgrad.metadata import Facts, fits, misfits
from kerasgrad.run import Run, Schema, Units

MOST_COMPLAINTS = 20


class Complaints(list[str]):
    """What could not be read, in the order in which it was met; of many the number is enough."""

    met = 0

    def __call__(self, what: str) -> None:
        """Adds one."""
        self.met += 1
        if self.met <= MOST_COMPLAINTS and what not in self:
            self.append(what)

    def said(self) -> list[str]:
        """All of them."""
        more = self.met - MOST_COMPLAINTS
        return [*self, f"and {more} more"] if more > 0 else list(self)


@dataclass
class _File:
    """An event file, as far as its beginning tells.

    Attributes:
        path: where it is.
        run_id: of the training that it is of, None before version 2.
        schema: its rows, None where they are not there.
        first: step of its first sample, None if it has none.
    """

    path: Place
    run_id: str | None = None
    schema: Schema | None = None
    first: int | None = None


@dataclass
class _Said:
    """What the texts of some files say last."""

    facts: dict[str, Any] = field(default_factory=dict)
    findings: Any = ()
    units: Any = None
    counts: Any = None


def load(log_dir: str | os.PathLike[str] | Place) -> Run:
    """Reads a run, see `Run.load`.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: the files hold no schema, or are of a later version of kerasgrad.
    """
    folder, complaints = directory.find(log_dir), Complaints()
    files = _of_one_run([_opened(path, complaints) for path in directory.event_files(folder)], complaints)
    if not files or files[0].schema is None:
        reason = "; ".join(complaints.said()) or "they ended too early"
        raise ValueError(f"The event files there hold no rows: {reason}. Received: {folder}")
    run, said = Run(files[0].schema), _Said()
    for i, file in enumerate(files):
        later = [other.first for other in files[i + 1 :] if other.first is not None]
        _read(file, run, said=said, complaints=complaints, until=min(later, default=None))
    _add_facts(run, said.facts, complaints=complaints)
    run.findings = tuple(_findings(said.findings, complaints))
    _add_units(run, said, complaints=complaints)
    run.facts["directory"] = str(folder)
    if complaints:
        run.facts["damaged"] = complaints.said()
    return run


def _opened(path: Place, complaints: Complaints) -> _File:
    """Looks into a file as far as its first sample, or as far as the names of its rows."""
    file = _File(path)
    reason = ""
    for record in _records(path, Complaints()):
        texts = record.texts
        session = texts.get(format.SESSION)
        if isinstance(session, dict) and isinstance(session.get("run"), str):
            file.run_id = session["run"]
        if format.OVERALL in record.tensors and file.first is None and record.step >= 0:
            file.first = record.step
        if format.SCHEMA in texts and file.schema is None:
            try:
                file.schema = Schema.from_dict(texts[format.SCHEMA])
            except ValueError as error:
                reason = str(error)
        if file.schema is not None and file.first is not None:
            break
    if file.schema is None:
        for _ in _records(path, complaints):  # says what is damaged
            pass
        complaints(f"{path.name} does not name its rows{': ' + reason if reason else ''}")
    return file


def _of_one_run(files: list[_File], complaints: Complaints) -> list[_File]:
    """Those files that belong to the training that was begun last; what else lies in the folder is named."""
    readable = [file for file in files if file.schema is not None]
    if not readable:
        return []
    ids = [file.run_id for file in readable]
    kept = [file for file in readable if file.run_id == ids[-1]]
    schema = kept[0].schema
    same = [file for file in kept if file.schema == schema]
    others = {"another training": len(readable) - len(kept), "other rows": len(kept) - len(same)}
    for what, count in others.items():
        if count:
            complaints(f"{count} of {len(files)} event files here are of {what} and left out")
    return same


def _records(path: Place, complaints: Complaints) -> Iterator[Record]:
    """The records of a file in order; what is damaged is left out and said."""
    described: dict[str, Any] = {}

    def damaged(what: str) -> None:
        complaints(f"{path.name}: {what}")

    with path.open("rb") as file:
        for payload in records.read(cast(Any, file), damaged):
            try:
                event = Event.FromString(payload)
            except DecodeError:
                damaged("a record is no event")
                continue
            yield _decoded(event, described, damaged=damaged)


def _decoded(event: Event, described: dict[str, Any], *, damaged: Any) -> Record:
    """Our tensors and texts in an event, by tag without the prefix.

    Args:
        event: of a run.
        described: the names of each tag's rows as far as the file has said them, to which is added.
        damaged: is told what does not fit.

    Raises:
        VersionError: it is of a later version.
    """
    record = Record(event.step, event.wall_time)
    for value in event.summary.value:
        if not value.tag.startswith(format.PREFIX):
            continue
        tag = value.tag[len(format.PREFIX) :]
        try:
            if value.metadata.plugin_data.content:
                described[tag] = format.row_names(format.described(value.metadata.plugin_data.content))
            if format.is_text(tag):
                record.texts[tag] = format.parsed(value.tensor.string_val)
                if tag == format.SCHEMA and isinstance(record.texts[tag], dict):
                    named = format.row_names({"rows": record.texts[tag].get(format.OVERALL)})
                    described.setdefault(format.OVERALL, named)
            else:
                record.tensors[tag] = format.numbers(value.tensor)
        except format.VersionError:
            raise
        except format.FormatError as error:
            damaged(f"{tag} at step {event.step}: {error}")
    record.names = described.get(format.OVERALL, ())
    return record


def _read(file: _File, run: Run, *, said: _Said, complaints: Complaints, until: int | None) -> None:
    """Adds what a file holds to a run.

    Args:
        file: of the run.
        run: the run so far.
        said: the texts so far.
        complaints: is told what does not fit.
        until: the step at which a later session began, if that is known: from there on its samples count.
    """
    gathered = Gathered(run, lambda what: complaints(f"{file.path.name}: {what}"))
    over = 0
    for record in _records(file.path, complaints):
        if format.OVERALL in record.tensors:
            if until is not None and record.step >= until:
                over += 1
            else:
                gathered.add(record)
        for tag, text in record.texts.items():
            if tag == format.FACTS and isinstance(text, dict):
                said.facts |= text
            elif tag.startswith(format.FACT_PREFIX):
                said.facts[tag.removeprefix(format.FACT_PREFIX)] = text
            elif tag == format.FINDINGS:
                said.findings = text
            elif tag == format.UNIT_COUNTS:
                said.counts = text
        said.units = record.tensors.get(format.UNITS, said.units)
    gathered.flush()
    if over:
        complaints(f"{over} samples from step {until} on were trained again by a later session, whose samples count")


def _add_facts(run: Run, facts: Mapping[str, Any], *, complaints: Complaints) -> None:
    wrong = misfits(facts)
    for name in wrong:
        complaints(f"the fact {name!r} is not what it should be")
    run.facts |= cast(Facts, {name: fact for name, fact in facts.items() if name not in wrong})


def _findings(listed: Any, complaints: Complaints) -> Iterator[Finding]:
    for each in listed if isinstance(listed, list | tuple) else ():
        try:
            yield finding(each)
        except ValueError as error:
            complaints(f"a finding {error}")


_OF_FINDINGS: dict[str, Any] = {
    "rule": str, "severity": str, "summary": str, "layers": list[str], "starts_at": str, "since": int | None,
    "quantity": str, "measured": float | str, "threshold": float | str, "samples": int, "causes": list[str],
    "remedies": list[str], "withdrawn": int | None,
}  # fmt: skip


def finding(values: Any) -> Finding:
    """A finding as a file holds it.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(values, dict):
        raise ValueError("is no dict")
    wrong = [name for name, kind in _OF_FINDINGS.items() if name in values and not fits(values[name], kind)]
    if wrong:
        raise ValueError(f"has {', '.join(wrong)} that cannot be")
    try:
        return Finding.from_dict(values)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"cannot be read: {error}") from error


def _add_units(run: Run, said: _Said, *, complaints: Complaints) -> None:
    """What is known of single units, if both parts of it are there and fit."""
    if said.units is None or said.counts is None:
        return
    counts = said.counts
    right = fits(counts, dict[str, list[int]]) and all(
        len(count) == 2 and count[0] == run.schema.units.get(path) and count[1] >= 0 for path, count in counts.items()
    )
    if not right or said.units.shape != (2, sum(length for length, _ in counts.values())):
        complaints("what is known of single units does not fit the rows")
        return
    start = 0
    for path, (length, samples) in counts.items():
        last_fired, revivals = said.units[:, start : start + length]
        run.units[path] = Units(last_fired.astype("int64"), revivals.astype("int64"), samples)
        start += length
