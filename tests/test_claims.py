"""The table of the literature's claims is that of the stored figures, and nothing of it is missing in silence."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("claims", FOLDER / "claims_of_the_literature.py")
    if spec is None or spec.loader is None:
        raise ImportError("the benchmark is gone")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_shows_what_is_stored(script: ModuleType) -> None:
    rows = json.loads(script.STORED.read_text())
    text = (FOLDER / "README.md").read_text()
    assert f"{script.BEGIN}\n\n{script.table(rows)}\n\n{script.END}" in text
    measured = {row["claim"] for row in rows}
    assert measured <= set(script.MODULES) == set(range(1, 12))
    assert all(
        f"{claim}" in script.table(rows).rpartition("Not measured yet")[2] for claim in set(script.MODULES) - measured
    )


def test_each_row_has_a_figure_for_each_seed(script: ModuleType) -> None:
    for row in json.loads(script.STORED.read_text()):
        assert row["seeds"] >= 3 and row["source"] and row["setting"] and row["holds"] in (True, False, None)
        assert row["measured"] and all(len(values) == row["seeds"] for values in row["measured"].values())


def test_figures_are_shown_with_their_spread(script: ModuleType) -> None:
    assert script.spread([0.5, 0.25, 1.0]) == "0.5 (0.25 to 1)"
    assert script.spread([2.0, None, None]) == "not finite (2 to not finite)"
    assert script.spread([3.0, 3.0, 3.0]) == "3"
    row = {
        "claim": 1,
        "says": "it is",
        "source": "A",
        "setting": "B",
        "seeds": 3,
        "measured": {"x": [1, 2, 3]},
        "holds": False,
    }
    shown = script.table([row])
    assert "| 1 | it is (A) | B; 3 seeds | x 2 (1 to 3) | **no** |" in shown
    assert "Not measured yet: claims 2, 3, 4, 5, 6, 7, 8, 9, 10, 11." in shown
