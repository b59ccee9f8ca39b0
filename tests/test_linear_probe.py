"""`linear_probe`: against scikit-learn's ridge regression, and nets whose early layers learned or did not."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
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
    random = np.random.default_rng(1)
    x, unseen = random.normal(size=(examples, features)), random.normal(size=(9, features))
    y = x[:, :3] @ random.normal(size=(3, 2)) + 0.5 * random.normal(size=(examples, 2))
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
    # Nothing was trained: its initialisers give the very weights that it has.
    assert np.allclose(answer.trained, answer.random) and answer.stayed_random == answer.layers[1:]


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
    stuck = kerasgrad.linear_probe(frozen, x, y)
    assert set(stuck.layers[1:4]) <= set(stuck.stayed_random) and "as random" in repr(stuck)
    drawn = kerasgrad.views.linear_probe(answer).axes[0].lines
    assert np.array_equal(drawn[0].get_xdata(), answer.trained) and np.array_equal(drawn[1].get_xdata(), answer.random)


def test_random_weights_are_those_of_the_initialisers() -> None:
    stack = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(3), layers.PReLU()]
    model = keras.Sequential([layers.Input((8, 8, 1)), *stack, layers.Reshape((3, 1)), layers.LSTM(4)])
    fresh = [np.array(v) for v in model.weights]
    for variable in model.weights:
        variable.assign(variable + 1.0)
    linear._draw_anew(model, 0)
    bias = model.layers[-1].cell.bias.path
    for variable, value in zip(model.weights, fresh, strict=True):
        # The LSTM's bias begins with ones at the forget gate, which is no initialiser of the layer.
        assert variable.path == bias or np.array_equal(np.array(variable), value), variable.path


def test_numbers_one_hot_and_bad_input() -> None:
    x, y = digits(200)
    model = net()
    one_hot = kerasgrad.linear_probe(model, x, np.eye(10)[y])
    assert np.array_equal(one_hot.trained, kerasgrad.linear_probe(model, x, y).trained)
    slope = kerasgrad.linear_probe(model, x, x[:, 20] * 3.0 + 0.5, layers="dense*")
    assert slope.score == "R2" and slope.trained[0] > 0.99 and abs(slope.guess) < 0.2
    with pytest.raises(ValueError, match="200 examples, 3 labels"):
        kerasgrad.linear_probe(model, x, y[:3])
    with pytest.raises(ValueError, match="matches no layer"):
        kerasgrad.linear_probe(model, x, y, layers="conv*")
