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
from kerasgrad.probes.tracing import anatomy, is_weight_layer

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
    assert "Mean-field theory covers 3 of the 4 layers after the first" in repr(answer)
    assert "acts on several units" in answer.not_examined["theory of dense_4"]


def test_an_activation_that_is_a_layer() -> None:
    stack = [layers.Dense(90, layers.LeakyReLU(0.1)), layers.Dense(90, layers.PReLU()), layers.Dense(90, "glu")]
    model = keras.Sequential([layers.Input((90,)), *stack])
    assert [call.path for call in anatomy(model).calls if is_weight_layer(call.layer)] == ["dense", "dense_1", "dense_2"]
    answer = kerasgrad.jacobian(model, numbers(8, 90), inputs=0)
    assert answer.layers == ("dense", "dense_1", "dense_2") and np.isfinite(answer.chi).all()
    assert np.allclose(answer.predicted[0], answer.chi[0], rtol=0.1) and np.isnan(answer.predicted[1:]).all()
    assert "weights of its own" in answer.not_examined["theory of dense_1"]
    assert "several units" in answer.not_examined["theory of dense_2"]


def between(name: str) -> keras.Model:
    """Four Dense layers with something before one of them."""
    inputs = layers.Input((40,))
    x = layers.Rescaling(0.5)(inputs) if name == "rescaling" else inputs
    for place in range(4):
        before, x = x, layers.Dense(40, activation="tanh", name=f"dense_{place}")(x)
        if place == 1 and name in BETWEEN:
            x = BETWEEN[name](x)
        elif place == 1 and name == "sum":
            x = x + before
    return keras.Model(inputs, x)


BETWEEN: dict[str, Any] = {
    "dropout": layers.Dropout(0.5),
    "reshaped": lambda x: layers.Flatten()(layers.Reshape((5, 8))(x)),
    "scaled": layers.Lambda(lambda x: 0.5 * x),
    "shifted": layers.Lambda(lambda x: x + 0.5),
    "permuted": layers.Lambda(lambda x: x[:, ::-1]),
    "normalized": layers.BatchNormalization(),
}


@pytest.mark.parametrize(
    ("name", "row"),
    {
        "rescaling": 0,
        "scaled": 2,
        "shifted": 2,
        "permuted": 2,
        "normalized": 2,
        "sum": 2,
        "dropout": -1,
        "reshaped": -1,
    }.items(),
)
def test_theory_is_silent_where_something_lies_between(name: str, row: int) -> None:
    model = between(name)
    if name == "normalized":
        BETWEEN[name].moving_variance.assign(np.full(40, 9.0))
    answer = kerasgrad.jacobian(model, numbers(32, 40), inputs=0)
    told = np.array([place != row for place in range(4)])
    assert np.array_equal(np.isfinite(answer.predicted), told)
    # Past it the theory begins anew with what the layer gets.
    assert np.allclose(answer.predicted[told], answer.chi[told], rtol=0.25)
    assert [what for what in answer.not_examined] == ([] if row < 0 else [f"theory of dense_{row}"])


def test_theory_of_images_and_of_sequences() -> None:
    flat = plain("relu", 1.2, 36, 4, 0)
    image = keras.Sequential([layers.Input((6, 6, 1)), layers.Flatten(), *flat.layers])
    x = numbers(8, 36)
    wanted, found = (kerasgrad.jacobian(m, v, inputs=0) for m, v in ((flat, x), (image, x.reshape(8, 6, 6, 1))))
    assert np.allclose(found.predicted, wanted.predicted) and np.allclose(found.chi, wanted.chi, rtol=0.05)
    wide = [layers.Dense(100, activation="tanh") for _ in range(4)]
    steps = keras.Sequential([layers.Input((5, 100)), *wide[:2], layers.Flatten(), *wide[2:]])
    of_steps = kerasgrad.jacobian(steps, numbers(8, 5, 100), inputs=0)
    assert np.allclose(of_steps.predicted, of_steps.chi, rtol=0.1) and not of_steps.not_examined


def test_several_inputs_and_branches() -> None:
    left, right = layers.Input((6,)), layers.Input((3,))
    a1, b1 = layers.Dense(4, name="a1"), layers.Dense(5, name="b1")
    out = layers.Dense(2, name="out")
    model = keras.Model([left, right], out(layers.Concatenate()([a1(left), b1(right)])))
    answer = kerasgrad.jacobian(model, [numbers(8, 6), numbers(8, 3)])
    assert answer.layers == ("a1", "b1", "out") and "another branch than a1" in answer.not_examined["b1"]
    kernel, last = np.array(a1.kernel), np.array(out.kernel)
    assert answer.chi[0] == pytest.approx(np.square(kernel).sum() / 4, rel=0.1) and np.isnan(answer.chi[1])
    assert answer.chi[2] == pytest.approx(np.square(last[4:]).sum() / 2, rel=0.1)
    # From end to end all inputs count together.
    whole = np.concatenate([kernel @ last[:4], np.array(b1.kernel) @ last[4:]])
    assert np.allclose(answer.whole[:, :2], np.linalg.svd(whole, compute_uv=False), rtol=1e-4)


def test_pixels_frozen_and_unbuilt_models() -> None:
    stack = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(8, activation="relu"), layers.Dense(3)]
    model, pixels = keras.Sequential(stack), np.random.default_rng(0).integers(0, 256, (16, 4, 4), np.uint8)
    floats = kerasgrad.jacobian(model, pixels.astype(np.float32), inputs=1)
    model.trainable = False
    frozen = kerasgrad.jacobian(model, pixels, inputs=1)
    assert np.array_equal(floats.chi, frozen.chi) and np.array_equal(floats.whole, frozen.whole) and floats.chi[0] < 1e-3
    tokens = keras.Sequential([layers.Embedding(9, 4), layers.GlobalAveragePooling1D(), layers.Dense(4), layers.Dense(2)])
    tokens.layers[0].trainable = False
    answer = kerasgrad.jacobian(tokens, np.array([[1, 2, 3]] * 4), layers="*")
    assert "fed integers" in answer.not_examined["embedding"] and np.isfinite(answer.chi[1:]).all()
    assert np.isfinite(kerasgrad.jacobian(tokens, np.array([[1, 2, 3]] * 4)).chi).all()


def test_what_is_not_finite_is_named() -> None:
    model, x = dense_net(), numbers(4, 12)
    with pytest.raises(ValueError, match="x with such numbers in 1 of 4 examples, the first of them 2"):
        kerasgrad.jacobian(model, np.where(np.arange(4)[:, None] == 2, np.inf, x))
    model.layers[1].bias.assign(np.full(14, np.nan))
    assert "holds NaN" in kerasgrad.jacobian(model, x).not_examined[model.layers[1].name]


def test_where_the_gradient_is_lost() -> None:
    answer = kerasgrad.jacobian(plain("sigmoid", 1.0, 50, 12, 0), numbers(4, 50), inputs=0)
    row = answer.layers.index(answer.lost_at)
    assert answer.to_output[row] < 1e-4 <= answer.to_output[row + 1] and answer.lost_at in repr(answer)
    kept = kerasgrad.jacobian(plain("relu", 2**0.5, 50, 12, 0), numbers(4, 50), inputs=1)
    assert kept.lost_at == "" and "Mean-field theory: " in repr(kept) and kept.whole.shape == (1, 4)
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


def test_many_vectors_go_through_a_small_net_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pass through a recurrent net is hundreds of operations: 200 of them made one of 30 steps take half a minute."""
    passes, gradient = list[None](), tf.GradientTape.gradient

    def counted(*args: Any, **kwargs: Any) -> Any:
        passes.append(None)
        return gradient(*args, **kwargs)

    monkeypatch.setattr(tf.GradientTape, "gradient", counted)
    answer = kerasgrad.jacobian(recurrent_net(), numbers(4, 5, 3), inputs=0)
    assert np.isfinite(answer.chi).all() and len(passes) <= 3 * len(answer.layers)


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
