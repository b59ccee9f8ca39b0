"""The recorded baselines: look at one, load its model, put it beside one's own runs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from kerasgrad import events
from kerasgrad.run import Facts, Run
from zoo.recipes import recipe, recipe_names

FOLDER = Path(__file__).parent / "recorded"
WEIGHTS, FACTS, EVENTS = "model.weights.h5", "baseline.json", "gradients/events.out.tfevents.baseline"

LEARNT = 0.1
"""What a healthy training gains at least, see `gain`. Of those that no rule warns of none lies between 0.05 and 0.19."""


def baseline_names(pattern: str = "*") -> list[str]:
    """The names of the baselines that are recorded, in alphabetical order."""
    return [name for name in recipe_names(pattern) if (FOLDER / name / FACTS).is_file()]


def baseline(name: str) -> Run:
    """The recorded run of a recipe, to compare one's own with. Needs no TensorFlow.

    Args:
        name: of the recipe, such as `"plain.relu"`.

    Returns:
        The run; if it is healthy, its fact `baseline` is its name.

    Raises:
        KeyError: there is no such recipe; the message lists the nearest names.
        FileNotFoundError: it was not recorded; the message says the command that does.
    """
    run = Run.load(_recorded(name))
    run.facts |= _mark(name)
    return run


def facts(name: str) -> dict[str, Any]:
    """What is known of a baseline: recipe, versions, parameters, loss, held-out scores, timing. Raises as `baseline`."""
    found: dict[str, Any] = json.loads((_recorded(name) / FACTS).read_text())
    return found


def gain(name: str) -> float:
    """How much a baseline has learnt of what there is to learn, on held-out examples. Raises as `baseline`.

    `1 - error / error of the best constant prediction`, for classes with the share of wrong labels as the error: 0 for what
    says the same of all examples, 1 for what is always right.
    """
    held_out = facts(name)["held_out"]
    if "accuracy" in held_out:
        return float((held_out["accuracy"] - held_out["constant"]) / (1 - held_out["constant"]))
    return float(1 - held_out["squared_error"] / held_out["constant"])


def is_healthy(name: str) -> bool:
    """Whether a baseline learnt, and no rule warns of it. Raises as `baseline`."""
    return not recipe(name).expected and gain(name) >= LEARNT


def _mark(name: str) -> Facts:
    """The fact by which TensorBoard's tab knows a healthy baseline. A sick one must not become the healthy band."""
    return {"baseline": name} if is_healthy(name) else {}


def load(name: str) -> Any:
    """The trained, compiled model of a baseline, or of a training of many epochs.

    Args:
        name: of a recipe whose weights are kept, or of a training that is finished.

    Returns:
        A `keras.Model`.

    Raises:
        KeyError: there is no such recipe; the message lists the nearest names.
        FileNotFoundError: its weights are not kept; the message says which are.
    """
    from zoo.training import kept
    from zoo.training.trainings import TRAININGS
    from zoo.untrained import build, compile_for

    if name in TRAININGS:
        return kept.load(name)
    made, path = recipe(name), FOLDER / name / WEIGHTS
    if not path.is_file():
        there = [other for other in baseline_names() if (FOLDER / other / WEIGHTS).is_file()]
        raise FileNotFoundError(
            f"The weights of that baseline are not kept. Train it with `python -m zoo record {name}`, or take one of "
            f"{', '.join(there)}. Received: name={name!r}"
        )
    model = build(made)
    model.load_weights(path)
    return compile_for(model, made)


def place(name: str, log_dir: str | os.PathLike[str]) -> Path:
    """Copies a baseline to where one's own runs are, so that TensorBoard shows them together.

    A healthy one gives the band behind the profiles of the others.

    Args:
        name: of the recipe.
        log_dir: what TensorBoard is given; the baseline goes to `zoo/<name>` in it.

    Returns:
        The folder that it is in now.

    Raises:
        KeyError: there is no such recipe; the message lists the nearest names.
        FileNotFoundError: it was not recorded; the message says the command that does.
    """
    target = Path(log_dir) / "zoo" / name
    shutil.copytree(_recorded(name), target, ignore=shutil.ignore_patterns(WEIGHTS), dirs_exist_ok=True)
    events.add_facts(target / EVENTS, _mark(name), step=int(Run.load(target).steps[-1]))
    return target


def _recorded(name: str) -> Path:
    recipe(name)
    if not (FOLDER / name / FACTS).is_file():
        raise FileNotFoundError(
            f"That baseline is not recorded here; there are {', '.join(baseline_names()) or 'none'}. Record it with "
            f"`python -m zoo record {name}`. Received: name={name!r}"
        )
    return FOLDER / name
