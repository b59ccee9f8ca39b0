"""Writes the pages that come from the code: `python docs/reference.py` renews statistics.md and rules.md beside it."""

from __future__ import annotations

import inspect
from itertools import groupby
from pathlib import Path

from kerasgrad import catalogue, rules

HERE = Path(__file__).parent
WHAT = {"layer": "Of a layer", "variable": "Of a trainable variable", "overall": "Of the whole model"}


def statistics() -> str:
    """The catalogue of statistics as a page."""
    parts = [
        "# Statistics\n\nMade from the code by `python docs/reference.py`.",
        inspect.cleandoc(catalogue.__doc__ or ""),
        "The numbers are computed in float64 and kept as float32. A scale says how the tab draws them.",
    ]
    for of, title in WHAT.items():
        parts.append(f"## {title}")
        given = [statistic for statistic in catalogue.STATISTICS if statistic.of == of]
        for group, members in groupby(given, key=lambda statistic: statistic.group):
            heads = "| name | formula | unit | scale | moments | source |\n|---|---|---|---|---|---|"
            parts.append("\n".join([f"**{group}**\n", heads, *(_row(statistic) for statistic in members)]))
    own = catalogue.update_cosine
    parts.append(
        f"## On request\n\n`GradientMonitor(statistics=[kerasgrad.catalogue.{own.name}])`: {own.formula}. {own.source}."
    )
    example = inspect.cleandoc(inspect.getdoc(catalogue.Statistic) or "").partition("Example:")[2]
    parts.append(f"## One of your own\n\n```python\n{_code(example)}\n```")
    return "\n\n".join(parts) + "\n"


def _row(statistic: catalogue.Statistic) -> str:
    cells = (
        f"`{statistic.name}`", statistic.formula, statistic.unit, statistic.scale,
        ", ".join(f"`{key}`" for key in statistic.keys), statistic.source,
    )  # fmt: skip
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _code(example: str) -> str:
    lines = [line.strip() for line in example.strip().splitlines()]
    code = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
    return "\n".join(f"{line}\n" if line.startswith("from ") else line for line in code)


def ailments() -> str:
    """The rules as a page: the text on top of each one's file."""
    parts = ["# Rules\n\nMade from the code by `python docs/reference.py`. Causes come before effects, as in a diagnosis."]
    for rule in rules.DEFAULT:
        module = inspect.getmodule(inspect.unwrap(rule.judge))
        text = inspect.cleandoc((module.__doc__ if module else "") or "")
        parts.append(f"## {rule.name}\n\n{_paragraphs(text)}")
    return "\n\n".join(parts) + "\n"


def _paragraphs(text: str) -> str:
    """Each `Name: text` of a rule's file as a paragraph of its own."""
    lines: list[str] = []
    for line in text.splitlines():
        name, colon, rest = line.partition(": ")
        if colon and name[:1].isupper() and len(name.split()) <= 4:
            lines += ["", f"**{name}:** {rest}"]
        else:
            lines.append(line)
    return "\n".join(lines).strip()


PAGES = {"statistics.md": statistics, "rules.md": ailments}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
