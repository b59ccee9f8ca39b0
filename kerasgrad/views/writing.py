"""How numbers, names and bars are written, everywhere: terminal, page and figures."""

from __future__ import annotations

import io
import shutil
import sys
import textwrap
import unicodedata
from typing import Any

import numpy as np
from rich.console import Console, RenderableType

from kerasgrad.finding import WIDTH, rounded

BAR = 10
"""Length of a full bar; each block less is a factor of ten less than the largest layer."""

NAMED = 4
"""Layers that are named in a line before the rest is counted."""

NOTHING = "-"

NARROW = 60
"""Columns that a report takes at least, however small the window is."""

_PLAIN = str.maketrans({"█": "#", "▲": "^", "✖": "x", "●": "o", "…": "~", "─": "-", "\u00a0": " ", "·": "-", "∂": "d"})
"""What stands for our own signs where the output's encoding does not have them."""


def width() -> int:
    """Columns of a report: those of the terminal, at most `WIDTH`; `WIDTH` in a notebook, a file or a pipe."""
    if not getattr(sys.stdout, "isatty", bool)():
        return WIDTH
    return max(NARROW, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))


def printable(name: str) -> str:
    """A name on one line that can do nothing to a terminal: what is no visible sign is written as its code.

    Those are control characters (escape sequences, line breaks), marks that change the direction of writing, and halves of
    characters, which no encoding can hold.
    """
    return "".join(c if _is_visible(c) else c.encode("unicode_escape").decode("ascii") for c in str(name))


def _is_visible(character: str) -> bool:
    # Cc: control, Cf: format, such as bidi marks, Cs: surrogates, Zl and Zp: separators of lines and paragraphs.
    return " " <= character <= "~" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def harmless(report: str) -> str:
    """A report of several lines with the same done to each of them."""
    return "\n".join(map(printable, report.split("\n")))


def filled(text: str, columns: int, *, first: str = "", then: str = "") -> str:
    """A paragraph in lines of at most that many columns, a number and its percent sign together.

    Args:
        text: in one line.
        columns: how long a line may be; a longer word is folded.
        first: what the first line begins with.
        then: what the others do.
    """
    kept = printable(text).replace(" %", "\u00a0%")
    lines = textwrap.fill(kept, columns, initial_indent=first, subsequent_indent=then, break_on_hyphens=False)
    return lines.replace("\u00a0", " ")


def encodable(report: str, encoding: str | None) -> str:
    """A report as an encoding can hold it, such as cp1252, into which Windows redirects: with plainer signs if need be."""
    try:
        report.encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        given = encoding if encoding and encoding.lower() != "unknown" else "ascii"
        return report.translate(_PLAIN).encode(given, "backslashreplace").decode(given)
    return report


def number(value: float) -> str:
    """A number with three significant digits, `-` where there is none."""
    return NOTHING if np.isnan(value) else rounded(float(value))


def share(value: float) -> str:
    """A share as a percentage, `-` where there is none."""
    return NOTHING if np.isnan(value) else f"{100 * value:.0f} %"


def bar(value: float, among: Any) -> str:
    """A bar that loses one block for each factor of ten below the largest of `among`."""
    finite = among[np.isfinite(among) & (among > 0)]
    if not np.isfinite(value) or value <= 0 or not len(finite):
        return "" if not np.isinf(value) else "!" * BAR
    return "█" * max(0, round(BAR + float(np.log10(value / finite.max()))))


def plain(renderable: RenderableType, columns: int | None = None) -> str:
    """What rich draws as plain text.

    Args:
        renderable: anything that rich can draw.
        columns: at most so many; `width()` if None.
    """
    out = io.StringIO()
    # In a notebook rich would hand it to the notebook, and leave the text empty.
    console = Console(
        file=out, width=columns or width(), force_terminal=False, force_jupyter=False, color_system=None,
        legacy_windows=False,
    )  # fmt: skip
    console.print(renderable)
    return harmless("\n".join(line.rstrip() for line in out.getvalue().rstrip().split("\n")))


def last(values: Any) -> float:
    """The newest number that is one."""
    given = values[~np.isnan(values)]
    return float(given[-1]) if len(given) else float("nan")


def few(paths: list[str], most: int = NAMED) -> str:
    """The first names, and how many more there are."""
    return ", ".join(map(printable, paths[:most])) + (f" and {len(paths) - most} more" if len(paths) > most else "")
