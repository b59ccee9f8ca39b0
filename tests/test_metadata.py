"""What is said of a whole run: every fact that is stored is declared, and every one that is declared is stored."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from test_events import SCHEMA, sample

import kerasgrad
import zoo
from kerasgrad.events.writer import Writer
from kerasgrad.metadata import Facts, kinds_of_facts, misfits
from kerasgrad.run import Run
from zoo.baselines import baseline_names

ROOT = Path(__file__).parents[1]
TREES = [
    ast.parse(path.read_text())
    for package in ("kerasgrad", "zoo")
    for path in (ROOT / package).rglob("*.py")
    if path.name != "metadata.py"
]


def stored() -> set[str]:
    """The keys of all dicts, and what is assigned to a key, wherever it stands."""
    keys = set()
    for node in (node for tree in TREES for node in ast.walk(tree)):
        if isinstance(node, ast.Dict):
            keys |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and isinstance(node.slice, ast.Constant):
            keys.add(node.slice.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("facts.setdefault"):
            keys.add(ast.literal_eval(node.args[0]))
    return keys


def test_every_fact_that_is_declared_is_stored_somewhere_and_documented() -> None:
    declared = set(kinds_of_facts())
    assert not declared - stored()
    documented = set(re.findall(r"^        (\w+): ", Facts.__doc__ or "", re.MULTILINE))
    assert documented == declared


@pytest.mark.parametrize("jit_compile", [False, True])
def test_every_fact_of_a_training_is_declared_and_of_its_type(jit_compile: bool, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(clipnorm=1.0), "mse", jit_compile=jit_compile)
    x, y = np.ones((16, 4), np.float32), np.ones((16, 1), np.float32)
    monitor = kerasgrad.GradientMonitor(tmp_path, update_freq=1, verbose=0)
    model.fit(x, y, batch_size=4, epochs=2, verbose=0, callbacks=[monitor])
    for run in (monitor.run, Run.load(tmp_path), kerasgrad.measure(model, x, y)):
        assert not set(run.facts) - set(kinds_of_facts()) and not misfits(run.facts)
    here, there = dict(monitor.run.facts), dict(Run.load(tmp_path).facts)
    assert here == there


def test_every_fact_of_a_recorded_baseline_is_declared_and_of_its_type() -> None:
    for name in baseline_names():
        facts = zoo.baseline(name).facts
        assert not set(facts) - set(kinds_of_facts()) and not misfits(facts)


def test_facts_of_other_versions_survive(tmp_path: Path) -> None:
    (tmp_path / "gradients").mkdir()
    writer = Writer(tmp_path / "gradients", SCHEMA)
    writer.samples(sample(0).as_batch())
    writer.facts(0, {"model": "mine", "of_tomorrow": {"a": [1, None]}})
    writer.close()
    run = Run.load(tmp_path)
    assert run.facts["of_tomorrow"] == {"a": [1, None]}  # type: ignore[typeddict-item]
    assert run.select(steps=slice(0, 1)).facts["of_tomorrow"] == {"a": [1, None]}  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("parameters", None, True), ("parameters", 3, True), ("parameters", "3", False), ("parameters", True, False),
        ("overhead", 1, True), ("overhead", "much", False), ("notes", ["a"], True), ("notes", "a", False),
        ("history", {"loss": [0.1, None]}, True), ("history", {"loss": 0.1}, False), ("clipping", {}, True),
        ("not_examined", {"a": 1}, False), ("of_tomorrow", object(), True),
    ],
)  # fmt: skip
def test_a_fact_that_is_not_what_is_declared_is_known(name: str, value: object, right: bool) -> None:
    assert misfits({name: value}) == ([] if right else [name])
