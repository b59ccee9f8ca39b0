"""The table of the recorded baselines, as `zoo/README.md` shows it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zoo.baselines import baseline_names, facts
from zoo.recipes import recipe, recipe_names
from zoo.training import summary

README = Path(__file__).parent / "README.md"
BEGIN_TRAININGS, END_TRAININGS = "<!-- the trainings: python -m zoo table -->", "<!-- the end of the trainings -->"
BEGIN, END = "<!-- the table: python -m zoo table -->", "<!-- the end of the table -->"

_COLUMNS = (
    "name", "model", "parameters", "task", "steps", "score", "constant", "depth ratio at first", "at last", "dead",
    "warnings", "weights",
)  # fmt: skip


def table(names: Iterable[str] | None = None) -> str:
    """The baselines as a Markdown table, and below it the recipes that were not recorded.

    Args:
        names: of baselines; all that are recorded if None.

    Returns:
        Text that ends in a line break.
    """
    rows = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    rows += [f"| {' | '.join(_cells(facts(name)))} |" for name in names or baseline_names()]
    missing = [f"`{name}`" for name in recipe_names() if name not in baseline_names()]
    if missing:
        rows += ["", f"Not recorded yet: {', '.join(missing)}. `python -m zoo record NAME` does."]
    return "\n".join(rows) + "\n"


def _cells(of: dict[str, Any]) -> list[str]:
    made, held_out = of["recipe"], of["held_out"]
    options = ", ".join(
        f"{key} {value}" for key, value in {**made["overrides"], **made["options"]}.items() if key == "depth"
    )
    score, constant = held_out.get("accuracy"), held_out["constant"]
    return [
        f"`{of['name']}`",
        f"`{made['model']}`" + (f", {options}" if options else ""),
        f"{of['parameters']:,}",
        made["task"],
        f"{made['steps']:,}",
        f"error {held_out['squared_error']:.2g}" if score is None else f"{score:.1%}, F1 {held_out['f1']:.2f}",
        f"error {constant:.2g}" if score is None else f"{constant:.1%}",
        *(_number(of[key]) for key in ("depth_ratio_at_start", "depth_ratio")),
        "-" if of["dead_fraction"] is None else f"{of['dead_fraction']:.0%}",
        ", ".join(recipe(of["name"]).expected),
        "yes" if made["weights"] else "",
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"


def write() -> None:
    """Puts both tables into `zoo/README.md`, each between its two marks, and draws the curves of the trainings."""
    text = between(README.read_text(), BEGIN, table(), END)
    README.write_text(between(text, BEGIN_TRAININGS, summary.table(), END_TRAININGS))
    summary.draw()


def between(text: str, begin: str, what: str, end: str) -> str:
    """The text with something else between two marks."""
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{what}\n{end}{rest.partition(end)[2]}"
