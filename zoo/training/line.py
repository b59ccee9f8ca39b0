"""The queue: trains whatever is not finished, one after the other, at the lowest priority, and goes on after any break."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
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


def work(names: Sequence[str], folder: Path, *, says: Callable[[str], None] = print) -> list[str]:
    """Trains them in this order; first the first seed of each, then the others.

    Args:
        names: of trainings.
        folder: of all trainings.
        says: what to do with lines about the progress.

    Returns:
        The names, with seeds, of those that failed; the log says why.

    Raises:
        ValueError: another queue works in this folder.
    """
    from zoo.training.session import train

    _lock(folder)
    failed = []
    # The second and third seeds of the short ones come before the long trainings, in the order of the names.
    for name in names:
        for seed in training(name).seeds:
            home = folder / name / f"seed{seed}"
            if (home / RECORD).is_file():
                continue
            try:
                _finish(home, train(name, training(name), folder, seed=seed, says=says), says)
            except Exception:  # the next one may be all right, and a queue is not watched
                failed.append(f"{name}, seed {seed}")
                says(f"{name}, seed {seed} failed:\n{traceback.format_exc()}")
    (folder / LOCK).unlink()
    return failed


def _finish(home: Path, known: dict[str, object], says: Callable[[str], None]) -> None:
    from zoo.training import record

    says(f"  done: {record.write(home, known)}")


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
