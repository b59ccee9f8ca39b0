"""`python -m zoo train`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.nearest import unknown
from zoo.training import checkpoint, kept, line, record
from zoo.training.recipe import Training
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
    """Trains by name or pattern, and writes the records. Several are trained one after the other, each in its own process.

    Raises:
        KeyError: no training is called so; the message lists the nearest names.
    """
    jobs = [(name, one) for name in _chosen(patterns) for one in (training(name).seeds if seed is None else (seed,))]
    if anew:
        for name, one in jobs:
            shutil.rmtree(folder / name / f"seed{one}", ignore_errors=True)
    if len(jobs) == 1:
        _train_here(*jobs[0], folder, threads)
    elif failed := [f"{name}, seed {one}" for name, one in jobs if not _in_its_own_process(name, one, folder, threads)]:
        sys.exit(f"These failed: {'; '.join(failed)}")


def queue(patterns: Sequence[str], folder: Path, *, threads: int | None = None) -> None:
    """Works through all that is not finished; ends with status 1 if one failed. Raises as `train`."""
    names = _chosen(patterns)
    line.step_back()

    def run(name: str, seed: int) -> bool:
        return _in_its_own_process(name, seed, folder, threads)

    if failed := line.work(names, folder, run=run, says=line.logged):
        sys.exit(f"These failed: {'; '.join(failed)}")


def keep(patterns: Sequence[str], folder: Path) -> str:
    """Takes finished trainings into the zoo; says which. Raises as `train`."""
    files = [path for name in _chosen(patterns) if (path := kept.keep(name, folder))]
    return "\n".join(str(path) for path in files) or f"None of those is finished in {folder}."


def _in_its_own_process(name: str, seed: int, folder: Path, threads: int | None) -> bool:
    """Whether it went well. What one leaves in memory, or a crash, does not reach the next."""
    command = [sys.executable, "-m", "zoo", "train", name, "--seed", str(seed), "--folder", str(folder)]
    return not subprocess.run(command + ([] if threads is None else ["--threads", str(threads)])).returncode


def _train_here(name: str, seed: int, folder: Path, threads: int | None) -> None:
    made = training(name)
    prepare(made, threads)
    from zoo.training.session import train as trained

    says = print if sys.stdout.isatty() else line.logged
    says(str(record.write(folder / name / f"seed{seed}", trained(name, made, folder, seed=seed, says=says))))


def prepare(made: Training, threads: int | None) -> None:
    """Settings of TensorFlow for the whole process: the same sums in the same order, and so many threads.

    Keras compiles nothing with XLA while ops are held to an order; what XLA compiles keeps one by itself.
    """
    import tensorflow as tf

    if not made.compiled:
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
