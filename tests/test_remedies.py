"""Each remedy on a model that needs it: what changes, what is kept, that the model is left alone, that the copy trains."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasgrad
import zoo
import zoo.variants
from kerasgrad import remedies
from kerasgrad.finding import Finding, Severity

ROOT = Path(kerasgrad.__file__).parent


def compiled(model: Any, loss: Any = "sparse_categorical_crossentropy", optimizer: Any = None) -> Any:
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.5), loss, metrics=["accuracy"])
    return model


def dense(*given: Any, last: str = "softmax", units: int = 3, **more: Any) -> Any:
    """Sequential: hidden layers a, b, c of one activation."""
    activation = given[0] if given else "sigmoid"
    hidden = [layers.Dense(8, activation=activation, name=name, **more) for name in "abc"]
    return compiled(keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(units, activation=last, name="end")]))


def convolved(batch: bool = False, strides: int = 2) -> Any:
    """Functional: convolutions of other widths and strides, with an Activation layer, BatchNormalization and a `+`."""
    x = inputs = keras.Input((8, 8, 2), name="image")
    for number, filters in enumerate((4, 8, 8), 1):
        x = layers.Conv2D(filters, 3, strides if number == 2 else 1, padding="same", name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"norm{number}")(x) if batch else x
        x = layers.Activation("tanh", name=f"act{number}")(x)
    x = layers.GlobalAveragePooling2D()(x) + 1.0
    return compiled(keras.Model(inputs, layers.Dense(3, activation="softmax", name="end")(x), name="convolved"))


def recurrent(cls: Any = layers.SimpleRNN, both: bool = False) -> Any:
    one = cls(5, return_sequences=True, name="first")
    stack = [layers.Bidirectional(one, name="first") if both else one, cls(4, name="second")]
    return compiled(keras.Sequential([keras.Input((7, 2)), *stack, layers.Dense(3, activation="softmax", name="end")]))


def post_normalized() -> Any:
    x = inputs = keras.Input((5, 8))
    for block in "ab":
        y = layers.MultiHeadAttention(2, 4, name=f"{block}_attention")(x, x)
        x = layers.LayerNormalization(name=f"{block}_norm1")(layers.Add(name=f"{block}_sum1")([x, y]))
        y = layers.Dense(8, name=f"{block}_down")(layers.Dense(16, "relu", name=f"{block}_up")(x))
        x = layers.LayerNormalization(name=f"{block}_norm2")(x + y)
    outputs = layers.Dense(3, activation="softmax", name="end")(layers.GlobalAveragePooling1D()(x))
    return compiled(keras.Model(inputs, outputs))


def ended(last: str, loss: Any, units: int = 1) -> Any:
    stack = [layers.Dense(8, activation="relu"), layers.Dense(units, activation=last, name="end")]
    return compiled(keras.Sequential([keras.Input((6,)), *stack]), loss)


def frozen() -> Any:
    model = dense("relu")
    model.get_layer("b").trainable = False
    return compiled(model)


def adam(model: Any, **given: Any) -> Any:
    return compiled(model, optimizer=keras.optimizers.Adam(**given))


MODELS: dict[str, Any] = {
    "use_relu": dense,
    "use_leaky_relu": lambda: dense("relu"),
    "use_prelu": lambda: dense("relu"),
    "use_glorot_initializer": lambda: dense("relu", kernel_initializer="he_normal"),
    "use_lstm": recurrent,
    "use_gru": lambda: recurrent(both=True),
    "set_forget_bias": lambda: recurrent(layers.GRU),
    "set_chrono_bias": lambda: recurrent(layers.LSTM, both=True),
    "add_shortcuts": convolved,
    "use_pre_norm": post_normalized,
    "use_group_normalization": lambda: convolved(batch=True),
    "lower_batchnorm_momentum": lambda: convolved(batch=True),
    "set_use_bias_false": lambda: convolved(batch=True),
    "reset_biases": lambda: dense("relu", bias_initializer=keras.initializers.Constant(-1)),
    "use_sigmoid": lambda: ended("softmax", "binary_crossentropy"),
    "use_binary_crossentropy": lambda: ended("softmax", "categorical_crossentropy"),
    "use_softmax": lambda: ended("relu", "sparse_categorical_crossentropy", 3),
    "use_linear_output": lambda: ended("relu", "mse"),
    "set_from_logits": lambda: ended("relu", "sparse_categorical_crossentropy", 3),
    "unfreeze": frozen,
    "raise_clipnorm": lambda: adam(dense("relu"), global_clipnorm=0.1),
    "rescale_pixels": lambda: dense("relu"),
}
"""A model that a remedy changes; for those that are not here any will do."""
X = np.random.default_rng(0).integers(0, 255, (40, 6)).astype("float32")
DEAD = Finding(rule="dead_units", severity=Severity.WARNING, summary="b is dead", layers=("b",), starts_at="b")
ACTING = [name for name in remedies.names() if not remedies.REMEDIES[name].is_advice]


@pytest.fixture(scope="module")
def run() -> kerasgrad.Run:
    """A run whose middle layer is dead but for two units."""
    keras.utils.set_random_seed(0)
    model = dense("relu")
    bias = np.full(8, -1e4)
    bias[:2] = 1  # of inputs from 0 to 1
    model.get_layer("b").bias.assign(bias)
    monitor = kerasgrad.GradientMonitor(update_freq=1, window=10, verbose=0)
    model.fit(X / 255, np.arange(40) % 3, 2, verbose=0, callbacks=[monitor])
    return monitor.run


@pytest.mark.parametrize("name", ACTING)
def test_a_remedy_changes_a_copy_and_leaves_the_model(name: str, run: kerasgrad.Run) -> None:
    model = MODELS.get(name, lambda: dense("relu"))()
    before = model.get_weights()
    settings = (model.to_json(), model.optimizer.get_config(), model.loss)
    finding = DEAD if name == "reset_dead_units" else None
    better = remedies.apply(name, model, finding=finding, run=run if name != "reset_dead_units" else None, x=_x(model, name))
    assert better.model is not None and better.changed, better
    assert better.kept and not better.advice and name in repr(better)
    assert (model.to_json(), model.optimizer.get_config(), model.loss) == settings
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert not {id(v) for v in model.weights} & {id(v) for v in better.model.weights}
    assert better.model.name == model.name
    _trains(better.model, better.batch_size or 8)


def _x(model: Any, name: str) -> Any:
    return X if model.input_shape == (None, 6) else np.random.default_rng(0).normal(size=(40, *model.input_shape[1:]))


def _trains(model: Any, batch: int) -> None:
    x = np.random.default_rng(1).normal(size=(batch, *model.input_shape[1:])).astype("float32")
    shape = (batch, 1) if model.output_shape[-1] == 1 else (batch,)
    y = np.random.default_rng(2).integers(0, 2, shape).astype("float32")
    model.run_eagerly = True  # quicker than tracing, for one step
    assert np.isfinite(model.train_on_batch(x, y)[0])


def kept(model: Any, better: Any, *names: str) -> bool:
    """Whether layers have the weights that they had."""
    pairs = [(model.get_layer(name).get_weights(), better.get_layer(name).get_weights()) for name in names]
    return all(len(a) == len(b) and all(map(np.array_equal, a, b)) for a, b in pairs)


def test_without_anything_to_change_there_is_no_copy() -> None:
    model = dense("relu")
    for name in (
        "use_relu",
        "use_lstm",
        "use_pre_norm",
        "use_group_normalization",
        "use_sigmoid",
        "raise_clipnorm",
        "unfreeze",
    ):
        better = remedies.apply(name, model)
        assert better.model is None and not better.changed and "nothing" in better.advice


def test_a_copy_is_compiled_as_the_model_is() -> None:
    model = dense()
    model.compile(
        keras.optimizers.Adam(0.1, global_clipnorm=2.0), keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="right")], jit_compile=False, steps_per_execution=2,
    )  # fmt: skip
    model.optimizer.learning_rate = 0.25
    better = remedies.apply("use_relu", model).model
    assert isinstance(better, keras.Sequential) and better.steps_per_execution == 2 and better.loss is model.loss
    assert float(better.optimizer.learning_rate) == 0.25 and better.optimizer.global_clipnorm == 2.0
    assert "right" in better.evaluate(np.zeros((4, 6)), np.zeros(4), verbose=0, return_dict=True)


class Inside(keras.Layer):
    """A layer with layers in it, one of them frozen."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.norm, self.hidden = layers.Normalization(), layers.Dense(3)

    def build(self, shape: Any) -> None:
        if not self.norm.built:
            self.norm.build(shape)
        self.hidden.build(shape)
        self.hidden.trainable = False
        super().build(shape)

    def call(self, x: Any) -> Any:
        return self.hidden(self.norm(x))


NUMBERS = np.random.default_rng(3).normal(200, 50, (30, 4)).astype("float32")
WORDS = np.array(["good film", "bad film awful", "good"] * 10)


def adapted(layer: Any, data: Any, part: Any = None) -> Any:
    (part or layer).adapt(data)
    return layer


def fed_by(layer: Any, *behind: Any) -> Any:
    text = isinstance(layer, layers.TextVectorization | layers.StringLookup)
    start = keras.Input(
        (1,) if isinstance(layer, layers.StringLookup) else () if text else (4,), dtype="string" if text else None
    )
    return keras.Sequential([start, layer, *behind, layers.Dense(2)])


def nested() -> Any:
    inputs, inner = keras.Input((4,)), fed_by(adapted(layers.Normalization(), NUMBERS))
    return keras.Model(inputs, layers.Dense(1)(inner(inputs)))


def inside() -> Any:
    layer = Inside()
    return fed_by(adapted(layer, NUMBERS, layer.norm))


def at_each_step() -> Any:
    layer = layers.TimeDistributed(layers.Normalization())
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(1)(adapted(layer, NUMBERS, layer.layer)(layers.RepeatVector(3)(inputs))))


STATEFUL: dict[str, Any] = {
    "normalization": lambda: fed_by(adapted(layers.Normalization(), NUMBERS)),
    "discretization": lambda: fed_by(
        adapted(layers.Discretization(num_bins=3, output_mode="one_hot"), NUMBERS), layers.Flatten()
    ),
    "nested": nested,
    "inside": inside,
    "at each step": at_each_step,
    "words": lambda: fed_by(
        adapted(layers.TextVectorization(output_sequence_length=4), WORDS), layers.Embedding(9, 3), layers.Flatten()
    ),
    "weighed words": lambda: fed_by(adapted(layers.TextVectorization(output_mode="tf_idf"), WORDS)),
    "symbols": lambda: fed_by(adapted(layers.StringLookup(output_mode="one_hot", num_oov_indices=2), WORDS[:, None])),
}
"""Models with layers whose state is not, or not only, in their weights."""


@pytest.mark.parametrize("name", STATEFUL)
def test_a_copy_predicts_what_the_model_predicts(name: str) -> None:
    model = STATEFUL[name]()
    model.compile("adam", "mse")
    x = keras.ops.convert_to_tensor(NUMBERS) if model.input_shape == (None, 4) else tf.constant(WORDS)
    x = x[:, None] if model.input_shape == (None, 1) else x
    better = remedies.apply("lower_learning_rate", model).model
    np.testing.assert_array_equal(better(x), model(x))
    assert np.asarray(model(x)).std() > 1e-4
    assert [v.trainable for v in better.variables] == [v.trainable for v in model.variables]


def test_a_vocabulary_that_cannot_be_carried_over_is_said() -> None:
    layer = adapted(layers.TextVectorization(split="character", standardize=None, output_sequence_length=3), ["a\nb", "cd"])
    model = fed_by(layer, layers.Embedding(9, 3), layers.Flatten())
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"layer 'text_vectorization\w*' of type TextVectorization cannot be carried over"):
        remedies.apply("lower_learning_rate", model)


def test_a_model_that_is_frozen_as_a_whole_is_unfrozen() -> None:
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4, "relu", name="u"), layers.Dense(4, name="v")], name="inner")
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(3, "softmax", name="end")(inner(inputs)))
    inner.trainable = False
    compiled(model)
    of_v = Finding(rule="frozen_layer", severity=Severity.WARNING, summary="", layers=("inner/v",))
    assert len(remedies.apply("lower_learning_rate", model).model.trainable_variables) == 2
    assert len(remedies.apply("unfreeze", model).model.trainable_variables) == 6
    assert len(remedies.apply("unfreeze", model, finding=of_v).model.trainable_variables) == 4
    assert "2 layers are frozen" in remedies.apply("use_leaky_relu", model).advice


def test_where_nothing_changes_it_says_what_was_out_of_reach_or_not_given() -> None:
    assert "layers with a call of their own: inside" in remedies.apply("add_dropout", inside()).advice
    assert remedies.apply("reset_dead_units", dense("relu")).advice.endswith("it was given no `run=` and no `finding=`.")
    said = remedies.apply("clip_gradients_adaptively", adam(dense("relu"))).advice
    assert said.startswith("There is nothing in the optimizer of sequential") and "Adam, that" in said and "`run=`" in said
    assert max(map(len, repr(remedies.apply("add_dropout", inside())).splitlines())) <= 118


def test_activations_and_the_weights_that_they_keep() -> None:
    model = dense("tanh")
    better = remedies.apply("use_relu", model).model
    assert [layer.activation.__name__ for layer in better.layers] == ["relu", "relu", "relu", "softmax"]
    assert kept(model, better, "end") and not kept(model, better, "a")
    assert better.get_layer("a").kernel_initializer.__class__.__name__ == "HeNormal"
    model = dense("relu")
    assert kept(model, remedies.apply("use_leaky_relu", model).model, "a", "b", "c", "end")
    x = np.abs(X[:4]) / 255
    better = remedies.apply("use_prelu", model).model
    slope = better.get_layer("a_act")
    assert np.allclose(slope.get_weights()[0], 0.25)
    slope.set_weights([np.zeros(8)])
    for name in "bc":
        better.get_layer(f"{name}_act").set_weights([np.zeros(8)])
    np.testing.assert_allclose(better(x), model(x), atol=1e-6)
    layer_wise = convolved()
    assert {"relu"} == {
        remedies.apply("use_relu", layer_wise).model.get_layer(f"act{i}").activation.__name__ for i in (1, 2, 3)
    }


@pytest.mark.parametrize("remedy", ["use_relu", "use_leaky_relu", "use_prelu"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_activation_inside_a_loop_is_left_alone(remedy: str, activation: str) -> None:
    model = keras.Sequential([keras.Input((9, 2)), layers.SimpleRNN(8, activation), layers.Dense(1)])
    assert remedies.apply(remedy, model).model is None


def test_linear_layers_in_a_row_get_an_activation_between_them() -> None:
    better = remedies.apply("use_relu", dense("linear")).model
    assert [layer.activation.__name__ for layer in better.layers] == ["relu", "relu", "relu", "softmax"]


@pytest.mark.parametrize(
    ("name", "variance"),
    [("use_he_initializer", 2 / 300), ("use_glorot_initializer", 2 / 500), ("use_lecun_initializer", 1 / 300)],
)
def test_initialisers_have_their_variance(name: str, variance: float) -> None:
    hidden = layers.Dense(200, "relu", name="hidden", kernel_initializer="ones", bias_initializer="ones")
    model = compiled(keras.Sequential([keras.Input((300,)), hidden, layers.Dense(3, "softmax", name="end")]))
    better = remedies.apply(name, model).model
    kernel, bias = better.get_layer("hidden").get_weights()
    assert abs(kernel.var() / variance - 1) < 0.05 and abs(kernel.mean()) < 1e-2
    assert (bias == 1).all() and kept(model, better, "end")


def test_kernels_that_an_initialiser_has_drawn_are_not_drawn_again() -> None:
    model = dense("relu", kernel_initializer="he_normal")
    assert remedies.apply("use_he_initializer", model).model is None
    model.get_layer("b").kernel.assign(model.get_layer("b").kernel * 5)
    assert [line.partition(":")[0] for line in remedies.apply("use_he_initializer", model).changed] == ["b"]
    again = remedies.apply("use_orthogonal_initializer", model).model
    assert remedies.apply("use_orthogonal_initializer", again).model is None


def test_orthogonal_kernels_are_orthogonal_times_the_gain() -> None:
    kernel = remedies.apply("use_orthogonal_initializer", dense("relu")).model.get_layer("b").get_weights()[0]
    np.testing.assert_allclose(kernel.T @ kernel, 2 * np.eye(8), atol=1e-5)


def test_only_the_layers_of_the_finding_begin_anew() -> None:
    model = dense("relu")
    for name in ("use_he_initializer", "reset_dead_units"):
        better = remedies.apply(name, model, finding=DEAD).model
        assert kept(model, better, "a", "c", "end") and not kept(model, better, "b")
    # A finding of an activation or a normalisation is of the layer with the kernel before it.
    model = convolved(batch=True)
    better = remedies.apply(
        "use_he_initializer", model, finding=Finding(rule="x", severity=Severity.NOTE, summary="", layers=("act2",))
    ).model
    assert kept(model, better, "conv1", "conv3", "norm2") and not kept(model, better, "conv2")


def test_dead_units_begin_anew_one_by_one(run: kerasgrad.Run) -> None:
    model = dense("relu")
    model.get_layer("b").bias.assign(np.full(8, -1e4))
    better = remedies.apply("reset_dead_units", model, run=run)
    old, new = model.get_layer("b").get_weights(), better.model.get_layer("b").get_weights()
    same = (old[0] == new[0]).all(axis=0)
    assert same[:2].all() and not same[2:].any(), better
    assert (new[1][2:] == 0).all() and (new[1][:2] == -1e4).all()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("add_batch_normalization", layers.BatchNormalization), ("add_layer_normalization", layers.LayerNormalization),
        ("add_group_normalization", layers.GroupNormalization), ("add_normalization", layers.BatchNormalization),
    ],
)  # fmt: skip
def test_normalisation_stands_before_the_activation(name: str, kind: Any) -> None:
    model = convolved()
    better = remedies.apply(name, model).model
    assert [layer.name for layer in better.layers][:4] == ["image", "conv1", "conv1_norm", "act1"]
    assert all(isinstance(better.get_layer(f"conv{i}_norm"), kind) for i in (1, 2, 3))
    assert kept(model, better, "conv1", "conv2", "conv3", "end")
    better = remedies.apply(name, dense("tanh")).model
    assert isinstance(better, keras.Sequential)
    assert [layer.name for layer in better.layers] == [
        *(f"{n}{what}" for n in "abc" for what in ("", "_norm", "_act")),
        "end",
    ]
    assert better.get_layer("a").activation.__name__ == "linear" and better.get_layer("a_act").activation.__name__ == "tanh"
    again = remedies.apply(name, better)
    assert again.model is None


def test_group_normalisation_keeps_scale_and_shift() -> None:
    model = convolved(batch=True)
    gamma = np.arange(8, dtype="float32")
    model.get_layer("norm2").gamma.assign(gamma)
    better = remedies.apply("use_group_normalization", model).model.get_layer("norm2")
    assert isinstance(better, layers.GroupNormalization) and np.array_equal(better.gamma, gamma)


def test_shortcuts_and_their_projections() -> None:
    model = convolved()
    better = remedies.apply("add_shortcuts", model).model
    named = {layer.name: layer for layer in better.layers}
    assert isinstance(named["conv2_project"], layers.Conv2D) and named["conv2_project"].strides == (2, 2)
    assert "conv1_sum" not in named and "conv3_project" not in named and "conv3_sum" in named
    # The sums are x + f(x): with f taken away the input is left.
    named["conv3"].set_weights([w * 0 for w in named["conv3"].get_weights()])
    part = keras.Model(better.input, [named["conv2_sum"].output, named["conv3_sum"].output])
    a, b = part(np.random.default_rng(0).normal(size=(2, 8, 8, 2)))
    assert np.array_equal(a, b)
    assert remedies.apply("add_shortcuts", better).model is None


def test_many_shortcuts_are_scaled_so_that_depth_does_not_matter() -> None:
    model = compiled(zoo.build("plain.relu", depth=40))
    better = remedies.apply("add_shortcuts", model)
    assert not isinstance(better.model, keras.Sequential)
    outputs = keras.Model(better.model.input, better.model.get_layer("hidden39_sum").output)
    x = np.random.default_rng(0).normal(size=(50, 64))
    assert 1 < np.square(outputs(x)).mean() < 30  # unscaled: 2^38


def test_pre_norm_frees_the_way_of_the_shortcuts() -> None:
    model = post_normalized()
    better = remedies.apply("use_pre_norm", model).model
    assert kept(
        model, better, *(f"{b}_{what}" for b in "ab" for what in ("attention", "norm1", "norm2", "up", "down")), "end"
    )
    for name in ("a_attention", "b_attention", "a_down", "b_down"):
        layer = better.get_layer(name)
        layer.set_weights([w * 0 for w in layer.get_weights()])
    ends = keras.Model(better.input, better.get_layer("final_norm").input)
    x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    assert np.array_equal(ends(x), x)
    # Written out by hand, with the weights of the copy.
    better = remedies.apply("use_pre_norm", model).model
    y = keras.ops.convert_to_tensor(x)
    for b in "ab":
        n = better.get_layer(f"{b}_norm1")(y)
        y = y + better.get_layer(f"{b}_attention")(n, n)
        y = y + better.get_layer(f"{b}_down")(better.get_layer(f"{b}_up")(better.get_layer(f"{b}_norm2")(y)))
    y = better.get_layer("end")(keras.ops.mean(better.get_layer("final_norm")(y), 1))
    np.testing.assert_allclose(better(x), y, atol=1e-5)


def test_gates_take_the_place_of_simple_cells() -> None:
    model = recurrent(both=True)
    better = remedies.apply("use_lstm", model).model
    assert isinstance(better.get_layer("first").forward_layer, layers.LSTM)
    assert (
        isinstance(better.get_layer("first").backward_layer, layers.LSTM)
        and better.get_layer("first").backward_layer.go_backwards
    )
    assert isinstance(better.get_layer("second"), layers.LSTM) and kept(model, better, "end")
    assert better.output_shape == model.output_shape


def test_biases_of_the_gates_that_keep_the_memory() -> None:
    model = recurrent(layers.GRU)
    better = remedies.apply("set_forget_bias", model).model
    bias = np.array(better.get_layer("first").cell.bias)
    assert (bias[0, :5] == 1).all() and not bias[0, 5:].any() and not bias[1].any()
    assert kept(model, better, "end")
    better = remedies.apply("set_chrono_bias", recurrent(layers.LSTM)).model
    bias = np.array(better.get_layer("first").cell.bias)
    assert np.array_equal(bias[:5], -bias[5:10]) and (bias[5:10] >= 0).all() and (bias[5:10] <= np.log(6)).all()


def test_rates_and_clipping(run: kerasgrad.Run) -> None:
    def of(name: str, **given: Any) -> Any:
        return remedies.apply(name, adam(dense("relu"), **given), run=run).model.optimizer

    assert float(of("lower_learning_rate", learning_rate=2.0).learning_rate) == pytest.approx(1e-3)
    assert float(of("lower_learning_rate", learning_rate=1e-3).learning_rate) == pytest.approx(1e-4)
    assert float(of("raise_learning_rate", learning_rate=1e-7).learning_rate) == pytest.approx(1e-3)
    schedule = keras.optimizers.schedules.ExponentialDecay(1.0, 10, 0.5)
    lowered = of("lower_learning_rate", learning_rate=schedule)
    assert float(lowered.learning_rate) == pytest.approx(1e-3) and float(lowered._learning_rate(10)) == pytest.approx(5e-4)
    warm = of("warm_up", learning_rate=0.1)._learning_rate
    assert [float(warm(step)) for step in (0, 50, 100, 500)] == pytest.approx([1e-3, 0.0505, 0.1, 0.1], rel=1e-5)
    clipped = of("clip_gradients", clipvalue=0.1)
    assert clipped.global_clipnorm == 1 and clipped.clipvalue is None
    norms = run.overall("gradient_norm")
    assert of("clip_gradients_adaptively").global_clipnorm == pytest.approx(np.percentile(norms, 10))
    assert of("raise_clipnorm", clipnorm=0.1).clipnorm == pytest.approx(1)


def test_what_weight_decay_spares_is_spared_in_a_copy() -> None:
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    better = remedies.apply("lower_learning_rate", compiled(dense("relu"), optimizer=optimizer)).model
    decays = {v.name: better.optimizer._use_weight_decay(v) for v in better.trainable_variables}
    assert decays == {"kernel": True, "bias": False}


def test_loss_scaling_stays_around_the_optimizer() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    better = remedies.apply("lower_learning_rate", adam(dense("relu"), learning_rate=1e-2)).model
    assert isinstance(better.optimizer, keras.optimizers.LossScaleOptimizer)
    assert float(better.optimizer.inner_optimizer.learning_rate) == pytest.approx(1e-3)


def test_inputs_are_standardised_with_the_sample() -> None:
    model, x = dense("relu"), X.copy()
    x[:, 0] = 3.0
    better = remedies.apply("standardize_inputs", model, x=x).model
    scaled = np.array(better.layers[0](x))
    assert abs(scaled.mean()) < 1e-5 and np.allclose(scaled[:, 1:].std(0), 1, atol=1e-5) and not scaled[:, 0].any()
    assert np.abs(np.array(better.layers[0](x + 1))[:, 0]).max() < 2  # a column that hardly varies is not blown up
    assert kept(model, better, "a", "b", "c", "end") and isinstance(better, keras.Sequential)
    assert remedies.apply("standardize_inputs", model, x=scaled).model is None
    finding = Finding(rule="unscaled_inputs", severity=Severity.WARNING, summary="", measured=50.0)
    assert np.allclose(remedies.apply("standardize_inputs", model, finding=finding).model.layers[0](x), x / 50)
    # A model that scales its inputs itself would scale them twice.
    for name in ("standardize_inputs", "rescale_pixels", "add_input_normalization"):
        assert remedies.apply(name, better, x=x).model is None
    symbols = keras.Sequential([keras.Input((4,), dtype="int32"), layers.Embedding(9, 4), layers.Flatten(), layers.Dense(2)])
    assert remedies.apply("standardize_inputs", compiled(symbols), x=np.ones((3, 4), "int32")).model is None


def test_what_comes_last_fits_the_loss() -> None:
    better = remedies.apply("use_sigmoid", ended("softmax", "binary_crossentropy")).model
    assert better.get_layer("end").activation.__name__ == "sigmoid" and better.loss == "binary_crossentropy"
    better = remedies.apply("set_from_logits", ended("softmax", "sparse_categorical_crossentropy", 3)).model
    assert better.get_layer("end").activation.__name__ == "linear" and better.loss.from_logits
    wrong = ended("softmax", keras.losses.SparseCategoricalCrossentropy(from_logits=True), 3)
    assert remedies.apply("use_linear_output", wrong).model.loss.from_logits
    assert not kerasgrad.audit(better).of(Severity.WARNING)


@pytest.mark.parametrize(
    ("remedy", "last", "logits"), [("set_from_logits", "linear", False), ("use_linear_output", "sigmoid", True)]
)
def test_metrics_of_logits_count_at_zero(remedy: str, last: str, logits: bool) -> None:
    """As those of the probabilities that a sigmoid makes of them."""

    def compiled_of(model: Any, logits: bool) -> Any:
        metrics = ["accuracy", "mae", keras.metrics.Precision(name="precision"), keras.metrics.AUC(name="auc")]
        model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=logits), metrics=metrics)
        return model

    model = compiled_of(ended(last, "mse"), logits)
    better = remedies.apply(remedy, model)
    assert better.changed[-1] == "metrics: classes are told apart at a logit of 0"
    beside = compiled_of(keras.Sequential([better.model, layers.Activation("sigmoid")]), False)
    x = np.random.default_rng(0).normal(size=(200, 6))
    y = (x[:, 0] > 0).astype("float32")
    got, expected = (m.evaluate(x, y, verbose=0, return_dict=True) for m in (better.model, beside))
    for name in ("loss", "accuracy", "precision", "auc"):
        assert got[name] == pytest.approx(expected[name], abs=1e-6), name


def test_models_in_models_custom_steps_and_shared_layers() -> None:
    inner = keras.Sequential([keras.Input((6,)), *(layers.Dense(6, "tanh", name=n) for n in ("u", "v"))], name="inner")

    class Own(keras.Model):
        def train_step(self, data: Any) -> Any:
            return super().train_step(data)

    inputs = keras.Input((6,), name="in")
    shared = layers.Dense(6, "relu", name="shared")
    y = inner(shared(shared(inputs)))
    model = compiled(Own(inputs, layers.Dense(3, "softmax", name="end")(y), name="own"))
    better = remedies.apply("use_relu", model)
    assert type(better.model) is Own and set(better.changed) == {"inner/u: tanh -> relu", "inner/v: tanh -> relu"}
    assert kept(model, better.model, "shared", "end")
    assert better.model.get_layer("inner").get_layer("u").activation.__name__ == "relu"
    plain = remedies.apply("larger_batch", model).model
    x = np.ones((2, 6), "float32")
    np.testing.assert_array_equal(plain(x), model(x))


def headed(last: str, loss: str, units: int = 3) -> Any:
    """Functional, with a model as its head."""
    head = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, "tanh", name="u"), layers.Dense(units, last, name="v")], name="head"
    )
    inputs = keras.Input((6,))
    return compiled(keras.Model(inputs, head(layers.Dense(8, "relu", name="a")(inputs))), loss)


def test_what_comes_last_may_be_in_a_model_within_or_frozen() -> None:
    model = headed("softmax", "sparse_categorical_crossentropy")
    assert remedies.apply("use_relu", model).changed == ("head/u: tanh -> relu",)
    assert remedies.apply("add_dropout", model).changed == (
        "a: dropout of 0.2 behind it",
        "head/u: dropout of 0.2 behind it",
    )
    assert remedies.apply("set_from_logits", model).changed[0] == "head/v: softmax -> linear"
    changed = remedies.apply("use_sigmoid", headed("softmax", "binary_crossentropy", 1)).changed
    assert changed == ("head/v: softmax -> sigmoid",)
    model = dense("relu")
    model.get_layer("end").trainable = False
    assert remedies.apply("set_from_logits", compiled(model)).changed[:-1] == ("end: softmax -> linear",)
    assert len(remedies.apply("use_leaky_relu", model).changed) == 3


def test_of_a_class_with_its_own_call_there_is_advice() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.a = layers.Dense(3, activation="sigmoid")

        def call(self, x: Any) -> Any:
            return self.a(x)

    model = compiled(Own())
    model(np.zeros((1, 6)))
    for name in ACTING:
        better = remedies.apply(name, model)
        assert better.model is None and better.advice, name
    assert 'activation="relu"' in remedies.apply("use_relu", model).advice
    assert "By hand:\n\n    model.optimizer" in remedies.apply("lower_learning_rate", model).advice


def test_slips_of_the_pen() -> None:
    with pytest.raises(KeyError, match=r"use_relu.*Received: name='use_rellu'"):
        remedies.apply("use_rellu", dense())
    with pytest.raises(TypeError, match=r"`model` takes a Model. Received: model of type str"):
        remedies.apply("use_relu", "model")
    with pytest.raises(TypeError, match=r"`run` takes a Run. Received: run of type str"):
        remedies.apply("use_relu", dense(), run="logs/mine")
    with pytest.raises(ValueError, match=r"compile the model first"):
        remedies.apply("lower_learning_rate", keras.Sequential([keras.Input((2,)), layers.Dense(1)]))

    class Odd(layers.Dense):
        def get_config(self) -> Any:
            raise NotImplementedError("no configuration")

    with pytest.raises(ValueError, match=r"'odd' of type Odd cannot be copied.*no configuration"):
        remedies.apply("use_relu", keras.Sequential([keras.Input((2,)), Odd(2, name="odd"), layers.Dense(1)]))


def test_each_name_that_is_used_exists_and_is_explained() -> None:
    """In the rules, in the texts on top of them, and in the checks of the audit."""
    used: dict[str, str] = {}
    for path in [*(ROOT / "rules").glob("*.py"), *(ROOT / "probes").glob("*.py")]:
        tree = ast.parse(path.read_text())
        for said in re.findall(r"Remedies: ([\w, \n]+)\.", ast.get_docstring(tree) or ""):
            used |= dict.fromkeys(re.findall(r"\w+", said), path.name)
        strings = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        used |= {s: path.name for s in strings if re.fullmatch(PREFIXES, s)}
    del used["use_bias"], used["use_cudnn"]  # attributes of layers
    assert len(used) > 40
    assert not {name: path for name, path in used.items() if name not in remedies.names()}
    assert not [name for name in remedies.names() if len(remedies.explain(name)) < 60]
    assert not [name for name in ACTING if "Source" not in remedies.explain(name)]
    assert not [name for name in remedies.names() if "as above" in remedies.explain(name)]


PREFIXES = (
    r"(use|add|set|lower|raise|reset|replace|check|find|clip|standardize|rescale|warm|stop|more|larger|decay|guard|weigh"
    r"|shorten|narrow|remove|call|scale|normalize)_\w+"
)


def test_names_that_the_model_has_are_not_taken_twice() -> None:
    """Of a pre-activation net, in which `hidden02_norm` and `hidden02_sum` stand where they are not looked for."""
    model = compiled(zoo.build("plain.pre_activation", depth=4))
    inputs = keras.Input((4,))
    x = layers.Dense(4, "tanh", name="b_norm")(layers.Dense(4, "tanh", name="b")(inputs))
    clash = compiled(keras.Model(inputs, layers.Dense(3, "softmax", name="b_sum")(layers.Dense(4, "tanh", name="c")(x))))
    for remedy in ("add_normalization", "add_shortcuts", "use_prelu", "add_dropout"):
        for one in (model, clash):
            remedies.apply(remedy, one)
    assert remedies.apply("add_normalization", clash).model.get_layer("b_norm_2") is not None
    # What the other layers are given is normalised already.
    assert [line.partition(":")[0] for line in remedies.apply("add_normalization", model).changed] == ["hidden01"]


SMALL: dict[str, dict[str, Any]] = {
    "plain": {"depth": 5},
    "recurrent": {"input_shape": (9, 2)},
    "resnet": {"depth": 8, "input_shape": (8, 8, 1)},
    "densenet": {"depth": 10, "input_shape": (8, 8, 1)},
    "unet": {"input_shape": (16, 16, 1)},
    "transformer": {},
}
"""How small the zoo's families are made here."""


def small(name: str) -> Any:
    family = zoo.variants.VARIANTS[name].family
    return compiled(zoo.build(name, **SMALL[family]), "mse", keras.optimizers.Adam())


def some(model: Any) -> Any:
    random, shape = np.random.default_rng(0), (2, *model.input_shape[1:])
    symbols = "int" in str(model.inputs[0].dtype)
    return random.integers(0, 2, shape) if symbols else random.normal(size=shape).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in zoo.names() if "imagenet" not in name])
def test_on_each_model_of_the_zoo_a_plain_copy_is_the_same_and_remedies_hold(name: str) -> None:
    model = small(name)
    x = some(model)
    before, outputs = model.get_weights(), np.array(model(x))
    np.testing.assert_array_equal(remedies.plain_copy(model).model(x), outputs)
    for remedy in GRAPHIC:
        better = remedies.apply(remedy, model).model
        assert better is None or np.isfinite(better(x)).all(), remedy
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    np.testing.assert_array_equal(model(x), outputs)


GRAPHIC = (
    "use_relu", "use_prelu", "use_he_initializer", "add_normalization", "add_group_normalization", "add_shortcuts",
    "use_pre_norm", "use_lstm", "set_chrono_bias", "use_group_normalization", "add_input_normalization", "add_dropout",
)  # fmt: skip
