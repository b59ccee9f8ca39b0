"""What is packed, and what the files say about the version, agree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kerasgrad import cli
from kerasgrad.version import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """What `make` says, whatever settings these tests themselves were started with."""
    ours = ("PYTHON", "VENV", "TESTS", "CONSTRAINTS", "MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL")
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(["make", "-C", str(ROOT), *words], capture_output=True, text=True, check=False, env=clean)


def pinned(name: str, file: str) -> tuple[int, ...]:
    """The version that a constraints file names."""
    found = re.search(rf"^{name}==([\d.]+)$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{file} does not pin {name}"
    return tuple(int(part) for part in found[1].split("."))


def test_the_changelog_begins_with_what_is_not_released_yet() -> None:
    headings = re.findall(r"^## \[(.+?)\](.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0][0] == "Unreleased"
    assert __version__ in headings[0][1] or any(name == __version__ for name, _ in headings)


@pytest.mark.parametrize("name", ["tensorflow", "keras", "tensorboard"])
def test_the_floor_that_is_tested_is_the_one_that_is_promised(name: str) -> None:
    (floor,) = re.findall(rf"^{name}>=([\d.]+)$", "\n".join(PROJECT["dependencies"]), re.MULTILINE)
    promised = tuple(map(int, floor.split(".")))
    assert pinned(name, "constraints-floor.txt")[: len(promised)] == promised
    assert floor in (ROOT / ".ci" / "run").read_text(encoding="utf-8") and f" {floor} " in (ROOT / "README.md").read_text()


def test_both_constraints_allow_what_the_metadata_does() -> None:
    """TensorBoard 2.19 and 2.20 import pkg_resources, which setuptools 82 no longer has."""
    assert "setuptools<82" in PROJECT["dependencies"]
    assert all(pinned("setuptools", file) < (82,) for file in ("constraints.txt", "constraints-floor.txt"))


def test_without_pkg_resources_the_command_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("tensorboard.default")]:
        monkeypatch.delitem(sys.modules, module)
    finder = type("Finder", (), {"find_spec": staticmethod(_as_with_setuptools_82)})
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    assert cli.main(["tensorboard", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "pip install 'setuptools<82'" in said and said.count("\n") == 1


def _as_with_setuptools_82(name: str, *_: object) -> None:
    if name == "tensorboard.default":
        raise ModuleNotFoundError("No module named 'pkg_resources'", name="pkg_resources")


@pytest.mark.parametrize("words", [["PYTHON=python2.7", "TESTS=x"], ["PYTHON=/no/such/python"]])
def test_make_names_the_way_out_where_python_is_too_old(words: list[str], tmp_path: Path) -> None:
    old = tmp_path / "python2.7"
    old.write_text('#!/bin/sh\ntest "$1" = --version && echo "Python 2.7.18" || exit 1\n')
    old.chmod(0o755)
    given = [word.replace("python2.7", str(old)) for word in words]
    done = make("test", *given)
    assert done.returncode == 2 and "needs Python 3.11 or later" in done.stderr
    assert "make test PYTHON=/path/to/python3.11" in done.stderr and "Traceback" not in done.stdout + done.stderr


def test_make_takes_another_environment_for_another_python() -> None:
    version = "{}.{}".format(*sys.version_info[:2])
    assert "VENV=.venv " in make("help").stdout
    assert f"VENV=.venv-{version} " in make("help", f"PYTHON={sys.executable}").stdout
