"""`lr_range`: the curve of a problem whose best rate is known, and a model that is left as it was."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import kerasgrad
from kerasgrad.probes import rates


def problem(count: int = 512) -> tuple[Any, Any]:
    """Least squares with inputs of covariance 1: plain gradient descent of the mean square diverges above a rate near 1."""
    random = np.random.default_rng(0)
    x = random.normal(size=(count, 4)).astype(np.float32)
    return x, (x @ np.array([[1.0], [-2.0], [3.0], [0.5]])).astype(np.float32)


def linear(optimizer: Any = "sgd", **kwargs: Any) -> keras.Model:
    model = keras.Sequential([layers.Input((4,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile(optimizer, "mse", **kwargs)
    return model


def test_the_curve_is_that_of_gradient_descent() -> None:
    """Against the same steps in NumPy."""
    x, y = problem(64)
    sweep = kerasgrad.lr_range(linear(), x, y, lowest=1e-4, highest=1.0, steps=20, batch_size=64)
    weights, bias, wanted = np.zeros((4, 1)), 0.0, []
    for rate in np.geomspace(1e-4, 1.0, 20):
        error = x.astype(np.float64) @ weights + bias - y
        wanted.append(np.mean(error**2))
        weights -= rate * 2 * x.T @ error / 64
        bias -= rate * 2 * error.mean()
    assert np.allclose(sweep.losses, wanted[: len(sweep.losses)], rtol=1e-3)


def test_the_smoothed_curve_is_straight_where_the_losses_are_and_lags_in_no_direction() -> None:
    line = 3.0 - 0.1 * np.arange(20)
    flat = np.full(41, 3.0)
    smoothed, slopes, *noise = rates._lines(line, flat[:20], 3.0, 3)
    assert np.allclose(smoothed, line) and np.allclose(slopes, -0.1) and np.abs(noise).max() < 1e-12
    valley = np.abs(np.arange(41) - 20.0) + 1
    assert int(np.argmin(rates._lines(valley, flat, 3.0, 2)[0])) == 20
    broken = np.array([2.0, 2.0, 1.0, 1e9, np.nan])
    found, *_ = rates._lines(broken, flat[:5], 2.0, 1)
    assert np.isnan(found[-1]) and found[0] == pytest.approx(2.0) and found[:4].max() <= 8


def test_it_suggests_a_rate_at_which_the_problem_is_solved() -> None:
    x, y = problem()
    sweep = kerasgrad.lr_range(linear(), x, y, lowest=1e-5, highest=100.0, steps=120)
    # The largest eigenvalue of the Hessian is near 2: it diverges near 1, and the sweep ends there.
    assert 1e-3 < sweep.suggested < sweep.highest < 1.5 and len(sweep.rates) < 120
    assert not sweep.warning and "suggested" in repr(sweep)
    assert np.array_equal(kerasgrad.views.lr_range(sweep).axes[0].lines[1].get_ydata(), sweep.smoothed, equal_nan=True)
    model = linear(keras.optimizers.SGD(sweep.suggested))
    assert model.fit(x, y, epochs=30, verbose=0).history["loss"][-1] < 0.02 * np.var(y)


def test_a_suggestion_at_the_edge_of_the_sweep_is_told() -> None:
    x, y = problem()
    early = kerasgrad.lr_range(linear(), x, y, lowest=1e-3, highest=1e-1, steps=40)
    assert "raise `highest`" in early.warning and early.highest == early.rates[-1]
    falling = np.array([9.0, 5.0, 3.0, 2.0, 1.9, 1.8, 1.9, 4.0])
    late = rates.RateSweep(
        np.geomspace(1e-2, 1.0, 8), falling, np.full(8, 9.0), falling, np.gradient(falling), *np.zeros((2, 8)), 1.0
    )
    assert "lower `lowest`" in late.warning and late.suggested == late.rates[0]


@pytest.mark.parametrize("trained", [False, True])
def test_everything_is_put_back(trained: bool) -> None:
    """Bit for bit, also for the training that follows: optimizer, moving averages, seeds, metrics, train function."""
    x, y = problem(96)
    results = []
    for swept in (False, True):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([layers.Input((4,)), layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(1)])
        rate = keras.optimizers.schedules.ExponentialDecay(1e-2, 10, 0.9)
        model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"])
        if trained:
            model.fit(x, y, verbose=0, shuffle=False)
        if swept:
            function, optimizer = model.train_function, model.optimizer
            kerasgrad.lr_range(model, x, y, steps=12)
            assert model.train_function is function and model.optimizer is optimizer and optimizer.built is trained
        history = model.fit(x, y, epochs=2, verbose=0, shuffle=False).history
        results.append([*history.values(), *(np.array(v) for v in [*model.variables, *model.optimizer.variables])])
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_a_flat_curve_with_vanishing_gradients_says_that_the_rate_is_not_the_problem() -> None:
    x, y = np.random.default_rng(0).normal(size=(128, 8)).astype(np.float32), np.arange(128) % 2
    stack = [layers.Dense(16, activation="sigmoid") for _ in range(15)]
    model = keras.Sequential([layers.Input((8,)), *stack, layers.Dense(2, activation="softmax", kernel_initializer="zeros")])
    model.layers[-1].kernel.assign(1e-3 * np.random.default_rng(1).normal(size=(16, 2)))
    model.compile("sgd", "sparse_categorical_crossentropy")
    sweep = kerasgrad.lr_range(model, x, y, steps=20, highest=0.1)
    assert sweep.flat and sweep.depth_ratio < 1e-3 and "not the problem" in sweep.warning
    assert np.isnan(sweep.suggested) and "warning" in repr(sweep)
    # Where the last layer alone makes the loss fall, it is said too.
    y[:] = 0
    falling = kerasgrad.lr_range(model, x, y, steps=20, highest=1.0)
    assert not falling.flat and "no rate mends" in falling.warning and "suggested" in repr(falling)


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_a_loss_that_is_no_number_ends_the_sweep() -> None:
    x, y = problem(64)
    sweep = kerasgrad.lr_range(linear(), x, y * 1e15, lowest=1e-3, highest=1e9, steps=60)
    assert len(sweep.rates) < 60 and sweep.rates.shape == sweep.losses.shape


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_scaled_losses_and_several_steps_per_execution() -> None:
    x, y = problem(64)
    scaled = linear(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)), steps_per_execution=4)
    plain = kerasgrad.lr_range(linear(), x, y, steps=15, highest=0.1)
    assert np.allclose(kerasgrad.lr_range(scaled, x, y, steps=15, highest=0.1).losses, plain.losses, rtol=1e-3)
    assert scaled.steps_per_execution == 4


def heavy_tailed(seed: int) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(512, 10)).astype(np.float32)
    return x, (3 * x[:, :1] + random.standard_t(3, size=(512, 1))).astype(np.float32)


def test_batches_that_differ_are_no_fall() -> None:
    """A net that no rate changes: all that its loss does is the batches' doing. One that learns is told a rate that fits."""
    x, y = heavy_tailed(0)
    for seed in range(2):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((10,))
        hidden = layers.Dropout(0.5)(layers.Dense(16, activation="relu")(inputs))
        still = keras.Model(inputs, 1.0 + 0.0 * layers.Dense(1)(hidden))
        learns = keras.Model(inputs, layers.Dense(1)(hidden))
        for model in (still, learns):
            model.compile("adam", "mse")
            sweep = kerasgrad.lr_range(model, x, y, steps=60, seed=seed)
            assert np.std(sweep.losses) > 1 and sweep.flat is (model is still)
            assert np.isnan(sweep.suggested) if model is still else 1e-3 < sweep.suggested < 0.3
        assert "by less than 2% at any rate" in kerasgrad.lr_range(still, x, y, steps=20).warning


def test_a_fall_by_chance_is_none() -> None:
    """Losses that are noise alone, and that have nothing to do with those of the same batches before."""
    random, found = np.random.default_rng(0), 0
    for _ in range(100):
        losses, untrained = 1 + 0.3 * random.standard_t(4, size=(2, 60))
        curve = rates._lines(losses, untrained, float(untrained.mean()), 3)
        sweep = rates.RateSweep(np.geomspace(1e-6, 1, 60), losses, untrained, *curve, 1.0)
        found += not sweep.flat
        assert np.isnan(sweep.suggested) == sweep.flat == (sweep.fall < 0.02 or "within" in sweep.warning)
    assert found <= 8


def test_what_cannot_be_swept_is_told() -> None:
    x, y = problem(64)
    frozen = linear()
    frozen.trainable = False
    frozen.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no trainable weights"):
        kerasgrad.lr_range(frozen, x, y)
    y[3] = np.nan
    with pytest.raises(ValueError, match="Received: y has NaN or infinity in 1 of 64 examples"):
        kerasgrad.lr_range(linear(), x, y)


def test_settings_out_of_range_are_told() -> None:
    x, y = problem(64)
    with pytest.raises(ValueError, match=r"lowest=1\.0"):
        kerasgrad.lr_range(linear(), x, y, lowest=1.0, highest=0.1)
    with pytest.raises(ValueError, match=r"model\.compile"):
        kerasgrad.lr_range(keras.Sequential([layers.Dense(1)]), x, y)
