"""`linear_probe`: against scikit-learn's ridge regression, and nets whose early layers learned or did not."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeCV

import kerasgrad
from kerasgrad.probes import linear, ridge


def digits(count: int) -> tuple[Any, Any]:
    data = load_digits()
    return (data.data[:count] / 16).astype(np.float32), data.target[:count]


def net(activation: str = "relu", depth: int = 3, width: int = 32) -> keras.Model:
    keras.utils.set_random_seed(3)
    stack = [layers.Dense(width, activation=activation) for _ in range(depth)]
    model = keras.Sequential([layers.Input((64,)), *stack, layers.Dense(10, activation="softmax")])
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize(("examples", "features"), [(60, 20), (20, 60)])
def test_ridge_is_that_of_scikit_learn(examples: int, features: int) -> None:
    draw = np.random.default_rng(1)
    x, unseen = draw.normal(size=(examples, features)), draw.normal(size=(9, features))
    y = x[:, :3] @ draw.normal(size=(3, 2)) + 0.5 * draw.normal(size=(examples, 2))
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    sizes = np.linalg.svd(scaled, compute_uv=False)
    sizes = sizes[sizes > 1e-10 * sizes[0]]
    theirs = RidgeCV(ridge.PENALTIES * np.square(sizes).mean()).fit(scaled, y)
    wanted = theirs.predict((unseen - x.mean(axis=0)) / x.std(axis=0))
    assert np.allclose(ridge.predictions(x, y, unseen), wanted, rtol=1e-6, atol=1e-8)


def test_features_that_do_not_vary_tell_nothing() -> None:
    x = np.ones((12, 5))
    found = ridge.predictions(x, np.arange(12.0)[:, None], x[:3])
    assert np.allclose(found, 5.5)


def test_folding_keeps_inner_products() -> None:
    x = np.random.default_rng(2).normal(size=(6, 20_000)).astype(np.float32)
    folded = linear._folded(x, 0)
    exact = x.astype(np.float64) @ x.astype(np.float64).T
    assert folded.shape == (6, linear.FEATURES)
    assert np.abs(folded @ folded.T - exact).max() <= 5 * np.sqrt(2 / linear.FEATURES) * exact.max()


def test_the_scores_are_those_of_a_ridge_on_the_outputs() -> None:
    x, y = digits(400)
    model = net()
    answer = kerasgrad.linear_probe(model, x, y, seed=4)
    order = np.random.default_rng(4).permutation(400)
    train, held = order[120:], order[:120]
    hidden = keras.Model(model.inputs, model.layers[1].output).predict(x, verbose=0).astype(np.float64)
    for row, features in ((0, x.astype(np.float64)), (2, hidden)):
        fitted = ridge.predictions(features[train], np.eye(10)[y[train]], features[held])
        assert answer.trained[row] == pytest.approx((fitted.argmax(axis=1) == y[held]).mean(), abs=0.01)
    assert answer.layers == ("(input)", "dense", "dense_1", "dense_2", "dense_3") and answer.held_out == 120
    # Nothing was trained: it has one draw of its initialisers, and is compared with others.
    assert answer.stayed_random == answer.layers[1:] and (answer.trained != answer.random)[1:].all()
    assert answer.trained[0] == answer.random[0] and answer.error[0] == 0


def test_the_error_is_that_of_paired_examples_and_of_draws() -> None:
    draw = np.random.default_rng(5)
    told, guessed = draw.normal(size=(2, 300)), draw.normal(size=(4, 1, 300))
    guessed = np.concatenate([guessed, told[None, 1:] + 1e-9 * guessed], axis=1)  # the second layer's go with it
    difference = told - guessed.mean(axis=0)
    again = draw.integers(0, 300, (2000, 300))
    bootstrapped = difference[:, again].mean(axis=2).std(axis=1)
    draws = [np.var(guessed[:, row].mean(axis=1), ddof=1) * 5 / 4 for row in (0, 1)]
    assert np.allclose(linear._error(told, guessed), np.sqrt(np.square(bootstrapped) + draws), rtol=0.05)


def test_layers_that_learned_and_layers_that_did_not() -> None:
    x, y = digits(1200)
    learned = net(width=8)
    learned.fit(x, y, epochs=12, verbose=0)
    before = [np.array(v) for v in learned.variables]
    answer = kerasgrad.linear_probe(learned, x, y)
    assert not {"dense_1", "dense_2"} & set(answer.stayed_random) and answer.guess < 0.2
    assert all(np.array_equal(a, np.array(b)) for a, b in zip(before, learned.variables, strict=True))
    frozen = net("sigmoid", depth=8)
    frozen.fit(x, y, epochs=1, verbose=0)
    stuck = kerasgrad.linear_probe(frozen, x, y, layers=lambda layer: layer in frozen.layers[:3])
    assert len(stuck.layers) == 4 and stuck.layers[1:] == stuck.stayed_random and "as random" in repr(stuck)
    drawn = kerasgrad.views.linear_probe(answer).axes[0].lines
    assert np.array_equal(drawn[0].get_xdata(), answer.trained) and np.array_equal(drawn[1].get_xdata(), answer.random)


def test_random_weights_are_drawn_anew_from_the_initialisers() -> None:
    stack = [layers.Conv2D(4, 3, kernel_initializer=keras.initializers.HeUniform(seed=1)), layers.BatchNormalization()]
    stack += [layers.DepthwiseConv2D(3), layers.Flatten(), layers.Dense(3), layers.PReLU()]
    model = keras.Sequential([layers.Input((8, 8, 1)), *stack])
    for layer in (layers.Reshape((3, 1)), layers.LSTM(4)):
        model.add(layer)
    fresh, drawn, state = [np.array(v) for v in model.weights], list[Any](), random.getstate()
    for seed in (0, 1):
        for variable in model.weights:
            variable.assign(variable + 1.0)
        linear._draw_anew(model, np.random.default_rng(seed))
        drawn.append([np.array(v) for v in model.weights])
    assert random.getstate() == state
    for variable, *values in zip(model.weights, fresh, *drawn, strict=True):
        if "kernel" not in variable.path:  # zeros, ones, and an LSTM's bias with ones at its forget gate
            assert all(np.array_equal(values[0], value) for value in values), variable.path
            continue
        sizes = [np.sqrt(np.square(value).mean()) for value in values]
        assert max(sizes) < 3 * min(sizes) and len({value.tobytes() for value in values}) == 3, variable.path


def test_noise_is_learned_by_no_layer() -> None:
    """Scores of noise lie around that of a constant, and differ by nothing that means anything."""
    draw, learned = np.random.default_rng(4), 0
    for seed in range(4):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([layers.Input((6,)), *(layers.Dense(12, activation="relu") for _ in range(2))])
        x, y = draw.normal(size=(300, 6)), draw.normal(size=300)
        learned += len(kerasgrad.linear_probe(model, x, y).stayed_random) < 2
    assert not learned


def test_frozen_text_called_twice_and_unbuilt() -> None:
    x, y = digits(100)
    backbone = keras.Sequential([layers.Input((64,)), layers.Dense(8, activation="relu", name="low")], name="back")
    backbone.trainable = False
    model = keras.Sequential([layers.Input((64,)), backbone, layers.Dense(10, name="head")])
    assert kerasgrad.linear_probe(model, x, y).layers == ("(input)", "back/low", "head")
    left, right = layers.Input((64,)), layers.Input((64,))
    twins = keras.Model([left, right], layers.Dense(1, name="last")(layers.Subtract()([backbone(left), backbone(right)])))
    assert kerasgrad.linear_probe(twins, [x, x[::-1]], y).layers == ("(input)", "back/low", "back/low#2", "last")
    words = layers.TextVectorization(9, output_sequence_length=3)
    words.adapt(["good film", "bad film"])
    reader = keras.Sequential([layers.Input((), dtype="string"), words, layers.Embedding(9, 4), layers.LSTM(4, name="lstm")])
    found = kerasgrad.linear_probe(reader, np.array(["good", "bad"] * 20), np.array(["+", "-"] * 20))
    assert found.layers == ("lstm",) and found.trained[0] == 1 and "(input): it is text" in repr(found)
    assert len(kerasgrad.linear_probe(keras.Sequential([layers.Dense(4), layers.Dense(10)]), x, y).layers) == 3


def test_numbers_one_hot_and_bad_input() -> None:
    x, y = digits(200)
    model = net()
    one_hot = np.eye(10)[y]
    scores = kerasgrad.linear_probe(model, x, one_hot).trained
    assert np.array_equal(scores, kerasgrad.linear_probe(model, x, y).trained)
    assert np.array_equal(scores, kerasgrad.linear_probe(model, x, y.astype(str)).trained)
    slope = kerasgrad.linear_probe(model, x, x[:, 20] * 3.0 + 0.5, layers="dense*")
    assert slope.score == "R2" and "taken as numbers" in repr(slope) and slope.trained[0] > 0.99 and abs(slope.guess) < 0.2
    with pytest.raises(ValueError, match="200 examples, 3 labels"):
        kerasgrad.linear_probe(model, x, y[:3])
    with pytest.raises(ValueError, match="matches no layer"):
        kerasgrad.linear_probe(model, x, y, layers="conv*")
    for labels, told in ((None, "NoneType"), ({"a": y}, "dict"), ([y, one_hot], "list"), (np.stack([y, y], 1), "one step")):
        with pytest.raises(ValueError, match=told):
            kerasgrad.linear_probe(model, x, labels)
    with pytest.raises(ValueError, match="y with such numbers in 1 of 200 examples, the first of them 7"):
        kerasgrad.linear_probe(model, x, np.where(np.arange(200) == 7, np.nan, 0.5))
    with pytest.raises(ValueError, match="64 of which are single values"):
        kerasgrad.linear_probe(model, x[0].tolist(), y)
    model.layers[2].kernel.assign(model.layers[2].kernel * np.nan)
    broken = kerasgrad.linear_probe(model, x, y)
    assert np.isnan(broken.trained[3]) and "dense_2" not in broken.stayed_random and "holds NaN" in repr(broken)


def test_a_dataset_in_the_place_of_arrays() -> None:
    model, (x, y) = net(), digits(20)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    asked = {
        "audit": lambda: kerasgrad.audit(model, x=data),
        "jacobian": lambda: kerasgrad.jacobian(model, data),
        "linear_probe": lambda: kerasgrad.linear_probe(model, data, None),
        "lr_range": lambda: kerasgrad.lr_range(model, data),
        "measure": lambda: kerasgrad.measure(model, data),
        "through_time": lambda: kerasgrad.through_time(model, None, (batch for batch in data)),
    }
    for name, ask in asked.items():
        with pytest.raises(ValueError, match="of a dataset take one batch"):
            ask()
            pytest.fail(name)
