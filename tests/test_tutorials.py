"""Every tutorial runs from its first line to its last, as a reader would run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import render

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted(path for path in (ROOT / "tutorials").glob("*.py") if path.stem != "render")
BYTES = 300_000
"""A notebook is read on the code host: pictures and all it stays small."""
FAST = "01_first_look"
"""The one that the fast tests run; each takes a TensorFlow of its own, and most of a minute on a busy machine."""
SECONDS = 300
"""After which one is stuck; they are meant to take a tenth of it."""


def test_there_are_tutorials() -> None:
    assert TUTORIALS == render.TUTORIALS


@pytest.mark.parametrize("path", render.TUTORIALS, ids=lambda path: path.stem)
def test_its_notebook_is_of_this_source(path: Path) -> None:
    """Read, not run: `make notebooks` renders anew what has changed."""
    assert render.is_current(path), f"make notebooks: {path.name} has changed since its notebook was made"
    text = render.notebook_of(path).read_text()
    outputs = [o for cell in json.loads(text)["cells"] for o in cell.get("outputs", [])]
    assert len(text) < BYTES and not any(output["output_type"] == "error" for output in outputs)
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_cells() -> None:
    code = 'x = 1\n\n\ndef f():\n    """Of f."""'
    source = f'"""\nTitle: A\nDescription: B.\n"""\n\n"""\nText.\n"""\n\n{code}\n\n"""\nEnd.\n"""\n'
    assert render.cells(source) == [
        ("markdown", "# A\n\nB."), ("markdown", "Text."), ("code", code), ("markdown", "End.")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=p.stem, marks=() if p.stem == FAST else pytest.mark.slow) for p in TUTORIALS]
)
def test_runs(path: Path, tmp_path: Path) -> None:
    settings = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, env=settings, capture_output=True, encoding="utf-8", timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
