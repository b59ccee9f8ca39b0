"""The table of the trainings and the picture of their curves, as `zoo/README.md` shows them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from zoo.training import kept
from zoo.training.recipe import Training
from zoo.training.trainings import TRAININGS, training

CURVES = kept.FOLDER / "curves.svg"

_COLUMNS = (
    "training",
    "parameters",
    "epochs",
    "seconds an epoch",
    "score",
    "mean ± half range",
    "seeds",
    "target",
    "source",
)
_PANEL = (3.4, 2.4)
"""Width and height of the curves of one task, in inches."""


def table() -> str:
    """The trainings as a Markdown table, and below it those that were not trained; ends in a line break."""
    rows = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    rows += [f"| {' | '.join(_cells(name, training(name), kept.known(name)['seeds']))} |" for name in kept.kept_names()]
    missing = [f"`{name}`" for name in TRAININGS if name not in kept.kept_names()]
    if missing:
        rows += [
            "",
            f"Not trained yet: {', '.join(missing)}. `python -m zoo train NAME` does, `python -m zoo keep NAME` keeps it.",
        ]
    return "\n".join(rows) + "\n"


def _cells(name: str, made: Training, seeds: list[dict[str, Any]]) -> list[str]:
    mean, spread = kept.mean_and_spread(kept.scores(name))
    target = made.target
    if target is None:
        aim, source = "none published", ""
    else:
        aim = f"{target.side} {_score(target.value, made)}: {'met' if target.is_met(mean) else '**missed**'}"
        source = target.source
    return [
        f"`{name}`", f"{seeds[0]['parameters']:,}", str(made.epochs), f"{seeds[0]['seconds_per_epoch']:.0f}", made.score,
        _score(mean, made) + ("" if spread is None else f" ± {_score(spread, made)}"), str(len(seeds)), aim, source,
    ]  # fmt: skip


def _score(value: float, made: Training) -> str:
    """Shares as per cent, the loss of a language model in nats, an error as it is."""
    if math.isnan(value):
        return "not finite"
    if made.score != "loss":
        return f"{value:.1%}"
    return f"{value:.2g}" if made.loss == "mean_squared_error" else f"{value:.2f} nats"


def draw(path: Path = CURVES) -> Path:
    """Draws the score on validation data after each epoch, a panel for each task; training data dashed.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("The curves are drawn with matplotlib: pip install 'kerasgrad[plot]'") from error
    names = kept.kept_names()
    tasks = list(dict.fromkeys(_panel(name) for name in names))
    columns = min(3, len(tasks))
    rows = math.ceil(len(tasks) / max(columns, 1))
    # The same file from the same curves, so that a commit shows what has changed.
    with matplotlib.rc_context({"svg.hashsalt": "zoo", "font.size": 7, "svg.fonttype": "none"}):
        figure = Figure((_PANEL[0] * columns, _PANEL[1] * rows), layout="constrained")
        for place, task in enumerate(tasks, 1):
            axes = figure.add_subplot(rows, columns, place)
            for number, name in enumerate(name for name in names if _panel(name) == task):
                _curves(axes, name, f"C{number}")
            axes.set(title=task, xlabel="epoch", ylabel=training(_first(names, task)).score.replace("_", " "))
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})
    return path


def _panel(name: str) -> str:
    made = training(name)
    return made.task + (f", {made.options['steps']} steps" if "steps" in made.options else "")


def _first(names: list[str], task: str) -> str:
    return next(name for name in names if _panel(name) == task)


def _curves(axes: Any, name: str, colour: str) -> None:
    made = training(name)
    for number, seed in enumerate(kept.known(name)["seeds"]):
        epochs = range(1, made.epochs + 1)
        for prefix, style in (("", "--"), ("val_", "-")):
            values = [math.nan if value is None else value for value in seed["curves"][prefix + made.score]]
            label = name.removesuffix(f".{made.task}") if (number, prefix) == (0, "val_") else None
            axes.plot(epochs, values, style, color=colour, linewidth=1.2 if prefix else 0.6, label=label)
    if made.score == "loss" and made.loss == "mean_squared_error":
        axes.set_yscale("log")
    if made.target is not None:
        axes.axhline(made.target.value, color=colour, linewidth=0.5, linestyle=":")
