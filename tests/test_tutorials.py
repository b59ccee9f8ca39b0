"""Every tutorial runs from its first line to its last, as a reader would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "tutorials").glob("*.py"))
FAST = "01_first_look"
"""The one that the fast tests run; each takes a TensorFlow of its own, and most of a minute on a busy machine."""
SECONDS = 300
"""After which one is stuck; they are meant to take a tenth of it."""


def test_there_are_tutorials() -> None:
    assert TUTORIALS


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=p.stem, marks=() if p.stem == FAST else pytest.mark.slow) for p in TUTORIALS]
)
def test_runs(path: Path, tmp_path: Path) -> None:
    settings = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, env=settings, capture_output=True, encoding="utf-8", timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
