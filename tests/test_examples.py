"""Every example runs: those of the docstrings, and the Python of the README."""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from test_house import FILES, TREES, functions

import kerasgrad
import zoo
from kerasgrad.rules import Finding, Severity

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

ROOT = Path(__file__).parents[1]
PROMPTS = doctest.DocTestParser()
BATCH = 16


def documented() -> Iterator[tuple[str, str, int, str]]:
    """Name, file, line and text of each docstring that shows an example."""
    for module, tree in TREES.items():
        named = [(module, tree), *((f"{module}.{name}", node) for name, node in functions(tree))]
        for name, node in named:
            text = ast.get_docstring(node) or ""
            if ">>> " in text:
                yield name, str(FILES[module]), getattr(node, "lineno", 1), text


DOCSTRINGS = list(documented())
README = [
    (text[: found.start()].count("\n") + 2, found[1])
    for text in [(ROOT / "README.md").read_text(encoding="utf-8")]
    for found in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
]


def net() -> Any:
    """A tiny recurrent net whose layers have the names that the examples use."""
    shape = [keras.Input((6, 3)), layers.LSTM(8, name="lstm")]
    named = [layers.Dense(8, activation="relu", name=name) for name in ("dense_3", "hidden07")]
    model = keras.Sequential([*shape, *named, layers.Dense(2, activation="softmax", name="classes")], name="tiny")
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def dying() -> Any:
    """A net whose units are dead from the first step, which is what the rules must find."""
    dead = layers.Dense(8, activation="relu", bias_initializer=keras.initializers.Constant(-100.0))
    model = keras.Sequential([keras.Input((6, 3)), layers.Flatten(), dead, layers.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def data(examples: int = 256) -> tuple[Any, Any]:
    x = np.random.default_rng(0).normal(size=(examples, 6, 3)).astype(np.float32)
    return x, (x[:, :, 0].sum(axis=1) > 0).astype(np.int64)


def watched(model: Any, log_dir: str | None) -> kerasgrad.GradientMonitor:
    monitor = kerasgrad.GradientMonitor(log_dir, verbose=0)
    model.fit(*data(), batch_size=BATCH, epochs=4, verbose=0, callbacks=[monitor])
    return monitor


def step_of(model: Any) -> Any:
    """A training step written by hand."""
    optimizer, loss_of = keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def train_step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return train_step


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the examples take for granted: a model, its data, and a run of it in `logs/mine`."""
    where = tmp_path_factory.mktemp("examples")
    with contextlib.chdir(where):
        keras.utils.set_random_seed(7)
        x, y = data()
        monitor = watched(model := net(), "logs/mine")
        batches = [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, 64, BATCH)]
        yield {
            "kerasgrad": kerasgrad, "zoo": zoo, "Finding": Finding, "Severity": Severity, "model": model, "x": x, "y": y,
            "x_test": x, "y_test": y, "monitor": monitor, "run": monitor.run, "batches": batches,
            "train_step": step_of(model),
        }  # fmt: skip
        matplotlib.pyplot.close("all")


def execute(source: str, name: str, known: dict[str, Any]) -> str:
    """Runs statements as at a prompt, where the value of an expression is shown; what was shown."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for statement in ast.parse(source).body:
            exec(compile(ast.Interactive([statement]), name, "single"), known)
    return out.getvalue()


def test_the_collection_finds_the_examples() -> None:
    names = {name for name, *_ in DOCSTRINGS}
    assert {"kerasgrad.monitoring.callback.GradientMonitor", "kerasgrad.run.Run", "kerasgrad.rules.rule.rule"} <= names
    assert len(README) >= 3 and all(code.strip() for _, code in README)


def test_every_public_function_that_is_called_by_hand_shows_how() -> None:
    doors = {getattr(kerasgrad, name) for name in kerasgrad.__all__ if name != "__version__"}
    called = [thing for thing in doors if callable(thing) and thing.__module__.startswith("kerasgrad")]
    assert not [thing.__name__ for thing in called if ">>> " not in (thing.__doc__ or "")]


@pytest.mark.parametrize(
    ("name", "file", "line", "text"), [pytest.param(*entry, id=entry[0].removeprefix("kerasgrad.")) for entry in DOCSTRINGS]
)
def test_docstring(name: str, file: str, line: int, text: str, shown: dict[str, Any]) -> None:
    known = dict(shown)
    if name.startswith("kerasgrad.remedies"):  # a remedy needs an ailment
        known["model"] = dying()
        known["run"] = watched(known["model"], None).run
    for example in PROMPTS.get_examples(text, name):
        said = execute(example.source, f"{file}:{line + example.lineno}", known)
        same = doctest.OutputChecker().check_output(example.want, said, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        assert not example.want or same, f"expected {example.want!r}, got {said!r}"


@pytest.mark.parametrize(("line", "code"), [pytest.param(*block, id=f"line {block[0]}") for block in README])
def test_readme(line: int, code: str, shown: dict[str, Any]) -> None:
    execute(code, f"README.md:{line}", dict(shown))
