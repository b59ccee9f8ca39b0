"""The zoo: every name builds, learns what it should, and is found by its name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kerasgrad
import zoo


@pytest.mark.parametrize("name", zoo.names())
def test_builds_runs_and_shows_every_trainable_layer(name: str, tmp_path: Path) -> None:
    model = zoo.build(name, depth=4, width=16)
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = np.random.default_rng(0).normal(size=(32, 64)).astype("float32"), np.arange(32) % 10
    assert np.isfinite(model.predict(x, verbose=0)).all()
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    model.fit(x, y, verbose=0, callbacks=[monitor])
    run = monitor.run
    assert set(run.variables) == {v.path for v in model.trainable_variables}
    assert (run.table("gradient_norm", "variable") > 0).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "gelu", "silu"])
@pytest.mark.parametrize("normalization", [None, "batch", "layer", "group"])
def test_plain_takes_any_combination(activation: str, normalization: str | None) -> None:
    model = zoo.build("plain.relu", depth=3, width=8, activation=activation, normalization=normalization, residual=True)
    assert model.count_params() > 0 and model.output_shape == (None, 10)


def test_parameters_and_names() -> None:
    model = zoo.build("plain.sigmoid")
    assert model.count_params() == (64 * 64 + 64) * 19 + 64 * 10 + 10
    assert [layer.name for layer in model.layers[1:3]] == ["hidden01", "hidden02"] and model.layers[-1].name == "classes"
    assert len([layer for layer in zoo.build("plain.residual").layers if isinstance(layer, keras.layers.Add)]) == 18


def test_a_wrong_name_or_override_says_what_there_is() -> None:
    with pytest.raises(KeyError, match=r"plain\.sigmoid.*Received: name='plain\.sigmoit'"):
        zoo.build("plain.sigmoit")
    with pytest.raises(TypeError, match=r"depth.*Received: deep"):
        zoo.build("plain.relu", deep=3)
    with pytest.raises(ValueError, match="Received: depth=1"):
        zoo.build("plain.relu", depth=1)
    with pytest.raises(ValueError, match="Received: normalization='spectral'"):
        zoo.build("plain.relu", normalization="spectral")
    assert zoo.names("plain.*") == zoo.names() and zoo.names("nothing*") == []


def test_digits() -> None:
    (x, y), (x_test, y_test) = zoo.tasks.digits()
    assert x.shape == (1437, 64) and x_test.shape == (360, 64) and x.dtype == np.float32
    assert set(y) == set(y_test) == set(range(10))
    assert abs(x.mean()) < 1e-3 and abs(x.std() - 1) < 1e-3
    assert np.array_equal(zoo.tasks.digits()[0][0], x) and not np.array_equal(zoo.tasks.digits(seed=1)[0][1], y)


def test_sigmoid_cannot_learn_and_its_twins_can() -> None:
    """What the demo shows, measured: the signal is lost in the one and not in the others."""
    (x, y), _ = zoo.tasks.digits()
    factors = {}
    for name in ("plain.sigmoid", "plain.relu"):
        model = zoo.build(name)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        monitor = kerasgrad.GradientMonitor(update_freq=20, verbose=0)
        history = model.fit(x, y, epochs=4, verbose=0, callbacks=[monitor]).history
        factors[name] = float(monitor.run.overall("decay_factor")[0])
        assert (history["accuracy"][-1] > 0.6) == (name == "plain.relu")
    assert factors["plain.sigmoid"] < 0.3 < 0.8 < factors["plain.relu"] < 1.25


def test_command_line() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "zoo", "list", "plain.*"], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[0] for line in said.splitlines()] == zoo.names("plain.*")
