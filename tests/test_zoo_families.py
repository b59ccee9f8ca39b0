"""Families that are trained in their own way: each shows its pathology, is watched, and is saved with what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasgrad
import zoo
from zoo.linear import LinearRecurrentUnit, scanned
from zoo.training import session
from zoo.training.recipe import Training

ADAM = {"class_name": "Adam", "config": {"learning_rate": 3e-3}}


def norm(tensors: Any) -> float:
    """The length of all gradients together."""
    return float(np.sqrt(sum(np.sum(np.square(tensor)) for tensor in tensors)))


# Linear recurrent units.


def test_a_scan_is_the_recurrence() -> None:
    rng = np.random.default_rng(0)
    u = rng.normal(size=(2, 13, 3)) + 1j * rng.normal(size=(2, 13, 3))
    factor = rng.uniform(0.5, 1, 3) * np.exp(1j * rng.uniform(0, 6, 3))
    h, states = np.zeros((2, 3), complex), []
    for t in range(13):
        h = factor * h + u[:, t]
        states.append(h)
    real, imaginary = (np.asarray(part) for part in scanned(u.real, u.imag, factor.real, factor.imag))
    assert np.allclose(real + 1j * imaginary, np.stack(states, 1), rtol=1e-12)


def test_a_linear_recurrent_unit_begins_on_its_ring_and_keeps_the_size_of_its_input() -> None:
    layer = LinearRecurrentUnit(400, (0.7, 0.9))
    layer.build((None, 200, 8))
    radius = np.exp(-np.exp(np.asarray(layer.nu)))
    assert radius.min() > 0.7 - 1e-4 and radius.max() < 0.9 + 1e-4 and np.median(radius) == pytest.approx(0.806, abs=0.02)
    assert np.allclose(np.exp(np.asarray(layer.gamma)), np.sqrt(1 - radius**2), rtol=1e-4)
    assert np.asarray(layer(np.random.default_rng(0).normal(size=(4, 200, 8)))).std() == pytest.approx(1.3, abs=0.4)
    with pytest.raises(ValueError, match=r"Received: radii=\(0.9, 1.0\)"):
        LinearRecurrentUnit(4, (0.9, 1.0))
    with pytest.raises(ValueError, match=r"number of steps. Received: shape="):
        layer.build((None, None, 8))


@pytest.mark.slow
def test_a_first_symbol_is_recalled_by_slow_states_only() -> None:
    (x, y), test = zoo.tasks.recall(200, examples=1500)
    scores = {}
    for name in ("lru.long", "lru.short"):
        keras.utils.set_random_seed(0)
        shape = {"input_shape": (200,), "vocabulary": 9, "outputs": 8, "output_activation": "softmax"}
        model = zoo.build(name, depth=1, **shape)
        model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, batch_size=30, epochs=5, verbose=0)
        scores[name] = model.evaluate(*test, verbose=0)[1]
    assert scores["lru.long"] > 0.95 and scores["lru.short"] < 0.25, scores


def test_the_way_back_fades_as_the_radii_say() -> None:
    """dL/dx_0 over dL/dx_T of one layer: lambda^T."""
    ratios = []
    for name in ("lru.long", "lru.short"):
        layer = LinearRecurrentUnit(16, zoo.variants.VARIANTS[name].arguments["radii"])
        x = tf.constant(np.random.default_rng(0).normal(size=(2, 500, 4)), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x)[:, -1])
        grown = np.asarray(tape.gradient(loss, x))
        ratios.append(norm([grown[:, 0]]) / norm([grown[:, -1]]))
    assert ratios[0] > 1e-3 > 1e-15 > ratios[1], ratios


# A generative adversarial net.


def test_a_sure_discriminator_leaves_a_saturating_generator_nothing() -> None:
    """From the same weights: what the discriminator learns makes the one gradient several times as large, not the other."""
    (x, _), _ = zoo.tasks.gaussians()
    model = zoo.build("gan.saturating", width=64)
    model.compile(keras.optimizers.Adam(3e-3))
    weights = model.discriminator.trainable_variables

    @tf.function
    def learn(points: Any) -> Any:
        with tf.GradientTape() as tape:
            _, told = model.losses_of(*model(points, training=True))
        model.second.apply(tape.gradient(told, weights), weights)
        return told

    def gradients() -> list[float]:
        found = []
        for saturating in (True, False):
            model.saturating = saturating
            with tf.GradientTape() as tape:
                fooled, _ = model.losses_of(*model(x[:256], training=True))
            found.append(norm(tape.gradient(fooled, model.generator.trainable_variables)))
        return found

    before = gradients()
    told = [float(learn(x[64 * step % 7936 :][:64])) for step in range(800)]
    after = gradients()
    assert np.mean(told[-50:]) < 0.5 * np.mean(told[:5]), "the discriminator has become sure"
    assert after[0] < 1.5 * before[0] and after[1] > 3 * before[1] and after[1] > 4 * after[0], (before, after)


def test_spectral_normalisation_bounds_the_slope() -> None:
    model = zoo.build("gan.spectral")
    points = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    for _ in range(30):  # the power method comes closer at each call
        model.discriminator(points, training=True)
    kernels = [layer.layer.kernel for layer in model.discriminator.layers if hasattr(layer, "layer")]
    assert len(kernels) == 6 and all(np.linalg.norm(kernel, 2) < 1.05 for kernel in kernels)


def test_a_net_with_two_optimizers_is_watched_checkpointed_and_saved(tmp_path: Path) -> None:
    made = Training(
        "gan.non_saturating", "gaussians", {"width": 8}, {"examples": 1000}, ADAM, batch=100, epochs=2, loss=None,
        metrics=(), score="near",
    )  # fmt: skip
    known = session.train("small", made, tmp_path, says=lambda text: None)
    assert known["history"][1].keys() == {"generator_loss", "discriminator_loss", "val_near"}
    run = kerasgrad.Run.load(tmp_path / "small/seed0/runs/from000")
    assert {"g1", "d1"} <= set(run.layers) and not run.facts.get("notes")
    model = zoo.build("gan.non_saturating", width=8)
    model.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    noise = np.ones((3, 8), "float32")
    assert np.array_equal(loaded.generator(noise), model.generator(noise)) and not loaded.saturating


def test_points_lie_around_their_centres() -> None:
    (x, none), (x_test, _) = zoo.tasks.gaussians(4, examples=1000, radius=3.0)
    assert none is None and x.shape == (800, 2) and len(x_test) == 200
    centres = np.array([[3, 0], [0, 3], [-3, 0], [0, -3]])
    nearest = np.linalg.norm(x[:, None] - centres, axis=-1)
    assert nearest.min(1).max() < 0.3 and set(nearest.argmin(1)) == set(range(4))


# Policies.


def test_a_deep_sigmoid_policy_never_looks_at_the_context(tmp_path: Path) -> None:
    rewards, faded = {}, {}
    for name in ("policy.relu", "policy.sigmoid"):
        made = Training(name, "bandit", {}, {}, ADAM, batch=64, epochs=3, loss=None, metrics=(), score="reward")
        known = session.train(name, made, tmp_path, says=lambda text: None)
        rewards[name] = known["history"][-1]["val_reward"]
        run = kerasgrad.Run.load(tmp_path / name / "seed0/runs/from000")
        signal = run.table("signal_rms", "layer")[0]
        faded[name] = signal[0] / signal[-1]
    assert rewards["policy.relu"] > 0.7 and rewards["policy.sigmoid"] < 0.4, rewards
    assert faded["policy.sigmoid"] < 1e-5 and faded["policy.relu"] > 1e-2, faded


def test_without_a_baseline_the_gradient_is_the_same_on_average_and_scatters() -> None:
    (x, rewards), _ = zoo.tasks.bandit(offset=3.0)
    means, scatter = [], []
    for name in ("policy.relu", "policy.no_baseline"):
        keras.utils.set_random_seed(0)
        model, drawn = zoo.build(name, width=8), []
        for _ in range(150):
            with tf.GradientTape() as tape:
                loss, _ = model.surrogate(model(x[:64]), rewards[:64])
            drawn.append(np.asarray(tape.gradient(loss, model.layers[-1].bias)))
        means.append(np.mean(drawn, 0))
        scatter.append(np.std(drawn, 0).mean())
    assert scatter[1] > 4 * scatter[0]
    assert np.abs(means[0] - means[1]).max() < 4 * scatter[1] / np.sqrt(150), "the error of the mean"


def test_a_policy_is_saved_as_what_it_is(tmp_path: Path) -> None:
    for name in ("policy.relu", "policy.no_baseline"):
        model = zoo.build(name, width=4)
        model.save(tmp_path / "policy.keras")
        loaded = keras.saving.load_model(tmp_path / "policy.keras")
        assert type(loaded) is type(model) and loaded.with_baseline == (name == "policy.relu")
        contexts = np.ones((2, 4), "float32")
        assert np.array_equal(loaded(contexts), model(contexts))


def test_one_arm_is_best_whatever_the_offset() -> None:
    (x, y), _ = zoo.tasks.bandit(5, examples=500)
    shifted = zoo.tasks.bandit(5, examples=500, offset=2.0)[0][1]
    assert set(np.unique(y)) == {0, 1} and (y.sum(1) == 1).all() and np.allclose(shifted - y, 2)
    assert x.shape == (400, 4) and y.shape == (400, 5) and y.mean(0).max() < 0.6


# Small batches.


@pytest.mark.slow
def test_batch_normalisation_needs_a_batch() -> None:
    """A batch of one has a variance of 0: all that leaves the normalisation is its offset."""
    (x, y), test = zoo.tasks.digits()
    scores = {}
    for kind in ("batch", "layer", "group"):
        keras.utils.set_random_seed(0)
        model = zoo.build(f"plain.{kind}_norm", depth=10)
        model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, batch_size=1, epochs=1, verbose=0)
        scores[kind] = model.evaluate(*test, verbose=0)[1]
    assert scores["batch"] < 0.2 and scores["layer"] > 0.5 and scores["group"] > 0.4, scores
