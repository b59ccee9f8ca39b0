"""Measures a step: the part that runs inside it, and the part that reads what came out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasgrad.catalogue import Statistic
from kerasgrad.observation import Observation
from kerasgrad.statistics.measure import take_moments
from kerasgrad.statistics.own_moments import Previous
from kerasgrad.statistics.packing import Packing


class Instrument:
    """Turns what was seen in a step into one vector, and that vector back into named arrays.

    Args:
        compiled: whether XLA compiles the step.
        histograms: whether gradients are counted into bins as well.
        statistics: those of a user's own, besides the catalogue.
        previous: what is kept of the step before for statistics that look back; None where that cannot be done.
    """

    def __init__(
        self,
        *,
        compiled: bool = False,
        histograms: bool = False,
        statistics: Sequence[Statistic] = (),
        previous: Previous | None = None,
    ) -> None:
        self._options: dict[str, Any] = {"compiled": compiled, "histograms": histograms, "previous": previous}
        own = [moment for statistic in statistics for moment in statistic.own]
        self._options["own"] = tuple({moment.key: moment for moment in own}.values())
        self._packing = Packing()

    def compute(self, seen: Observation) -> Any:
        """Called inside the step: everything measured of it, as one float64 vector."""
        return self._packing.pack(take_moments(seen, **self._options))

    def read(self, measured: Any) -> dict[str, Any]:
        """Called on the host: the vectors of all replicas, `[replicas, entries]`, as named arrays; waits for the step."""
        return self._packing.unpack(np.asarray(measured))
