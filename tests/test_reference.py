"""The pages that come from the code are those of this code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from kerasgrad import catalogue, rules

DOCS = Path(__file__).parents[1] / "docs"
spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
assert spec is not None and spec.loader is not None
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_page_is_of_this_code(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == reference.PAGES[name](), "make reference"


def test_the_pages_have_every_statistic_and_rule() -> None:
    page, ailments = reference.statistics(), reference.ailments()
    assert all(f"| `{statistic.name}` |" in page for statistic in catalogue.STATISTICS)
    assert all(f"## {rule.name}\n" in ailments for rule in rules.DEFAULT)
    assert "**What it sees:**" in ailments and "**References:**" in ailments
