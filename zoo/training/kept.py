"""The finished trainings that come with the zoo: curves and scores of all seeds, weights of the first in half precision."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.training import record
from zoo.training.trainings import TRAININGS, training

FOLDER = Path(__file__).parents[1] / "trained"


def kept_names() -> list[str]:
    """The trainings that are kept, in the order of the recipes."""
    return [name for name in TRAININGS if (FOLDER / f"{name}.json").is_file()]


def known(name: str) -> dict[str, Any]:
    """What is known of a training: target and, for each seed, recipe, curves, costs, versions, machine, the data's checksum.

    Raises:
        KeyError: there is no such training; the message lists the nearest names.
        FileNotFoundError: it is not finished; the message says the command that trains it.
    """
    training(name)
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"That training is not finished; there are {', '.join(kept_names()) or 'none'}. Do it with `python -m zoo train "
            f"{name}` and `python -m zoo keep {name}`. Received: name={name!r}"
        )
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def scores(name: str) -> list[float]:
    """The validation score after the last epoch of each seed; nan where it was not finite. Raises as `known`."""
    found = [record.score(seed) for seed in known(name)["seeds"]]
    return [float("nan") if score is None else score for score in found]


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and half the distance between the largest and the smallest; None instead of the spread of a single one."""
    return statistics.fmean(values), (max(values) - min(values)) / 2 if len(values) > 1 else None


def keep(name: str, folder: Path) -> Path | None:
    """Takes the finished seeds of a training into the zoo.

    Args:
        name: of the training.
        folder: of all trainings.

    Returns:
        The file of curves and scores, or None if no seed is finished.

    Raises:
        KeyError: there is no such training; the message lists the nearest names.
    """
    made = training(name)
    done = list(record.finished(folder, name, made))
    if not done:
        return None
    told = [json.loads((home / record.RECORD).read_text()) for _, home in done]
    told = [{key: value for key, value in seed.items() if key != "name"} for seed in told]
    FOLDER.mkdir(exist_ok=True)
    about = {"name": name, "note": made.note, "target": asdict(made.target) if made.target else None, "seeds": told}
    (FOLDER / f"{name}.json").write_text(json.dumps(about) + "\n")
    shutil.copyfile(done[0][1] / record.WEIGHTS, FOLDER / f"{name}.npz")
    return FOLDER / f"{name}.json"


def load(name: str) -> Any:
    """The model of a training with the weights of its first seed, compiled as for a new training. Raises as `known`."""
    from zoo.training import batches, checkpoint, session

    first = known(name)["seeds"][0]
    made = training(name)
    model = session.compiled(made, batches.epoch_steps(made, first["examples"][0]), first["seed"])
    checkpoint.load_weights(FOLDER / f"{name}.npz", model)
    return model
