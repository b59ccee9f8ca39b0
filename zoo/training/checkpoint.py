"""The state of a training on disk, one file that is either whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

FILE = "checkpoint.npz"
FOLDER = "KERASGRAD_CHECKPOINTS"


def folder() -> Path:
    """Where trainings keep their state: what the variable KERASGRAD_CHECKPOINTS names, or the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(FOLDER) or Path(cache) / "kerasgrad" / "trainings")


def state(model: keras.Model) -> list[Any]:
    """All variables on which the rest of a training depends: weights, averages, seeds of random layers, optimizers' own.

    A model with several optimizers lists them as `optimizers`.
    """
    optimizers = getattr(model, "optimizers", None) or [model.optimizer]
    own = [variable for optimizer in optimizers for variable in optimizer.variables]
    return [*model.variables, *own]


def save(path: Path, model: keras.Model, progress: dict[str, Any]) -> None:
    """Writes the state.

    Args:
        path: of the file, replaced at once: a process that is killed leaves the old or the new one.
        model: compiled and built, its optimizer too.
        progress: what else is to be kept, for JSON.
    """
    arrays = {f"v{place}": np.asarray(variable) for place, variable in enumerate(state(model))}
    write(path, arrays | {"progress": np.array(json.dumps(progress))})


def load(path: Path, model: keras.Model) -> dict[str, Any]:
    """Puts the state into a model that was built and compiled in the same way, and gives `progress` back.

    Raises:
        ValueError: the state is of another model or optimizer.
    """
    with np.load(path) as kept:
        variables = state(model)
        found, wanted = (
            [kept[f"v{place}"].shape for place in range(len(kept.files) - 1)],
            [tuple(v.shape) for v in variables],
        )
        if found != wanted:
            raise ValueError(
                f"The checkpoint is of another model or optimizer: it has {len(found)} variables and this one "
                f"{len(wanted)}, or their shapes differ. Move the folder away to begin anew. Received: {path}"
            )
        for place, variable in enumerate(variables):
            variable.assign(kept[f"v{place}"])
        progress: dict[str, Any] = json.loads(str(kept["progress"]))
    return progress


def write(path: Path, arrays: dict[str, Any]) -> None:
    """Writes arrays as one compressed file, which appears only when it is whole and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as file:
        np.savez_compressed(file, **arrays)


class replaced:
    """`with replaced(path) as file:` writes beside the file and puts the new one into its place at the end."""

    def __init__(self, path: Path) -> None:
        self._path, self._beside = path, path.with_name(path.name + ".new")

    def __enter__(self) -> Any:
        self._file = self._beside.open("wb")
        return self._file

    def __exit__(self, kind: Any, *rest: Any) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if kind is None:
            os.replace(self._beside, self._path)


def weights(path: Path, variables: Iterable[Any], *, kind: Any = None) -> None:
    """Writes weights alone, `w0`, `w1` ... in the order of `model.weights`.

    Args:
        path: of the file.
        variables: the weights.
        kind: type to keep them in, such as `"float16"`; their own if None.
    """
    write(
        path, {f"w{place}": np.asarray(variable).astype(kind or variable.dtype) for place, variable in enumerate(variables)}
    )


def load_weights(path: Path, model: keras.Model) -> None:
    """Puts weights that `weights` wrote into a model."""
    with np.load(path) as kept:
        model.set_weights([kept[f"w{place}"].astype("float32") for place in range(len(kept.files))])
