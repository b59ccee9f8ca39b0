"""`python -m zoo train`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.nearest import unknown
from zoo.training import checkpoint, line, record
from zoo.training.trainings import TRAININGS, training, training_names


def where(folder: str | None) -> Path:
    """The folder of all trainings."""
    return Path(folder).expanduser() if folder else checkpoint.folder()


def listed(folder: Path) -> str:
    """The trainings, a line each, with what the folder holds of them."""
    rows = []
    for name, made in TRAININGS.items():
        done = len(list(record.finished(folder, name, made)))
        rows.append(f"{name:52} {done} of {len(made.seeds)} seeds done, {made.epochs} epochs: {made.note}")
    return "\n".join([*rows, f"in {folder}"])


def train(
    patterns: Sequence[str], folder: Path, *, seed: int | None = None, anew: bool = False, threads: int | None = None
) -> None:
    """Trains by name or pattern, and writes the records.

    Raises:
        KeyError: no training is called so; the message lists the nearest names.
    """
    names = _chosen(patterns)
    prepare(threads)
    from zoo.training.session import train as trained

    for name in names:
        for one in training(name).seeds if seed is None else (seed,):
            home = folder / name / f"seed{one}"
            if anew:
                shutil.rmtree(home, ignore_errors=True)
            known = trained(name, training(name), folder, seed=one, says=lambda text: print(text, flush=True))
            print(record.write(home, known), flush=True)


def queue(patterns: Sequence[str], folder: Path, *, threads: int | None = None) -> None:
    """Works through all that is not finished; ends with status 1 if one failed. Raises as `train`."""
    names = _chosen(patterns)
    line.step_back()
    prepare(threads)
    failed = line.work(names, folder, says=line.logged)
    if failed:
        sys.exit(f"These failed: {'; '.join(failed)}")


def prepare(threads: int | None) -> None:
    """Settings of TensorFlow that hold for the whole process: the same sums in the same order, and so many threads."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def _chosen(patterns: Sequence[str]) -> list[str]:
    found = []
    for pattern in patterns:
        names = training_names(pattern)
        if not names:
            raise unknown("training", pattern, TRAININGS)
        found += names
    return list(dict.fromkeys(found))
