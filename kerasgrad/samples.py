"""What was measured: one step, many steps at once, and the arrays that grow by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NO_TIME: Floats = np.zeros(0, np.float32)
"""The signal over time of a sample that has none."""


@dataclass
class Sample:
    """One observed step, for runs that are made by hand; see `Batch` for many.

    Attributes:
        step: the monitor's count of training batches before it.
        wall_time: seconds since the epoch.
        layer: float32 `[layers]` by statistic.
        variable: float32 `[variables]` by statistic.
        overall: one number by statistic.
        over_time: signal per time step, float32 `[time]` by layer.
        histogram: float32 `[layers, bins]`, or None.
    """

    step: int
    wall_time: float
    layer: dict[str, Floats]
    variable: dict[str, Floats]
    overall: dict[str, float]
    over_time: dict[str, Floats] = field(default_factory=dict)
    histogram: Floats | None = None

    def as_batch(self) -> Batch:
        """The same as a batch of one."""
        return Batch(
            np.array([self.step], np.int64),
            np.array([self.wall_time]),
            {name: values[None] for name, values in self.layer.items()},
            {name: values[None] for name, values in self.variable.items()},
            {name: np.array([value], np.float32) for name, value in self.overall.items()},
            {path: [values] for path, values in self.over_time.items()},
            None if self.histogram is None else self.histogram[None],
        )


@dataclass
class Batch:
    """Some observed steps in their order. What is not in it was not measured, and NaN in the run.

    Attributes:
        steps: the monitor's count of training batches before each, int64 `[samples]`, rising.
        wall_time: seconds since 1970, float64 `[samples]`.
        layer: float32 `[samples, layers]` by statistic.
        variable: float32 `[samples, variables]` by statistic.
        overall: float32 `[samples]` by statistic.
        over_time: signal per time step by layer: for each sample float32 `[time]`, of length 0 where there is none.
        histogram: float32 `[samples, layers, bins]`, or None.
    """

    steps: NDArray[np.int64]
    wall_time: NDArray[np.float64]
    layer: Mapping[str, Floats] = field(default_factory=dict)
    variable: Mapping[str, Floats] = field(default_factory=dict)
    overall: Mapping[str, Floats] = field(default_factory=dict)
    over_time: Mapping[str, Sequence[Floats]] = field(default_factory=dict)
    histogram: Floats | None = None

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.steps)


class Table:
    """Rows that grow at the end, in one array.

    Args:
        shape: of a row.
        dtype: of its entries.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.float32) -> None:
        self._values = np.empty((0, *shape), dtype)
        self.length = 0

    def extend(self, rows: Any) -> None:
        """Adds rows, `[rows, *shape]`."""
        needed = self.length + len(rows)
        if needed > len(self._values):
            grown = np.empty((max(needed, 2 * self.length), *self._values.shape[1:]), self._values.dtype)
            grown[: self.length] = self.values
            self._values = grown
        self._values[self.length : needed] = rows
        self.length = needed

    def missing(self, count: int) -> Any:
        """So many rows of NaN, of this table's shape."""
        return np.full((count, *self._values.shape[1:]), np.nan, self._values.dtype)

    @property
    def values(self) -> Any:
        """All rows, as a view."""
        return self._values[: self.length]

    def keep(self, index: Any) -> None:
        """Drops all rows but some."""
        self._values = self.values[index].copy()
        self.length = len(self._values)

    @classmethod
    def of(cls, values: Any) -> Table:
        """A table of these rows, which are not copied."""
        table = cls(values.shape[1:], values.dtype)
        table._values, table.length = values, len(values)
        return table
