"""`measure`: the monitor's row of one batch, without training."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from grid import BATCH, GRID, Case, slow
from test_exact import DEEP, NOISE, first, one_step
from test_modes import made
from twin import backward

import kerasgrad

TOLERANCE = 1e-5
OF_UPDATES = {"update_norm", "update_ratio", "sample_seconds", "overhead"}
QUICK = ("mlp_dropout", "cnn", "embedding", "subclassed", "several_outputs")


def same(measured: kerasgrad.Run, watched: kerasgrad.Run) -> None:
    """Each number of one row equals that of the other, within the tolerance of its layer's scale."""
    assert (measured.layers, measured.variables) == (watched.layers, watched.variables)
    assert measured.schema == watched.schema and measured.steps.tolist() == [0]
    for statistic in kerasgrad.catalogue.STATISTICS:
        one, other = (run.table(statistic.name, statistic.of)[0] for run in (measured, watched))
        if statistic.name in OF_UPDATES:
            assert np.isnan(one).all()
            continue
        assert np.array_equal(np.isnan(one), np.isnan(other)), statistic.name
        if statistic.name.endswith(("nonfinite", "dead_fraction")):
            assert np.array_equal(one, other, equal_nan=True), statistic.name
            continue
        scale = np.nanmax(np.abs(other), initial=1e-30)
        # Noise about zero is measured against the size of what it is noise of.
        if statistic.name.endswith(("mean", "std")):
            scale = np.nanmax(np.abs(watched.table(statistic.name.rpartition("_")[0] + "_max", statistic.of)[0]))
        differ = np.abs(one - other) > TOLERANCE * scale
        if statistic.name == "gradient_zeros":
            differ &= ~of_noise(watched)[statistic.of]
        assert not differ.any(), statistic.name
    for path in measured.schema.recurrent:
        one, other = measured.signal_over_time(path), watched.signal_over_time(path)
        assert np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE * np.nanmax(other), equal_nan=True), path


def of_noise(run: kerasgrad.Run) -> dict[str, Any]:
    """Rows with a gradient that is zero by structure, so that it is chance which of its entries are exactly zero."""
    norms = run.table("gradient_norm", "variable")[0]
    noise = norms <= NOISE * np.nanmax(norms)
    owners = np.array(run.schema.owners)
    return {"variable": noise, "layer": np.array([noise[owners == row].any() for row in range(len(run.layers))])}


@pytest.mark.parametrize("name", [n if n in QUICK else slow(n) for n in GRID if n != "gan"])
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_equals_the_monitors_row(name: str) -> None:
    """On the same batch and weights; and the seeds of dropout must be left for the fit that follows."""
    case = GRID[name](run_eagerly=True) if name in DEEP else GRID[name]()
    measured = kerasgrad.measure(case.model, first(case.x), first(case.y))
    same(measured, one_step(case))


def test_equals_a_tape_of_ones_own() -> None:
    case = made("lstm")
    _, gradients, _, signals = backward(case.model, first(case.x), tf.constant(first(case.y)))
    run = kerasgrad.measure(case.model, first(case.x), first(case.y))
    for variable, gradient in zip(case.model.trainable_variables, gradients, strict=True):
        path = variable.path.removeprefix(f"{case.model.name}/")
        assert run.variable("gradient_norm")[path][0] == pytest.approx(np.linalg.norm(gradient), rel=TOLERANCE)
    for path, values in signals.items():
        if path not in run.layers:  # a cell, which runs inside its layer
            continue
        assert run.layer("signal_rms")[path][0] == pytest.approx(np.sqrt(np.mean(np.square(values))), rel=TOLERANCE)


def trained(case: Case) -> list[Any]:
    case.model.fit(case.x, case.y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
    return [np.array(v) for v in [*case.model.variables, *case.model.optimizer.variables]]


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_model_and_its_training_are_left_as_they_are(when: str) -> None:
    """Weights, moving averages, seeds, metrics and optimizer: the training that follows is the same bit for bit."""
    results = []
    for asked in (False, True):
        case = made("cnn")
        if when == "after":
            trained(case)
        if asked:
            built, calls = case.model.optimizer.built, keras.Layer.__call__
            kerasgrad.measure(case.model, case.x[:5], case.y[:5])
            assert case.model.optimizer.built is built and keras.Layer.__call__ is calls
        results.append(trained(case))
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_a_failure_in_the_step_leaves_the_model_too() -> None:
    class Failing(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x: Any) -> Any:
            self.count.assign_add(1.0)
            raise RuntimeError("mine")

    model = Failing()
    model.compile("sgd", "mse")
    with pytest.raises(RuntimeError, match="mine"):
        kerasgrad.measure(model, np.zeros((2, 3)), np.zeros((2, 1)))
    assert float(model.count) == 0


def test_what_compile_says_is_kept() -> None:
    """Weights of the examples, clipping, a scaled loss: as in the fit."""
    weights = np.linspace(0, 1, BATCH).astype(np.float32)
    case = made("mlp")
    case.model.compile(keras.optimizers.SGD(0.1, clipnorm=1e-3), "sparse_categorical_crossentropy")
    run = kerasgrad.measure(case.model, first(case.x), first(case.y), weights)
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    case.model.fit(
        first(case.x), first(case.y), sample_weight=weights, batch_size=BATCH, verbose=0, shuffle=False, callbacks=[monitor]
    )
    same(run, monitor.run)
    assert (run.table("gradient_norm_clipped", "variable") < 1.1e-3).all()


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_mixed_precision_is_unscaled() -> None:
    case = made("mlp", "mixed_float16")
    run = kerasgrad.measure(case.model, first(case.x), first(case.y))
    same(run, one_step(case))
    assert run.overall("loss_scale")[0] == 2**15


def test_a_step_of_ones_own_with_two_optimizers() -> None:
    case = made("gan", run_eagerly=True)
    run = kerasgrad.measure(case.model, first(case.x), first(case.y))
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    data = tf.data.Dataset.from_tensors((first(case.x), first(case.y)))
    before = [np.array(v) for v in case.model.trainable_variables]
    case.model.fit(data, verbose=0, shuffle=False, callbacks=[monitor])
    assert any(not np.array_equal(a, np.array(b)) for a, b in zip(before, case.model.trainable_variables, strict=True))
    # The monitor's generator is judged by a discriminator that was updated just before; the measured one was not.
    paths = [path for path in run.variables if path in monitor.run.variables and not path.startswith("sequential/")]
    assert paths and run.variables == monitor.run.variables
    for path in paths:
        assert run.variable("gradient_norm")[path] == pytest.approx(monitor.run.variable("gradient_norm")[path], rel=1e-5)


def test_a_choice_of_layers_and_what_is_not_there() -> None:
    case = made("mlp")
    run = kerasgrad.measure(case.model, case.x, case.y, layers="dense_1")
    assert run.layers == ("dense_1",) and "no update" in run.not_examined["updates"]
    assert "1 sample, step 0" in repr(run) and "->" not in repr(run) and "not examined: updates" in repr(run)


def test_bad_input_is_told_from_the_model() -> None:
    case, plain = made("mlp"), keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"model\.compile"):
        kerasgrad.measure(plain, case.x, case.y)
    with pytest.raises(TypeError, match="Received: model of type str"):
        kerasgrad.measure("model", case.x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\[32, 5\]"):
        kerasgrad.measure(case.model, case.x, case.y[:5])
    with pytest.raises(ValueError, match="at least one"):
        kerasgrad.measure(case.model, case.x[:0], case.y[:0])
    with pytest.raises(ValueError, match="matches no layer"):
        kerasgrad.measure(case.model, case.x, case.y, layers="conv*")


def test_under_a_strategy_the_batch_is_measured_as_one() -> None:
    one = made("mlp")
    alone = kerasgrad.measure(one.model, one.x, one.y)
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(5)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        two = GRID["mlp"]()
    together = kerasgrad.measure(two.model, two.x, two.y)
    same(together, alone)
