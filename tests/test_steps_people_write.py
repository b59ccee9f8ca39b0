"""Trainings as people write them come out as they would have unwatched, and nothing that moved is left out silently.

Each program of `steps_people_write.py` runs alone and watched, at every step and at every third, from the same seed.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from people_failures import BITS, NAMES, ROWS, UPDATES
from steps_people_write import PROGRAMS, Plain, Training

import kerasgrad

SEED = 7
SLACK = 1e-3
"""Updates are recorded in float32, and added up here."""
Values = list[tuple[str, Any]]


@dataclass
class Outcome:
    """What is left of a training: all values, and of the variables that moved the path and how far; the run, if watched."""

    values: dict[str, Values]
    moved: dict[str, float]
    moves_otherwise: bool
    run: kerasgrad.Run | None
    steps: int
    complaints: list[str]


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


class _Counted:
    """A driver that counts."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.steps = inner, 0

    def step(self, function: Any, *args: Any) -> Any:
        self.steps += 1
        return self.inner.step(function, *args)

    def end_epoch(self, **logs: float) -> None:
        self.inner.end_epoch(**logs)


def _train(training: Training, every: int) -> tuple[kerasgrad.Run | None, int]:
    """Runs it, and says what was recorded, and of how many steps."""
    if training.fit is not None:
        monitor = kerasgrad.GradientMonitor(None, update_freq=every, verbose=0) if every else None
        training.fit([monitor] if monitor else [])
        return (monitor.run, monitor.step) if monitor else (None, 0)
    assert training.loop is not None, "a training is a fit or a loop"
    if not every:
        training.loop(Plain())
        return None, 0
    with kerasgrad.watch(training.watched, None, update_freq=every, verbose=0) as watch:
        driver = _Counted(watch)
        training.loop(driver)
    return watch.run, driver.steps


@functools.cache
def _outcome(name: str, every: int) -> Outcome:
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(SEED)
    heard = _Heard()
    logging.getLogger("kerasgrad").addHandler(heard)
    try:
        training = PROGRAMS[name].build(SEED)
        before = training.trainables()
        run, steps = _train(training, every)
        after = training.trainables()
    finally:
        logging.getLogger("kerasgrad").removeHandler(heard)
    return Outcome(training.values(), dict(_moves(before, after)), training.moves_otherwise, run, steps, heard.messages)


def _moves(before: dict[int, Any], after: dict[int, Any]) -> Iterator[tuple[str, float]]:
    """Path and distance of what moved; of variables that were made on the way only the path, with a distance of 0."""
    for key, (path, value) in after.items():
        start = before[key][1] if key in before and before[key][0] == path else None
        if start is None or not np.array_equal(start, value):
            yield path, 0.0 if start is None else float(np.linalg.norm(value.astype("float64") - start))


def _is_of(path: str, row: str) -> bool:
    """Whether a row, or a reason, is about the variable of that path."""
    return f"/{path}".endswith(f"/{row}") or f"/{row}".endswith(f"/{path}")


def _reason(path: str, run: kerasgrad.Run) -> str | None:
    """Why a variable has no numbers: said of itself, or of a layer that it is in."""
    for key, reason in run.not_examined.items():
        if _is_of(path, key) or f"/{key}/" in f"/{path}/":
            return str(reason)
    return None


def _parameters(failures: dict[str, str]) -> list[Any]:
    return [_parameter(name, name, failures.get(name)) for name in PROGRAMS]


def _parameter(name: str, label: str, failure: str | None, *values: Any) -> Any:
    marks: list[Any] = [] if PROGRAMS[name].fast else [pytest.mark.slow]
    if failure:
        marks.append(pytest.mark.xfail(strict=True, reason=failure))
    return pytest.param(name, *values, marks=marks, id=label)


@pytest.mark.parametrize(
    ("name", "every"), [_parameter(n, f"{n}-{e}", BITS.get((n, e)), e) for n in PROGRAMS for e in (1, 3)]
)
def test_it_ends_with_the_same_bits(name: str, every: int) -> None:
    alone, watched = _outcome(name, 0).values, _outcome(name, every).values
    assert alone.keys() == watched.keys()
    distances = {holder: _apart(alone[holder], watched[holder]) for holder in alone}
    assert not {holder: apart for holder, apart in distances.items() if apart}


def _apart(alone: Values, watched: Values) -> dict[str, float]:
    """What differs in any bit, and how far; by path, where one has variables that the other has not."""
    if len(alone) == len(watched):
        pairs = [(path, a, b) for (path, a), (_, b) in zip(alone, watched, strict=True)]
    else:
        there = dict(watched)
        pairs = [(path, a, there[path]) for path, a in alone if path in there]
    return {path: _distance(a, b) for path, a, b in pairs if a.tobytes() != b.tobytes()}


def _distance(a: Any, b: Any) -> float:
    return float(np.abs(a.astype("float64") - b).max()) if a.shape == b.shape else float("inf")


@pytest.mark.parametrize("name", _parameters(NAMES))
def test_no_variable_is_made_or_named_otherwise(name: str) -> None:
    """What a checkpoint of the watched training would hold is what one of the other would."""
    alone, watched = _outcome(name, 0).values, _outcome(name, 1).values
    assert {k: [path for path, _ in v] for k, v in alone.items()} == {k: [path for path, _ in v] for k, v in watched.items()}


@pytest.mark.parametrize("name", _parameters(ROWS))
def test_what_moved_has_a_row_or_a_reason(name: str) -> None:
    seen = _outcome(name, 1)
    assert seen.run is not None
    silent = [p for p in seen.moved if not any(_is_of(p, row) for row in seen.run.variables) and not _reason(p, seen.run)]
    assert not silent, seen.complaints


@pytest.mark.parametrize("name", _parameters(UPDATES))
def test_the_recorded_updates_reach_as_far_as_it_moved(name: str) -> None:
    """No straight way is longer than the sum of its steps, if each step was sampled."""
    seen = _outcome(name, 1)
    assert seen.run is not None
    assert len(seen.run) or seen.run.not_examined, seen.complaints
    if seen.moves_otherwise:
        pytest.skip("weights are written by other hands too")
    if list(seen.run.steps) != list(range(seen.steps)):
        pytest.skip(f"not each step is in the run: {list(seen.run.steps)} of {seen.steps}")
    recorded = seen.run.variable("update_norm")
    short = {}
    for path, distance in seen.moved.items():
        way = [float(np.nansum(recorded[row])) for row in recorded if _is_of(path, row)]
        if way and not _reason(path, seen.run) and max(way) < distance * (1 - SLACK):
            short[path] = (max(way), distance)
    assert not short, seen.complaints
