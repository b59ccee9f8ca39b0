"""What TensorBoard's data provider holds of one run: texts, and numbers by step, each checked. Knows nothing of HTTP.

The fast loader does not look at the checksums of the file, so that a flipped bit would be drawn as a number. Each sample
holds the checksums of its tensors, and each text its own; what fails is left out and named.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.data.provider import RunTagFilter

from kerasgrad.events import format
from kerasgrad.events.reader import finding
from kerasgrad.metadata import misfits
from kerasgrad.run import Schema

logger = logging.getLogger("kerasgrad")

EVERYTHING = 1 << 30
"""What the provider is asked for, so that it thins nothing itself; 0 would mean none."""
MOST_FACTS = 200
"""More were not written by kerasgrad."""
NOT_DRAWN = {format.FACT_PREFIX + "history"}
"""Facts that the page has no use for."""
STEPS_NAMED = 5


class NotServedError(ValueError):
    """What was asked for is not there, or makes no sense; the message says why."""


@dataclass
class Memory:
    """What is kept of a run between two looks.

    Attributes:
        texts: by tag, with the stamp of the series when it was read.
        sums: checksums by step, with that stamp.
        damaged: steps at which a tag was left out.
    """

    texts: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    sums: tuple[Any, dict[int, Any]] = (None, {})
    damaged: dict[str, set[int]] = field(default_factory=dict)


class Provided:
    """One run as the provider holds it now.

    Args:
        provider: TensorBoard's data provider, of either loader.
        where: context, experiment and name of the run.
        tags: what it has, as the provider lists it.
        memory: what earlier looks have kept.
    """

    def __init__(self, provider: Any, where: tuple[Any, str, str], *, tags: Mapping[str, Any], memory: Memory) -> None:
        self._provider = provider
        self._where = where
        self._series = {
            tag.removeprefix(format.PREFIX): series for tag, series in tags.items() if tag.startswith(format.PREFIX)
        }
        self._memory = memory

    def __contains__(self, tag: str) -> bool:
        """Whether there is anything under a tag, without its prefix."""
        return tag in self._series

    def stamp(self, tag: str) -> tuple[Any, ...]:
        """What changes when a tag has something new."""
        series = self._series[tag]
        return series.max_step, series.max_wall_time

    def check_versions(self) -> None:
        """Makes sure that all tags can be read.

        Raises:
            NotServedError: one cannot.
        """
        for tag in self._series:
            self.row_names(tag)

    def row_names(self, tag: str) -> tuple[str, ...]:
        """The names of a tag's rows.

        Raises:
            NotServedError: the tag's description cannot be read, or is of a later version.
        """
        try:
            return format.row_names(format.described(self._series[tag].plugin_content))
        except format.VersionError as error:
            raise NotServedError(str(error)) from error
        except format.FormatError as error:
            raise NotServedError(f"The description of {tag!r} cannot be read: {error}.") from error

    def schema(self) -> Schema:
        """The rows of the run.

        Raises:
            NotServedError: there are none, or they do not fit together.
        """
        found = self._texts([format.SCHEMA]).get(format.SCHEMA)
        if not isinstance(found, dict):
            raise NotServedError("The names of its layers are missing: its event file is damaged or ended too early.")
        try:
            schema = Schema.from_dict(found)
        except ValueError as error:
            raise NotServedError(f"The names of its layers cannot be read: {error}.") from error
        if not schema.layers:
            raise NotServedError("It has no layers: nothing in the model could be examined.")
        return schema

    def facts(self) -> dict[str, Any]:
        """The facts of the run, and among its notes what is damaged."""
        named = [tag for tag in self._series if tag.startswith(format.FACT_PREFIX) and tag not in NOT_DRAWN]
        texts = self._texts([format.FACTS, *named[:MOST_FACTS]])
        whole = texts.pop(format.FACTS, {})
        facts: dict[str, Any] = whole if isinstance(whole, dict) else {}
        facts |= {tag.removeprefix(format.FACT_PREFIX): fact for tag, fact in texts.items()}
        for name in misfits(facts):
            del facts[name]
        if self._memory.damaged:
            facts["notes"] = [*facts.get("notes", ()), *self._damage()]
        return facts

    def findings(self) -> list[dict[str, Any]]:
        """The findings that the run holds, whether as a list or as a whole diagnosis."""
        found = self._texts([format.FINDINGS]).get(format.FINDINGS)
        listed = found.get("findings") if isinstance(found, dict) else found
        return list(_findings(listed if isinstance(listed, list) else []))

    def numbers(self, tag: str, width: int | None, *, most: int = EVERYTHING) -> tuple[NDArray[np.float64], list[Any]]:
        """The numbers of a tag, without those that are damaged.

        Args:
            tag: without its prefix.
            width: how many each sample must have; None for any number.
            most: samples that are asked for.

        Returns:
            The steps, rising, and for each a float32 array of one dimension. Where a later session trained steps again,
            its samples count, as in `Run.load`.
        """
        sums, place = self._sums(tag)
        good: list[tuple[int, Any]] = []
        for datum in self._read([tag], most).get(tag, ()):
            values = np.asarray(datum.numpy)
            right = values.dtype == np.float32 and (width is None or values.size == width)
            expected = sums.get(datum.step)
            if right and expected is not None:
                right = int(expected[place]) == format.checksum(datum.step, values.astype("<f4", copy=False).tobytes())
            if right:
                good.append((datum.step, values.reshape(-1)))
            else:
                self._memory.damaged.setdefault(tag, set()).add(int(datum.step))
        steps = np.array([step for step, _ in good], np.float64)
        later = np.append(np.minimum.accumulate(steps[::-1])[::-1][1:], np.inf)
        kept = np.flatnonzero(steps < later) if len(steps) else np.zeros(0, np.int64)
        return steps[kept], [good[i][1] for i in kept]

    def _sums(self, tag: str) -> tuple[dict[int, Any], int]:
        """The checksums of a tag by step, and where in them it stands; none for a file of version 1."""
        if format.CHECKS not in self._series:
            return {}, 0
        names = self.row_names(format.CHECKS)
        if tag not in names:
            return {}, 0
        stamp = self.stamp(format.CHECKS)
        if self._memory.sums[0] != stamp:
            data = self._read([format.CHECKS], EVERYTHING).get(format.CHECKS, ())
            arrays = ((datum.step, np.asarray(datum.numpy)) for datum in data)
            self._memory.sums = stamp, {step: sums for step, sums in arrays if sums.shape == (len(names),)}
        return self._memory.sums[1], names.index(tag)

    def _texts(self, tags: Sequence[str]) -> dict[str, Any]:
        """What text tags say last; what cannot be read is left out."""
        wanted = [tag for tag in tags if tag in self._series]
        known = self._memory.texts
        new = [tag for tag in wanted if tag not in known or known[tag][0] != self.stamp(tag)]
        for tag, data in self._read(new, 1).items() if new else ():
            text = next(_readable(data), None)
            if text is None:  # the last one is damaged; the one before it is better than nothing
                text = next(_readable(self._read([tag], EVERYTHING).get(tag, ())), (None,))
                self._memory.damaged.setdefault(tag, set()).add(int(self._series[tag].max_step))
            known[tag] = self.stamp(tag), text[0]
        return {tag: known[tag][1] for tag in wanted if tag in known and known[tag][1] is not None}

    def _read(self, tags: Sequence[str], most: int) -> dict[str, Any]:
        context, experiment, run = self._where
        chosen = RunTagFilter(runs=[run], tags=[format.PREFIX + tag for tag in tags])
        try:
            read = self._provider.read_tensors(
                context,
                experiment_id=experiment,
                plugin_name=format.PLUGIN_NAME,
                downsample=most,
                run_tag_filter=chosen,
            )
        except Exception as error:  # of what a made-up tensor does to TensorBoard there is no list
            logger.info("kerasgrad: TensorBoard cannot read %s of %s", tags, run, exc_info=True)
            raise NotServedError(f"TensorBoard cannot read its records: {type(error).__name__}.") from error
        return {tag.removeprefix(format.PREFIX): data for tag, data in read.get(run, {}).items()}

    def _damage(self) -> Iterator[str]:
        for tag, steps in sorted(self._memory.damaged.items()):
            named = ", ".join(map(str, sorted(steps)[:STEPS_NAMED]))
            more = f" and {len(steps) - STEPS_NAMED} more" if len(steps) > STEPS_NAMED else ""
            yield f"damaged in the file and left out: {tag} at step {named}{more}"


def _readable(data: Sequence[Any]) -> Iterator[tuple[Any]]:
    """What the texts of a series say, the newest first, in a tuple since one may say nothing; those damaged are left out."""
    for datum in reversed(data):
        strings = np.asarray(datum.numpy).reshape(-1)
        try:
            yield (format.parsed([string.encode() if isinstance(string, str) else string for string in strings]),)
        except (format.FormatError, TypeError):
            continue


def _findings(listed: Sequence[Any]) -> Iterator[dict[str, Any]]:
    for each in listed:
        try:
            yield finding(each).to_dict()
        except ValueError:
            continue
