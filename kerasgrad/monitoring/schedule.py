"""When to observe a step: a schedule is a value of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral
from typing import Protocol, runtime_checkable

from kerasgrad.monitoring.overhead import Overhead

MOST_WAITED = 1000
"""Steps after which `Auto` looks at the costs again in any case."""


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
    """Often at first, then as often as keeps the cost under `budget` of the training time.

    What samples cost is measured: the duration of a watched step less that of a usual one, and the bookkeeping. All of
    it counts, the first steps too; building the watched function (tracing) does not. The start, where most faults show,
    may spend half of what the whole training will be allowed.

    Attributes:
        budget: share of the training time.
        least: steps at the very start that are all sampled, whatever they cost.
        first: samples that the start may have in advance.
        shortest: steps that a training is taken to have at least; a shorter one is over before its cost is noticed.
    """

    budget: float = 0.01
    least: int = 10
    first: int = 50
    shortest: int = 1000
    _wait_until: int = field(default=0, repr=False, compare=False)

    def due(self, step: int, batch: int, overhead: Overhead | None = None, planned: int | None = None) -> bool:
        """See `Schedule.due`.

        Args:
            step: see there.
            batch: see there.
            overhead: what the monitor measured; without it every step is due.
            planned: how many steps the training will have, None if that is not known.
        """
        if overhead is None or overhead.samples < self.least:
            return True
        if step < self._wait_until or not overhead.settled:
            return False
        allowed, needed = self.budget * overhead.elapsed, overhead.spent + overhead.last
        if overhead.samples < self.first:
            allowed = max(allowed, self.budget / 2 * max(planned or 0, self.shortest) * overhead.usual)
        if needed <= allowed:
            return True
        # Asked again half way to when it can be afforded: until then a step costs one comparison, and costs may change.
        wait = (needed / self.budget - overhead.elapsed) / max(overhead.usual, 1e-9)
        self._wait_until = step + max(1, min(int(wait / 2), MOST_WAITED))
        return False

    def begin(self) -> None:
        """Another training begins, whose steps are counted anew."""
        self._wait_until = 0


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
