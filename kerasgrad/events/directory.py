"""Where a run lives: `<log_dir>/gradients`, and `<log_dir>/2/gradients` and so on for later runs in the same place."""

from __future__ import annotations

import os
from pathlib import Path

from kerasgrad.events.format import FOLDER
from kerasgrad.events.places import Place, place


def check_writable(log_dir: str | os.PathLike[str] | Place) -> None:
    """Makes the directory and writes to it once, so that a run does not find out later.

    Raises:
        OSError: it cannot be written; the message says what to do.
        ValueError: it is an address of a kind that cannot be written.
    """
    folder = place(log_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tried = folder / f".kerasgrad.{os.getpid()}"
        with tried.open("wb"):
            pass
        tried.unlink()
    except OSError as error:
        raise OSError(
            f"The log directory cannot be written: {error}. Give a directory that can, or log_dir=None to keep the run in "
            f"memory only. Received: log_dir={str(log_dir)!r}"
        ) from error


def _numbered(log_dir: Place) -> list[tuple[int, Place]]:
    """The runs of a log directory with their numbers, oldest first."""
    found = [(1, log_dir / FOLDER)] if event_files(log_dir / FOLDER) else []
    if log_dir.is_dir():
        names = [entry.name for entry in log_dir.iterdir() if _is_number(entry.name)]
        found += [(int(name), log_dir / name / FOLDER) for name in names if event_files(log_dir / name / FOLDER)]
    return sorted(found, key=lambda numbered: numbered[0])


def _is_number(name: str) -> bool:
    """Whether a folder's name is one that a further run is given: `²` is a digit too, and no number."""
    return name.isascii() and name.isdecimal() and len(name) < 10


def event_files(folder: Place) -> list[Place]:
    """The event files of a run's folder, in the order in which they were begun."""
    if not folder.is_dir():
        return []
    return sorted((entry for entry in folder.iterdir() if "tfevents" in entry.name and entry.is_file()), key=_begun)


def _begun(file: Place) -> tuple[int, str, int, int, str]:
    """Seconds, host, process and number, of which the usual name of an event file is made."""
    _, _, parts = file.name.partition("tfevents.")
    host, *numbers = parts.partition(".")[2].rsplit(".", 2)
    process, number = (int(part) if _is_number(part) else 0 for part in (numbers if len(numbers) == 2 else ("", "")))
    return stamp(file), host, process, number, file.name


def stamp(file: Place) -> int:
    """The seconds in an event file's name, 0 if there are none."""
    seconds = file.name.partition("tfevents.")[2].partition(".")[0].partition("_")[0]
    return int(seconds) if seconds.isascii() and seconds.isdecimal() and len(seconds) < 15 else 0


def newest(log_dir: str | os.PathLike[str] | Place) -> Place | None:
    """The folder of the newest run in a log directory, or None if there is none."""
    runs = _numbered(place(log_dir))
    return runs[-1][1] if runs else None


def new_directory(log_dir: str | os.PathLike[str] | Place) -> Place:
    """A folder for a further run; made, so that another process takes the next one."""
    log_dir = place(log_dir)
    runs = _numbered(log_dir)
    number = runs[-1][0] + 1 if runs else 1
    while True:
        folder = log_dir / FOLDER if number == 1 else log_dir / str(number) / FOLDER
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def find(log_dir: str | os.PathLike[str] | Place) -> Place:
    """The folder to read for what a person named: a log directory, a numbered run in it, or the folder itself.

    Raises:
        FileNotFoundError: there is no run.
    """
    path = place(log_dir)
    if path.name == FOLDER and event_files(path):
        return path
    folder = newest(path)
    if folder is None:
        near = _nearby(path) if path.is_dir() else []
        hint = f" There are runs in {', '.join(near)}." if near else " Record one with GradientMonitor(log_dir)."
        if not path.exists():  # a name of the zoo, perhaps
            hint += " Those of the zoo are zoo.baseline(name)."
        raise FileNotFoundError(f"No run of kerasgrad in that directory.{hint} Received: log_dir={str(path)!r}")
    return folder


def _nearby(path: Place) -> list[str]:
    """Directories right below one that hold a run, at most five."""
    folders = sorted((entry for entry in path.iterdir() if entry.is_dir()), key=lambda entry: entry.name)
    return [str(entry) for entry in folders if event_files(entry / FOLDER)][:5]


def is_local(folder: Place) -> bool:
    """Whether a place is on a disk of this machine, or looks like one."""
    return isinstance(folder, Path)
