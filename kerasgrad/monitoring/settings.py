"""What a user asked of the monitor, checked once, before any training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasgrad import catalogue, events
from kerasgrad.catalogue import Statistic
from kerasgrad.catalogue.statistic import OF_LAYERS, OF_VARIABLES
from kerasgrad.monitoring import facts, remote
from kerasgrad.monitoring.judge import Judge, OnFinding, StopOn
from kerasgrad.monitoring.recorder import WINDOW
from kerasgrad.monitoring.schedule import schedule
from kerasgrad.rules import DEFAULT, Rule
from kerasgrad.statistics.own_moments import check
from kerasgrad.taps.choice import LayerChoice, chooses


@dataclass
class Settings:
    """The options of `GradientMonitor` that are not about the hooks of Keras; see there.

    Raises:
        ValueError: an option is not one of those, or Keras runs on another backend than TensorFlow.
        TypeError: `layers`, `rules`, `on_finding` or `statistics` is of the wrong type.
    """

    log_dir: str | Path | None = None
    update_freq: Any = "auto"
    layers: LayerChoice = None
    activations: bool = True
    window: int = WINDOW
    histograms: bool = False
    statistics: Sequence[Statistic] = ()
    rules: Sequence[Rule] = DEFAULT
    on_finding: OnFinding | None = None
    stop_on: StopOn = ()

    def __post_init__(self) -> None:
        facts.check_backend()
        if not isinstance(self.window, int) or isinstance(self.window, bool) or self.window < 1:
            raise ValueError(f"`window` takes a number of samples from 1. Received: window={self.window!r}")
        events.add_file_system(remote.of_scheme)
        self.directory = None if self.log_dir is None else events.place(self.log_dir)
        self.schedule = schedule(self.update_freq)
        self.selected = chooses(self.layers)
        self.statistics = check_statistics(self.statistics)
        self.judge()

    def judge(self) -> Judge:
        """A judge for one run."""
        return Judge(self.rules, on_finding=self.on_finding, stop_on=self.stop_on)

    @property
    def looks_back(self) -> bool:
        """Whether some statistic compares a step with the step before, so that steps are sampled in pairs."""
        return any(moment.previous for statistic in self.statistics for moment in statistic.own)


def check_statistics(statistics: object) -> tuple[Statistic, ...]:
    """Makes sure that statistics of a user's own can be measured.

    Args:
        statistics: what was given for `statistics`.

    Returns:
        The same as a tuple.

    Raises:
        TypeError: it is no sequence of statistics.
        ValueError: a name is taken, or a moment is unknown, does not fit the rows, or fails on a small array.
    """
    if isinstance(statistics, Statistic) or not isinstance(statistics, Sequence):
        raise TypeError(f"`statistics` takes a list of kerasgrad.catalogue.Statistic. Received: statistics={statistics!r}")
    taken = {(s.of, s.name) for s in catalogue.STATISTICS}
    for statistic in statistics:
        if not isinstance(statistic, Statistic):
            raise TypeError(f"`statistics` takes a list of kerasgrad.catalogue.Statistic. Received: {statistics=}")
        if (statistic.of, statistic.name) in taken:
            raise ValueError(f"There is a statistic of a {statistic.of} of that name already. Received: {statistic.name!r}")
        taken.add((statistic.of, statistic.name))
        _check_moments(statistic)
    return tuple(statistics)


def _check_moments(statistic: Statistic) -> None:
    unknown = [m for m in statistic.moments if isinstance(m, str) and m not in catalogue.MEASURED]
    if unknown or not statistic.moments:
        raise ValueError(
            f"`{statistic.name}` needs moments: objects of kerasgrad.catalogue.Moment, or keys of these: "
            f"{', '.join(catalogue.MEASURED)}. Received: moments={statistic.moments!r}"
        )
    for moment in statistic.own:
        allowed = OF_VARIABLES if statistic.of != "layer" else (*OF_VARIABLES, *OF_LAYERS)
        if moment.quantity not in allowed or (moment.previous and moment.quantity not in OF_VARIABLES):
            what = "that looks back " if moment.previous else ""
            raise ValueError(
                f"A moment {what}for a statistic of a {statistic.of} can be of "
                f"{', '.join(OF_VARIABLES if moment.previous else allowed)}. Received: {moment.key} in `{statistic.name}`"
            )
        check(moment)
