"""Where a benchmark leaves what it found: JSON beside its script, and its part of `README.md` between two marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
README = HERE / "README.md"


def between(begin: str, end: str, text: str) -> None:
    """Puts a text between two marks of the README, in the place of what is there."""
    before, _, rest = README.read_text().partition(begin)
    README.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def publish(script: str, part: str, figures: dict[str, Any], text: str) -> None:
    """Writes figures and text, and prints the text.

    Args:
        script: name of the benchmark, and of its JSON file.
        part: what the README's marks are called.
        figures: for JSON.
        text: Markdown.
    """
    (HERE / f"{script}.json").write_text(json.dumps(figures, indent=1) + "\n")
    between(f"<!-- {part}: begin -->", f"<!-- {part}: end -->", text)
    print(text)
