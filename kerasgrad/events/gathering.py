"""Puts the samples of a file together again, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasgrad.events import format
from kerasgrad.run import Run
from kerasgrad.samples import NO_TIME, Batch

AT_ONCE = 256
"""Samples that are gathered before they go into the run."""
MOST_TIME = 10_000_000
"""Time steps of a sequence; more were made up."""


@dataclass
class Record:
    """One event: its arrays and texts by tag without the prefix.

    Attributes:
        step: of training.
        wall_time: seconds since 1970.
        names: of the entries of the vector of the whole model.
        tensors: numbers by tag.
        texts: what their JSON says, by tag.
    """

    step: int
    wall_time: float
    names: Sequence[str] = ()
    tensors: dict[str, NDArray[Any]] = field(default_factory=dict)
    texts: dict[str, Any] = field(default_factory=dict)


class Gathered:
    """Samples on their way into a run.

    Args:
        run: which they are added to.
        complain: is told what does not fit.
    """

    def __init__(self, run: Run, complain: Callable[[str], None]) -> None:
        self._run = run
        self._complain = complain
        self._records: list[Record] = []
        self._newest = int(run.steps[-1]) if len(run) else -1
        schema = run.schema
        layers, variables = (len(schema.layers),), (len(schema.variables),)
        self._shapes: dict[str, tuple[int, ...]] = {format.layer_tag(name): layers for name in schema.names("layer")}
        self._shapes |= {format.variable_tag(name): variables for name in schema.names("variable")}
        self._shapes[format.HISTOGRAM] = (*layers, max(0, len(schema.bins) - 1))
        self._series = {format.time_tag(path) for path in schema.recurrent}

    def add(self, record: Record) -> None:
        """Takes in a sample, if it is later than those before."""
        if record.step <= self._newest:
            self._complain(f"a sample of step {record.step} comes after one of step {self._newest} and is left out")
            return
        self._newest = record.step
        record.tensors = {tag: values for tag, values in record.tensors.items() if self._fits(tag, values, record=record)}
        self._records.append(record)
        if len(self._records) >= AT_ONCE:
            self.flush()

    def _fits(self, tag: str, values: NDArray[Any], *, record: Record) -> bool:
        if tag == format.OVERALL:
            right = values.ndim == 1 and len(values) == len(record.names)
        elif tag in self._series:
            right = values.ndim == 1 and len(values) <= MOST_TIME
        elif tag in self._shapes:
            right = values.shape == self._shapes[tag]
        else:
            return False
        if not right or values.dtype != np.float32:
            self._complain(f"{tag} at step {record.step} has not as many numbers as there are rows")
            return False
        return True

    def flush(self) -> None:
        """Hands what was gathered to the run."""
        if self._records:
            self._run.extend(self._batch())
            self._records.clear()

    def _batch(self) -> Batch:
        """The samples as arrays, of those statistics that at least one of them has."""
        schema, tensors = self._run.schema, [record.tensors for record in self._records]
        given = {tag for of_sample in tensors for tag in of_sample}

        def table(tag: str) -> Any:
            found = np.full((len(tensors), *self._shapes[tag]), np.nan, np.float32)
            for i, of_sample in enumerate(tensors):
                if tag in of_sample:
                    found[i] = of_sample[tag]
            return found

        layers = {name: format.layer_tag(name) for name in schema.names("layer")}
        variables = {name: format.variable_tag(name) for name in schema.names("variable")}
        return Batch(
            np.array([record.step for record in self._records], np.int64),
            np.array([record.wall_time for record in self._records], np.float64),
            {name: table(tag) for name, tag in layers.items() if tag in given},
            {name: table(tag) for name, tag in variables.items() if tag in given},
            self._overall(),
            {path: [each.get(format.time_tag(path), NO_TIME) for each in tensors] for path in schema.recurrent},
            table(format.HISTOGRAM) if schema.bins else None,
        )

    def _overall(self) -> dict[str, Any]:
        """The vector of the whole model by name: the names are those of its own file, in whatever order."""
        named = [dict(zip(record.names, record.tensors.get(format.OVERALL, ()), strict=False)) for record in self._records]
        names = self._run.schema.names("overall")
        return {name: np.array([each.get(name, np.nan) for each in named], np.float32) for name in names}
