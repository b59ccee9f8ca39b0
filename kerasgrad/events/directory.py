"""Where a run lives: `<log_dir>/gradients`, and `<log_dir>/2/gradients` and so on for later runs in the same place."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from kerasgrad.catalogue import FOLDER


def check_writable(log_dir: Path) -> None:
    """Makes the directory and writes to it once, so that a run does not find out later.

    Raises:
        OSError: it cannot be written; the message says what to do.
    """
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=log_dir):
            pass
    except OSError as error:
        raise OSError(
            f"The log directory cannot be written: {error}. Give a directory that can, or log_dir=None to keep the run in "
            f"memory only. Received: log_dir={str(log_dir)!r}"
        ) from error


def _numbered(log_dir: Path) -> list[tuple[int, Path]]:
    """The runs of a log directory with their numbers, oldest first."""
    found = [(1, log_dir / FOLDER)] if _has_events(log_dir / FOLDER) else []
    if log_dir.is_dir():
        names = [entry.name for entry in log_dir.iterdir() if entry.name.isdigit()]
        found += [(int(name), log_dir / name / FOLDER) for name in names if _has_events(log_dir / name / FOLDER)]
    return sorted(found)


def _has_events(folder: Path) -> bool:
    return folder.is_dir() and any("tfevents" in entry.name and entry.is_file() for entry in folder.iterdir())


def newest(log_dir: Path) -> Path | None:
    """The folder of the newest run in a log directory, or None if there is none."""
    runs = _numbered(log_dir)
    return runs[-1][1] if runs else None


def new_directory(log_dir: Path) -> Path:
    """A folder for a further run; made, so that another process takes the next one."""
    runs = _numbered(log_dir)
    number = runs[-1][0] + 1 if runs else 1
    while True:
        folder = log_dir / FOLDER if number == 1 else log_dir / str(number) / FOLDER
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def find(log_dir: str | os.PathLike[str]) -> Path:
    """The folder to read for what a person named: a log directory, a numbered run in it, or the folder itself.

    Raises:
        FileNotFoundError: there is no run.
    """
    path = Path(log_dir)
    if path.name == FOLDER and _has_events(path):
        return path
    folder = newest(path)
    if folder is None:
        near = sorted({str(p.parent.parent) for p in path.glob(f"*/{FOLDER}/*tfevents*")})[:5] if path.is_dir() else []
        hint = f" There are runs in {', '.join(near)}." if near else " Record one with GradientMonitor(log_dir)."
        if not path.exists():  # a name of the zoo, perhaps
            hint += " Those of the zoo are zoo.baseline(name)."
        raise FileNotFoundError(f"No run of kerasgrad in that directory.{hint} Received: log_dir={str(path)!r}")
    return folder
