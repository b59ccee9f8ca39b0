"""What a person named on the command line -> the runs that are there."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from kerasgrad.events import directory
from kerasgrad.events.format import FOLDER

NEAR = 0.6
"""How alike two names must be for one to be meant by the other, as in `difflib`."""
NAMED = 5
"""Runs that a message names."""


def one_run(given: str, *, role: str = "LOGDIR") -> str:
    """The directory of the one run that is meant.

    Args:
        given: a path, or an address such as `gs://...`, which is handed on as it is.
        role: what the argument is called.

    Returns:
        What `Run.load` takes.

    Raises:
        ValueError: there is none, or there are several; the message says what is there instead.
    """
    found = runs_at(given, role=role)
    if len(found) > 1:
        some = ", ".join(map(str, found[:NAMED])) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")
        raise ValueError(f"There are several runs; name one of {some}. Received: {role}={given!r}")
    return found[0]


def runs_at(given: str, *, role: str = "LOGDIR", every: bool = False) -> list[str]:
    """The run of a log directory, or the runs of the directories in it.

    Args:
        given: as in `one_run`.
        role: likewise.
        every: all that are below, and not the newest alone where the directory is that of a run.

    Returns:
        At least one directory, in the order of their names.

    Raises:
        ValueError: there is no run; the message says what is there instead.
    """
    path = Path(given)
    if "://" in given:
        return [given]
    if not path.exists():
        raise ValueError(f"That directory does not exist.{_meant(path)} Received: {role}={given!r}")
    if not every:
        with contextlib.suppress(FileNotFoundError):
            directory.find(path)
            return [given]
    found = sorted(map(_named, _below(path)))
    if found:
        return found
    if any(_event_files(path)):
        raise ValueError(
            "The event files there were written by something else, such as keras.callbacks.TensorBoard: they have no "
            f"gradients. Train with callbacks=[kerasgrad.GradientMonitor({given!r})] as well. Received: {role}={given!r}"
        )
    raise ValueError(
        f"No run of kerasgrad is in that directory. Record one with kerasgrad.GradientMonitor({given!r}). "
        f"Received: {role}={given!r}"
    )


def _below(path: Path) -> Iterator[Path]:
    """All folders of runs, at whatever depth."""
    for where, folders, files in os.walk(path, followlinks=True):
        if Path(where).name == FOLDER and any("tfevents" in name for name in files):
            folders.clear()
            yield Path(where)


def _named(folder: Path) -> str:
    """A run by its log directory, or by its own folder where that directory has a newer one."""
    return str(folder.parent if directory.newest(folder.parent) == folder else folder)


def _event_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield from [path] if "tfevents" in path.name else []
        return
    for where, _, files in os.walk(path):
        yield from (Path(where) / name for name in files if "tfevents" in name)


def _meant(path: Path) -> str:
    """The names beside it that may have been meant."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_dir()]
    except OSError:
        return ""
    near = [n for n in difflib.get_close_matches(path.name, names, n=3, cutoff=NEAR) if _holds_runs(path.parent / n)]
    return f" Did you mean {' or '.join(str(path.parent / name) for name in near)}?" if near else ""


def _holds_runs(path: Path) -> bool:
    """Whether there are runs in it, or not far below."""
    return any(next(path.glob(f"{below}{FOLDER}/*tfevents*"), None) for below in ("", "*/", "*/*/"))
