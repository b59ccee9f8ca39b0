"""What watching costs: the durations of watched steps against those of usual ones."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field

ENOUGH = 5
"""Usual steps to have seen before a cost is believed."""
RECENT = 16
"""Usual steps that tell what is usual now: a machine changes its pace within seconds."""


@dataclass
class Overhead:
    """Adds up intervals between steps. All times in seconds.

    Attributes:
        tracing: spent on building the watched function; reported, but no part of the share.
        elapsed: training time so far, samples and bookkeeping included, tracing and validation left out.
        samples: watched steps so far.
    """

    tracing: float = 0.0
    elapsed: float = 0.0
    samples: int = 0
    _extra: float = 0.0
    _unsettled: list[float] = field(default_factory=list)
    _bookkeeping: float = 0.0
    _recent: float = 0.0
    _usual: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _built: set[bool] = field(default_factory=set)

    def step(self, seconds: float, watched: bool) -> None:
        """Takes in one interval from step to step.

        The first step of either kind builds its function: it says nothing about the steps that follow.
        """
        if watched:
            self.samples += 1
        if watched not in self._built:
            self._built.add(watched)
            if watched:
                self.tracing += seconds
            return
        self.elapsed += seconds
        if watched:
            self._recent = seconds
            self._unsettled.append(seconds)
            return
        self._usual.append(seconds)
        if self._unsettled and self.known:
            # Against what was usual at the time: a training whose steps become quicker did not cost more before. And
            # never to a credit: what looks like one is a machine that has become quicker, and would pay for samples.
            self._extra = max(0.0, self._extra + sum(self._unsettled) - len(self._unsettled) * self.usual)
            self._unsettled.clear()

    def bookkeeping(self, seconds: float) -> None:
        """Takes in time spent on reading, adding up and writing samples."""
        self._bookkeeping += seconds
        self.elapsed += seconds

    def rebuild(self) -> None:
        """The functions were made anew: the next step of each kind builds again."""
        self._built.clear()

    @property
    def known(self) -> bool:
        """Whether enough usual steps were seen to tell what a sample costs."""
        return len(self._usual) >= ENOUGH

    @property
    def settled(self) -> bool:
        """Whether a usual step has been seen since the last sample, so that its cost is counted."""
        return self.known and not self._unsettled

    @property
    def usual(self) -> float:
        """Median duration of a step that was not watched; NaN until it is known."""
        return statistics.median(self._usual) if self.known else float("nan")

    @property
    def spent(self) -> float:
        """What all samples cost together; NaN until it is known."""
        return self._extra + self._bookkeeping if self.known else float("nan")

    @property
    def last(self) -> float:
        """What one sample costs: the last watched step less a usual one, and its share of the bookkeeping."""
        if not self.known or not self.samples:
            return float("nan")
        return max(0.0, self._recent - self.usual) + self._bookkeeping / self.samples

    @property
    def share(self) -> float:
        """`spent` as a share of the training time; NaN until it is known."""
        return self.spent / self.elapsed if self.known and self.elapsed else float("nan")
