"""The queue: trains whatever is not finished, one after the other, at the lowest priority, and goes on after any break."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from zoo.training.record import RECORD
from zoo.training.trainings import training

LOCK = "queue.pid"
LOWEST = 19


def step_back() -> None:
    """Gives way to every other program: niceness 19, the same for the session's group, and Linux' idle class."""
    os.nice(LOWEST)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(LOWEST))
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def work(names: Sequence[str], folder: Path, *, run: Callable[[str, int], bool], says: Callable[[str], None]) -> list[str]:
    """Trains them in this order, all seeds of one before the next.

    Args:
        names: of trainings.
        folder: of all trainings.
        run: trains one, by name and seed, and says whether that went well.
        says: what to do with lines about the progress.

    Returns:
        The names, with seeds, of those that failed; the log says why.

    Raises:
        ValueError: another queue works in this folder.
    """
    _lock(folder)
    failed = []
    for name, seed in jobs(names, folder):
        # The next one may be all right, and a queue is not watched.
        if not run(name, seed):
            failed.append(f"{name}, seed {seed}")
            says(f"{failed[-1]} failed")
    (folder / LOCK).unlink()
    return failed


def jobs(names: Sequence[str], folder: Path) -> list[tuple[str, int]]:
    """Name and seed of each training that is not finished."""
    every = [(name, seed) for name in names for seed in training(name).seeds]
    return [(name, seed) for name, seed in every if not (folder / name / f"seed{seed}" / RECORD).is_file()]


def logged(text: str) -> None:
    """A line with the time, for a log."""
    print(f"{time.strftime('%m-%d %H:%M:%S')} {text}", flush=True)


def _lock(folder: Path) -> None:
    """Only one queue works in a folder; the lock of one that was killed is no lock."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / LOCK
    if lock.is_file() and (pid := lock.read_text().strip()).isdigit() and _is_queue(int(pid)):
        raise ValueError(f"Another queue works in this folder. Wait for it, or end it. Received: {folder}, process {pid}")
    lock.write_text(str(os.getpid()))


def _is_queue(pid: int) -> bool:
    if pid == os.getpid():
        return False
    command = Path(f"/proc/{pid}/cmdline")
    with contextlib.suppress(OSError):
        return b"zoo" in command.read_bytes()
    return False
