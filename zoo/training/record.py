"""What is kept of a finished training: `record.json` and half-precision weights, without the data that it saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.training import checkpoint
from zoo.training.recipe import Training

RECORD, WEIGHTS = "record.json", "weights.npz"
DIGITS = 5


def write(home: Path, known: dict[str, Any]) -> Path:
    """Writes the record of a finished training beside its checkpoint, and its weights in float16.

    Args:
        home: folder of the training with that seed.
        known: as `session.train` gives it.

    Returns:
        The record's file.
    """
    import numpy as np

    history = known.pop("history")
    curves = {name: [_short(epoch[name]) for epoch in history] for name in history[-1]}
    wall, worked = zip(*known.pop("seconds"), strict=True)
    cost = {"seconds_per_epoch": _short(np.median(wall)), "processor_seconds": _short(sum(worked))}
    last = home / "epochs" / f"{len(history):03d}.npz"
    with np.load(last) as kept:
        checkpoint.write(home / WEIGHTS, {name: kept[name].astype("float16") for name in kept.files})
    with checkpoint.replaced(home / RECORD) as file:
        file.write((json.dumps(known | cost | {"curves": curves}) + "\n").encode())
    return home / RECORD


def score(known: dict[str, Any]) -> float | None:
    """The validation score of the last epoch, of a record; None if it was not finite."""
    final: float | None = known["curves"][f"val_{known['recipe']['score']}"][-1]
    return final


def finished(folder: Path, name: str, made: Training) -> Iterator[tuple[int, Path]]:
    """Seed and folder of each training of a recipe that is done."""
    for seed in made.seeds:
        home = folder / name / f"seed{seed}"
        if (home / RECORD).is_file():
            yield seed, home


def _short(value: Any) -> float | None:
    """A few digits for JSON, which has no words for what is not finite."""
    number = float(value)
    return float(f"{number:.{DIGITS}g}") if abs(number) < float("inf") else None
