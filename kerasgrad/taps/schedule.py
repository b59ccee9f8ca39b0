"""When to observe a step: a schedule is a value of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Protocol, runtime_checkable

from kerasgrad.taps.overhead import Overhead


@runtime_checkable
class Schedule(Protocol):
    """Decides which steps are observed. A user's own is any object with this method."""

    def due(self, step: int, batch: int) -> bool:
        """Whether to observe the step.

        Args:
            step: the monitor's own count of training batches before it, over all fits.
            batch: index of the batch in its epoch; 0 begins one.

        Returns:
            True to observe it.
        """


@dataclass
class Every:
    """Every n-th batch: steps 0, n, 2n ..."""

    n: int

    def due(self, step: int, batch: int) -> bool:
        """See `Schedule.due`."""
        return step % self.n == 0


@dataclass
class EachEpoch:
    """The first batch of each epoch."""

    def due(self, step: int, batch: int) -> bool:
        """See `Schedule.due`."""
        return batch == 0


@dataclass
class Logarithmic:
    """Every step at first, then ever fewer: `per_decade` samples for each tenfold of steps."""

    per_decade: int = 50

    def due(self, step: int, batch: int) -> bool:
        """See `Schedule.due`."""
        return step == 0 or int(self.per_decade * math.log10(step + 1)) > int(self.per_decade * math.log10(step))


@dataclass
class Auto:
    """Every step for the first `first`, then as often as keeps the cost under `budget` of the training time.

    What samples cost is measured: the duration of a watched step less that of a usual one, and the bookkeeping. All of
    it counts, the first steps too; building the watched function (tracing) does not.

    Attributes:
        budget: share of the training time.
        first: samples at the start, whatever they cost.
    """

    budget: float = 0.01
    first: int = 50

    def due(self, step: int, batch: int, overhead: Overhead | None = None) -> bool:
        """See `Schedule.due`; the monitor hands in what it measured as well."""
        if overhead is None or overhead.samples < self.first:
            return True
        # Not a number, which compares as false, until usual steps have been seen to compare with.
        return overhead.spent + overhead.last <= self.budget * overhead.elapsed


@dataclass
class Custom:
    """A user's function of the step."""

    function: Callable[[int], bool]

    def due(self, step: int, batch: int) -> bool:
        """See `Schedule.due`."""
        return bool(self.function(step))


def schedule(update_freq: object) -> Schedule:
    """Makes a schedule out of what a user may write for `update_freq`.

    Args:
        update_freq: an int of batches, `"batch"`, `"epoch"`, `"auto"`, a function of the step, or a `Schedule`.

    Returns:
        The schedule; a `Schedule` is given back as it is.

    Raises:
        ValueError: it is none of those.
    """
    named = {"auto": Auto, "epoch": EachEpoch, "batch": lambda: Every(1)}
    if isinstance(update_freq, str) and update_freq in named:
        return named[update_freq]()  # type: ignore[no-any-return, operator]
    whole = isinstance(update_freq, Integral) and not isinstance(update_freq, bool)  # NumPy's integers too
    if whole and (n := int(update_freq)) > 0:  # type: ignore[call-overload]
        return Every(n)
    if isinstance(update_freq, Schedule):
        return update_freq
    if callable(update_freq):
        return Custom(update_freq)
    raise ValueError(
        "`update_freq` takes a number of batches from 1, 'batch', 'epoch', 'auto', a function of the step, or an object "
        f"with a method `due(step, batch)`. Received: update_freq={update_freq!r}"
    )
