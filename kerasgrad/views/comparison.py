"""Two runs beside each other: their layers aligned by relative depth, and where they part."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasgrad.run import Run
from kerasgrad.views import heatmap_cells, side_by_side, text
from kerasgrad.views.writing import filled, width

FROM_OUTPUT = ("signal_rms", "gradient_norm", "update_ratio")
"""What comes from the output, where two runs are compared first."""
FROM_INPUT = ("activation_std", "dead_fraction", "saturated_fraction")
"""What comes from the input."""

FACTOR = 10.0
"""Magnitudes part when they have drifted so far from each other: a block of the report's bar, and some times more than what
lies between two samples of one run."""
SHARE = 0.5
"""Shares part when they differ by so much: with more than half of its units dead a layer counts as dying."""

_TINY = 1e-45
"""Float32 has nothing smaller but zero."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Parting:
    """Where one statistic of two runs parts.

    Attributes:
        statistic: which.
        layer: path of the layer of the first run.
        nearest: path of the layer at that depth in the other.
        depth: 0 at the first layer that has the statistic, 1 at the last.
        mine: value in the first run.
        other: value in the other.
    """

    statistic: str
    layer: str
    nearest: str
    depth: float
    mine: float
    other: float


@dataclass(frozen=True)
class Profile:
    """One statistic of both runs over depth.

    Attributes:
        layers: paths of the first run's layers that have it.
        nearest: for each of them the path of the other run's layer at the same relative depth.
        mine: float64 `[layers]`; infinite where it was measured and is no number.
        other: the same of the nearest layers.
        parts_at: index of the layer where they part, None where they stay together.
    """

    layers: tuple[str, ...]
    nearest: tuple[str, ...]
    mine: Floats
    other: Floats
    parts_at: int | None

    def at(self, statistic: str, place: int) -> Parting:
        """What it says of one layer."""
        depth = place / (len(self.layers) - 1) if len(self.layers) > 1 else 1.0
        paths = self.layers[place], self.nearest[place]
        return Parting(statistic, *paths, depth, float(self.mine[place]), float(self.other[place]))


@dataclass(frozen=True)
class Comparison:
    """Two runs, aligned by relative depth. Its `repr` is the report.

    Attributes:
        runs: the two runs by name, as they were at `steps`.
        profiles: what was compared, by statistic.
        not_compared: why a statistic was not.
    """

    runs: Mapping[str, Run]
    profiles: Mapping[str, Profile]
    not_compared: Mapping[str, str]

    @property
    def steps(self) -> tuple[int, int]:
        """The step at which each run is looked at."""
        mine, other = (int(run.steps[-1]) for run in self.runs.values())
        return mine, other

    @property
    def partings(self) -> tuple[Parting, ...]:
        """Where the runs part, a statistic each; empty if they are alike."""
        return tuple(of.at(name, of.parts_at) for name, of in self.profiles.items() if of.parts_at is not None)

    def __repr__(self) -> str:
        """Where they part, and what reaches each layer of both."""
        mine, other = self.runs
        here, there = (len(side_by_side.learning_rows(run)) for run in self.runs.values())
        lines = [
            f"{mine} at step {self.steps[0]} ({here} layers with weights) against {other} at step {self.steps[1]} "
            f"({there}), aligned by relative depth."
        ]
        lines += [self._described(parting) for parting in self.partings]
        alike = [name for name, profile in self.profiles.items() if profile.parts_at is None]
        if alike:
            lines.append(f"Alike at every depth: {', '.join(alike)}.")
        lines += [f"Not compared: {name}: {reason}." for name, reason in self.not_compared.items()]
        return "\n".join(map(_wrapped, lines)) + "\n\n" + side_by_side.side_by_side(self.runs)

    def _described(self, parting: Parting) -> str:
        form = text.share if parting.statistic in heatmap_cells.SHARES else text.number
        first, last = (self.profiles[parting.statistic].at(parting.statistic, place) for place in (0, -1))
        where = parting.layer + (f" ({parting.nearest})" if parting.nearest != parting.layer else "")
        here, at_first, at_last = (f"{form(at.mine)} against {form(at.other)}" for at in (parting, first, last))
        return (
            f"They part in {parting.statistic} at {where}, {text.share(parting.depth)} of the way from the input: {here}; "
            f"at the input {at_first}; at the output {at_last}."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; numbers that are not finite become the words `"nan"`, `"inf"`, `"-inf"`."""
        mine, other = (
            {"name": name, "step": step} | {key: text.last(run.overall(key)) for key, _ in side_by_side.OVERALL}
            for (name, run), step in zip(self.runs.items(), self.steps, strict=True)
        )
        return {
            "mine": _plain(mine),
            "other": _plain(other),
            "partings": [_plain(asdict(parting)) for parting in self.partings],
            "profiles": {name: _plain(asdict(profile)) for name, profile in self.profiles.items()},
            "not_compared": dict(self.not_compared),
        }


def compare(
    mine: Run | str | os.PathLike[str], other: Run | str | os.PathLike[str], *, step: int | None = None
) -> Comparison:
    """Compares two runs, such as one's own with a baseline of the zoo, and says where they part.

    Layers with weights (for shares of units those that have units) are aligned by relative depth: of `n` and `m` of them the
    `i`-th, from 0, stands beside the `round(i (m - 1) / (n - 1))`-th. What comes from the output (signal, gradient, update
    ratio) is followed from the output, the rest from the input. Two runs part at the first layer there that is further apart
    than `FACTOR`, or `SHARE`, with most of those beyond it; magnitudes count by how they compare where the walk begins.

    Args:
        mine: a run, or the log directory of one.
        other: another; it is looked at as it was when it had come as far as `mine`.
        step: look at both as they were at this step; the last step of `mine` if None.

    Returns:
        The comparison. Its `repr` is the report.

    Raises:
        TypeError: one of them is no run and no path.
        FileNotFoundError: no run was recorded there.
        ValueError: the two are one, a run has no layers or no sample so early, or they have no statistic in common.

    Example:
        >>> kerasgrad.compare("logs/mine", zoo.baseline("plain.relu"))
    """
    given = [_run("mine", mine), _run("other", other)]
    if given[0] is given[1] or (_is_path(mine) and given[0].facts["directory"] == given[1].facts["directory"]):
        raise ValueError(f"A comparison takes two runs. Received: {_name(given[0]) or 'the same run'!r} twice")
    names = _told_apart(*given)
    for name, run in zip(names, given, strict=True):
        _check(name, run)
    until = int(given[0].steps[-1]) if step is None else step
    runs = {name: _until(name, run, until) for name, run in zip(names, given, strict=True)}
    profiles, not_compared = {}, {}
    for statistic in (*FROM_OUTPUT, *FROM_INPUT):
        values = {name: _values(run, statistic) for name, run in runs.items()}
        lacking = [name for name, of in values.items() if not of]
        if lacking:
            not_compared[statistic] = f"{' and '.join(lacking)} {'has' if len(lacking) == 1 else 'have'} none"
        else:
            profiles[statistic] = _profile(statistic, *values.values())
    if not profiles:
        raise ValueError(
            "The runs have no statistic in common that can be compared; record both with GradientMonitor's own settings. "
            f"Received: {', '.join(f'{name}: {reason}' for name, reason in not_compared.items())}"
        )
    return Comparison(runs, profiles, not_compared)


def _values(run: Run, statistic: str) -> dict[str, float]:
    """The newest values by layer: a magnitude of the layers with weights, a share of all that have it."""
    newest = side_by_side.newest(run, statistic)
    rows = range(len(run.layers)) if statistic in heatmap_cells.SHARES else side_by_side.learning_rows(run)
    return {run.layers[row]: float(newest[row]) for row in rows if not np.isnan(newest[row])}


def _profile(statistic: str, mine: Mapping[str, float], other: Mapping[str, float]) -> Profile:
    layers, others = tuple(mine), tuple(other)
    nearest = tuple(others[place] for place in side_by_side.nearest(len(layers), len(others)))
    here, there = np.array(list(mine.values())), np.array([other[path] for path in nearest])
    return Profile(layers, nearest, here, there, _parts_at(statistic, here, there))


def _parts_at(statistic: str, mine: Floats, other: Floats) -> int | None:
    """The layer where two profiles part, see `compare`."""
    shares = statistic in heatmap_cells.SHARES
    with np.errstate(invalid="ignore"):
        gap = mine - other if shares else _log(mine) - _log(other)
    gap[np.isnan(gap)] = 0.0  # both infinite: alike
    walk = np.arange(len(gap))[:: -1 if statistic in FROM_OUTPUT else 1]
    # Where only one begins with zero or with no number, they part there.
    level = gap[walk[0]] if not shares and abs(gap[walk[0]]) < abs(np.log10(_TINY)) / 2 else 0.0
    apart, bound = np.abs(gap[walk] - level), SHARE if shares else np.log10(FACTOR)
    lasting = [place for place in np.flatnonzero(apart >= bound) if np.median(apart[place:]) >= bound]
    return int(walk[lasting[0]]) if lasting else None


def _log(values: Floats) -> Floats:
    return np.asarray(np.log10(np.maximum(np.abs(values), _TINY)), np.float64)


def _is_path(given: object) -> bool:
    return isinstance(given, str | os.PathLike)


def _run(role: str, given: Any) -> Run:
    if isinstance(given, Run):
        return given
    if _is_path(given):
        return Run.load(given)
    raise TypeError(
        "A comparison takes runs (monitor.run, Run.load, zoo.baseline) or the log directories of runs. "
        f"Received: {role}={given!r} of type {type(given).__name__}"
    )


def _check(name: str, run: Run) -> None:
    if not run.layers:
        raise ValueError(f"That run has no layers: nothing in its model could be examined. Received: {name!r}")
    if not len(run):
        raise ValueError(f"That run has no sample yet: train for a step first. Received: {name!r}")


def _until(name: str, run: Run, step: int) -> Run:
    """The run as it was at a step."""
    if run.steps[0] > step:
        raise ValueError(f"{name} has no sample so early; its first is of step {run.steps[0]}. Received: step={step}")
    return run if run.steps[-1] <= step else run.select(steps=slice(None, step + 1))


def _name(run: Run) -> str:
    """Where it is, or what it is a run of."""
    where = Path(run.facts.get("directory") or "").parent  # its folder is always called the same
    return str(where if where.parts else run.facts.get("model") or "")


def _told_apart(mine: Run, other: Run) -> tuple[str, str]:
    """The ends of two names, as short as still tells them apart."""
    here, there = Path(_name(mine)).parts, Path(_name(other)).parts
    for length in range(1, max(len(here), len(there)) + 1):
        if here[-length:] != there[-length:]:
            return "/".join(here[-length:]) or "mine", "/".join(there[-length:]) or "other"
    return "mine", "other"


def _wrapped(line: str) -> str:
    return filled(line, width(), then="  ")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON can hold them."""

    def each(value: Any) -> Any:
        if isinstance(value, np.ndarray | tuple):
            return [each(entry) for entry in list(value)]
        if isinstance(value, float):  # NumPy's, too
            return float(value) if np.isfinite(value) else str(float(value))
        return value

    return {name: each(value) for name, value in values.items()}
