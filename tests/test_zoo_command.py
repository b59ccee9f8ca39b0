"""`kerasgrad zoo ...`: the words reach the zoo, and a file of the user's own that hides it is named."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import zoo
from kerasgrad import cli
from kerasgrad.cli import baselines

ROOT = Path(__file__).parents[1]


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point as it is declared, whether or not this checkout was installed since."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][baselines.GROUP]
    points = [importlib.metadata.EntryPoint(name, value, baselines.GROUP) for name, value in declared.items()]

    def found(*, group: str, name: str) -> list[importlib.metadata.EntryPoint]:
        return [point for point in points if (point.group, point.name) == (group, name)]

    monkeypatch.setattr(importlib.metadata, "entry_points", found)


@pytest.mark.usefixtures("door")
def test_the_words_reach_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["zoo", "list", "unet.*"]) == cli.GOOD
    assert [row.split()[0] for row in capsys.readouterr().out.splitlines()] == zoo.names("unet.*")
    assert cli.main(["zoo", "place", "--help"]) == cli.GOOD
    assert "log_dir" in capsys.readouterr().out
    assert cli.main(["zoo", "list", "unet.skip"]) == cli.WRONG
    assert "unet.skips" in capsys.readouterr().err


def test_without_the_entry_point_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **which: [])
    assert cli.main(["zoo", "list"]) == cli.WRONG
    assert "pip install kerasgrad" in capsys.readouterr().err


@pytest.mark.parametrize("made", ["zoo.py", "zoo/__init__.py", "zoo/notes.txt"])
def test_what_hides_the_package_is_named(made: str, tmp_path: Path) -> None:
    """`python -m kerasgrad` looks for `zoo` in the user's folder first; a folder without code hides nothing."""
    (tmp_path / made).parent.mkdir(exist_ok=True)
    (tmp_path / made).write_text("mine = 1\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kerasgrad", "zoo", "list", "unet.*"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    if made.endswith(".py"):
        assert done.returncode == cli.WRONG and str(tmp_path / made) in done.stderr and "Rename it" in done.stderr
    else:
        assert "hides" not in done.stderr
