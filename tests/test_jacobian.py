"""`jacobian` against matrices that are written down, and against integrals of its own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasgrad
from kerasgrad.probes import singular

TOLERANCE = 1e-3


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


ORTHOGONAL = np.linalg.qr(numbers(60, 60).astype(np.float64))[0]
MATRICES = {
    "random": numbers(300, 200).astype(np.float64),
    "wide": numbers(50, 400).astype(np.float64),
    "orthogonal": ORTHOGONAL,
    "of rank 3": numbers(80, 3).astype(np.float64) @ numbers(3, 70).astype(np.float64),
    "small": numbers(3, 2).astype(np.float64),
    "zero": np.zeros((20, 20)),
    "scaled": ORTHOGONAL * np.geomspace(1e-12, 1e-6, 60),
}


@pytest.mark.parametrize("name", MATRICES)
def test_values_from_products_are_those_of_the_decomposition(name: str) -> None:
    matrix = MATRICES[name]
    wanted = np.linalg.svd(matrix, compute_uv=False)[:5]
    found = singular.largest(lambda v: matrix @ v, lambda u: matrix.T @ u, matrix.shape[1], 5)
    assert np.abs(found - wanted[: len(found)]).max() <= TOLERANCE * wanted[0] and len(found) >= min(5, matrix.shape[1])


def dense_net() -> keras.Model:
    stack = [layers.Dense(20, activation="tanh"), layers.Dense(14, activation="gelu"), layers.Dense(9), layers.Dense(3)]
    return keras.Sequential([layers.Input((12,)), *stack])


def convolutional_net() -> keras.Model:
    inputs = layers.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="tanh")(inputs)
    x = layers.Add()([x, layers.Conv2D(4, 3, padding="same")(layers.LayerNormalization()(x))])
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def recurrent_net() -> keras.Model:
    return keras.Sequential([layers.Input((5, 3)), layers.LSTM(4, return_sequences=True), layers.GRU(4), layers.Dense(2)])


NETS = {
    "dense": (dense_net, (12,)),
    "convolutional": (convolutional_net, (6, 6, 2)),
    "recurrent": (recurrent_net, (5, 3)),
}


def outputs_of(model: keras.Model, paths: tuple[str, ...], x: Any, tape: tf.GradientTape) -> list[Any]:
    """The outputs of layers, caught at `call` on the instance."""
    caught: dict[str, Any] = {}
    for path in paths:
        layer = model.get_layer(path)

        def call(*args: Any, _original: Any = layer.call, _path: str = path, **kwargs: Any) -> Any:
            caught[_path] = _original(*args, **kwargs)
            return caught[_path]

        layer.__dict__["call"] = call
    try:
        with tape:
            tape.watch(x)
            model(x)
    finally:
        for path in paths:
            model.get_layer(path).__dict__.pop("call")
    return [x, *(caught[path] for path in paths)]


@pytest.mark.parametrize(
    "name", ["dense", *(pytest.param(n, marks=pytest.mark.slow) for n in ("convolutional", "recurrent"))]
)
def test_singular_values_against_a_dense_decomposition(name: str) -> None:
    make, shape = NETS[name]
    model, x = make(), numbers(3, *shape)
    answer = kerasgrad.jacobian(model, x, values=3, inputs=2)
    squares = np.zeros((len(x), len(answer.layers)))
    for example in range(len(x)):
        tape = tf.GradientTape(persistent=True)
        nodes = outputs_of(model, answer.layers, tf.constant(x[example : example + 1]), tape)

        def matrix(upper: int, lower: int, nodes: Any = nodes, tape: Any = tape) -> Any:
            entries = tape.jacobian(nodes[upper], nodes[lower], experimental_use_pfor=False).numpy()
            return entries.astype(np.float64).reshape(int(np.prod(nodes[upper].shape)), -1)

        for row, path in enumerate(answer.layers):
            wanted = np.linalg.svd(matrix(row + 1, row), compute_uv=False)
            squares[example, row] = np.square(matrix(row + 1, row)).sum() / len(matrix(row + 1, row))
            if example < 2:
                found = answer.values[path][example]
                assert np.abs(found - wanted[: len(found)]).max() <= TOLERANCE * wanted[0], path
        if example < 2:
            wanted = np.linalg.svd(matrix(len(nodes) - 1, 0), compute_uv=False)[:3]
            assert np.abs(answer.whole[example][: len(wanted)] - wanted).max() <= TOLERANCE * wanted[0]
    # Means rest on random signs: 64 probes of a handful of units.
    assert np.allclose(answer.chi, squares.mean(axis=0), rtol=0.15)


def plain(activation: str, deviation: float, width: int, depth: int, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    scale = keras.initializers.VarianceScaling(deviation**2, "fan_in", "untruncated_normal")
    stack = [layers.Dense(width, activation=activation, kernel_initializer=scale) for _ in range(depth)]
    return keras.Sequential([layers.Input((width,)), *stack])


FUNCTIONS = {
    "tanh": (np.tanh, lambda u: 1 - np.tanh(u) ** 2),
    "relu": (lambda u: np.maximum(u, 0), lambda u: (u > 0).astype(float)),
    "sigmoid": (lambda u: 1 / (1 + np.exp(-u)), lambda u: np.exp(-u) / (1 + np.exp(-u)) ** 2),
}


def theory(activation: str, deviation: float, square: float, depth: int) -> float:
    """Geometric mean of sqrt(chi) over the layers after the first, by sums over a fine grid, from the scale asked for."""
    z = np.linspace(-8, 8, 200_001)
    weight = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    function, slope = FUNCTIONS[activation]
    logs = []
    for _ in range(depth):
        u = deviation * np.sqrt(square) * z
        logs.append(np.log(deviation**2 * (slope(u) ** 2 * weight).sum()))
        square = (function(u) ** 2 * weight).sum()
    return float(np.exp(np.mean(logs[1:]) / 2))


@pytest.mark.slow
@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("deviation", [0.7, 1.4, 2.5])
def test_mean_field_theory_holds_at_width_1000(activation: str, deviation: float) -> None:
    """20 layers after the first, 64 inputs, 8 seeds, within 5 %: predicted from the weights, and from their scale."""
    width, depth, measured = 1000, 21, []
    for seed in range(8):
        x = numbers(64, width, seed=seed)
        answer = kerasgrad.jacobian(plain(activation, deviation, width, depth, seed), x, inputs=0, seed=seed)
        # From end to end, and not only layer by layer.
        whole = answer.to_output[0] ** (1 / (depth - 1))
        measured.append(np.log([answer.factor, whole, answer.predicted_factor]))
    wanted = theory(activation, deviation, 1.0, depth)
    assert np.exp(np.mean(measured, axis=0)) == pytest.approx([wanted] * 3, rel=0.05)


@pytest.mark.parametrize(("activation", "deviation"), [("tanh", 1.0), ("relu", 2**0.5), ("sigmoid", 1.0)])
def test_theory_and_measurement_of_a_small_net(activation: str, deviation: float) -> None:
    answer = kerasgrad.jacobian(plain(activation, deviation, 200, 6, 1), numbers(16, 200), values=1, inputs=1)
    assert answer.predicted_factor == pytest.approx(theory(activation, deviation, 1.0, 6), rel=0.03)
    assert answer.factor == pytest.approx(answer.predicted_factor, rel=0.05)
    assert answer.to_output[-1] == 1 and (activation == "sigmoid") == (answer.factor < 0.3)


def test_what_theory_leaves_out_is_left_out_beside_it() -> None:
    keras.utils.set_random_seed(0)
    stack = [keras.layers.Dense(64, "tanh") for _ in range(4)]
    model = keras.Sequential([keras.Input((64,)), *stack, keras.layers.Dense(10, "softmax")])
    answer = kerasgrad.jacobian(model, numbers(16, 64), inputs=0)
    assert np.isnan(answer.predicted[-1]) and answer.factor < 0.9 * answer.predicted_factor
    assert "of the 3 that mean-field theory covers" in repr(answer)


def test_where_the_gradient_is_lost() -> None:
    answer = kerasgrad.jacobian(plain("sigmoid", 1.0, 50, 12, 0), numbers(4, 50), inputs=0)
    row = answer.layers.index(answer.lost_at)
    assert answer.to_output[row] < 1e-4 <= answer.to_output[row + 1] and answer.lost_at in repr(answer)
    kept = kerasgrad.jacobian(plain("relu", 2**0.5, 50, 12, 0), numbers(4, 50), inputs=1)
    assert kept.lost_at == "" and "mean-field theory" in repr(kept) and kept.whole.shape == (1, 4)
    lines = {line.get_label(): line for line in kerasgrad.views.singular_values(kept).axes[0].lines}
    assert np.array_equal(lines["rms, output to layer"].get_xdata(), kept.to_output)
    assert np.array_equal(lines["mean-field theory"].get_xdata(), np.sqrt(kept.predicted))


def test_an_orthogonal_linear_net_keeps_everything() -> None:
    stack = [layers.Dense(16, kernel_initializer="orthogonal") for _ in range(5)]
    answer = kerasgrad.jacobian(keras.Sequential([layers.Input((16,)), *stack]), numbers(2, 16), values=4)
    assert np.allclose(answer.whole, 1, atol=1e-5) and np.allclose(answer.chi, 1, rtol=1e-4) and answer.factor > 0.999


def test_integers_shortcuts_and_what_does_not_apply() -> None:
    tokens, inputs = np.random.default_rng(0).integers(1, 9, (3, 5)), layers.Input((5,), dtype="int32")
    x = layers.Embedding(9, 6)(inputs)
    for _ in range(2):
        x = layers.Add()([x, layers.Dense(6, activation="tanh")(x)])
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    answer = kerasgrad.jacobian(model, tokens, layers="add*")
    assert answer.layers == ("add", "add_1") and answer.chi[1] > 1 and np.isnan(answer.predicted).all()
    assert "plain stacks" in answer.not_examined["theory"]
    left, right = layers.Input((4,)), layers.Input((4,))
    apart = keras.Model([left, right], layers.Add()([layers.Dense(3)(left), layers.Dense(3)(right)]))
    found = kerasgrad.jacobian(apart, [numbers(2, 4), numbers(2, 4)], layers=lambda layer: True)
    assert np.isnan(found.chi[0]) and "no way leads" in repr(found)


def test_the_model_is_left_as_it_is_and_bad_input_is_told() -> None:
    model = keras.Sequential([layers.Input((4,)), layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.5)])
    model.add(layers.Dense(2))
    before, x = [np.array(v) for v in model.variables], numbers(3, 4)
    kerasgrad.jacobian(model, x)
    assert all(np.array_equal(a, np.array(b)) for a, b in zip(before, model.variables, strict=True))
    with pytest.raises(ValueError, match="at least two layers"):
        kerasgrad.jacobian(model, x, layers="dense")
    with pytest.raises(ValueError, match="values=0"):
        kerasgrad.jacobian(model, x, values=0)
    with pytest.raises(TypeError, match="Received"):
        kerasgrad.jacobian(None, x)  # type: ignore[arg-type]
