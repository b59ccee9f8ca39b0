"""Samples on their way from the step to the run: on the device, then read, then recorded, many at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from kerasgrad.monitoring.recorder import FLUSH_SECONDS, Taken
from kerasgrad.taps.rows import Rows

AT_ONCE = 64
"""Samples after which those that wait are recorded. Recorded alone, one costs about twice its share of many."""
AT_MOST_BYTES = 16 * 2**20


@dataclass
class SampleQueue:
    """Keeps samples until it pays to record them, no longer than samples may be away from the disk."""

    _unread: deque[tuple[Callable[[], dict[str, Any]], Taken, Rows]] = field(default_factory=deque)
    _read: list[tuple[Taken, Rows]] = field(default_factory=list)
    _bytes: int = 0

    def add(self, step: int, read: Callable[[], dict[str, Any]], *, rows: Rows, follows: bool = False) -> None:
        """Takes in a sample that may still be on the device.

        Args:
            step: the monitor's step.
            read: brings the raw moments to the host; it waits for the step.
            rows: what its rows are.
            follows: whether the step before was measured too.
        """
        self._unread.append((read, Taken(step, time.time(), {}, follows=follows), rows))

    def note(self, extra: dict[str, float]) -> None:
        """Says more of the sample that came last."""
        newest = self._unread[-1][1] if self._unread else self._read[-1][0] if self._read else None
        if newest is not None:
            newest.extra = extra

    def read(self, keep: int) -> None:
        """Brings samples to the host, all but the newest `keep`: reading those would wait for a step under way."""
        while len(self._unread) > keep:
            read, taken, rows = self._unread.popleft()
            taken.raw = read()
            self._bytes += taken.bytes
            self._read.append((taken, rows))

    def is_due(self, awaited: int = AT_ONCE) -> bool:
        """Whether what was read is to be recorded now; `awaited` is the number of samples that somebody waits for."""
        if not self.has_read:
            return False
        waited = time.time() - self._read[0][0].wall_time
        return len(self._read) >= min(AT_ONCE, awaited) or self._bytes > AT_MOST_BYTES or waited > FLUSH_SECONDS / 2

    def take(self) -> tuple[Rows, list[Taken]]:
        """Gives away the first of what was read, as many as have the same rows; there must be one."""
        rows = self._read[0][1]
        taken = [taken for taken, _ in takewhile(lambda entry: entry[1] is rows, self._read)]
        del self._read[: len(taken)]
        self._bytes -= sum(one.bytes for one in taken)
        return rows, taken

    @property
    def has_read(self) -> bool:
        """Whether anything was read that is not recorded."""
        return bool(self._read)

    def shift(self, steps: int) -> None:
        """Takes steps off all samples, where the count turns out to have begun too late."""
        for taken in [taken for _, taken, _ in self._unread] + [taken for taken, _ in self._read]:
            taken.step -= steps
