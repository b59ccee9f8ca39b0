"""The checklist before training: each check on a model that has the fault and on one that has not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasgrad
from kerasgrad.finding import Severity
from kerasgrad.monitoring.progress import loss_name


def stacked(*middle: Any, shape: tuple[int, ...] = (8,), last: Any = None, loss: Any = None, rate: float = 1e-3) -> Any:
    """A compiled Sequential model."""
    model = keras.Sequential([keras.Input(shape), *middle, last or layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.Adam(rate), loss or "sparse_categorical_crossentropy")
    return model


def relu(width: int = 16, **given: Any) -> Any:
    return layers.Dense(width, activation="relu", **given)


class Chain(keras.Model):
    """Subclassed: a chain of layers, with a shortcut around each by a plain plus, or without."""

    def __init__(self, depth: int, shortcuts: bool) -> None:
        super().__init__()
        self.shortcuts = shortcuts
        self.steps = [layers.Dense(8, activation="relu", kernel_initializer="he_normal") for _ in range(depth)]
        self.head = layers.Dense(3, activation="softmax")

    def call(self, x: Any) -> Any:
        for step in self.steps:
            x = x + step(x) if self.shortcuts else step(x)
        return self.head(x)


def chain(depth: int, shortcuts: bool) -> Any:
    model = Chain(depth, shortcuts)
    model.compile("adam", "sparse_categorical_crossentropy")
    model(np.zeros((2, 8), np.float32))
    return model


def images(*middle: Any) -> Any:
    return stacked(*middle, layers.GlobalAveragePooling2D(), shape=(8, 8, 3))


def attending(positions: bool) -> Any:
    inputs = keras.Input((12,), dtype="int32")
    x = layers.Embedding(20, 8)(inputs)
    if positions:
        x = layers.Add(name="with_positions")([x, layers.Embedding(12, 8)(layers.Lambda(lambda t: t * 0)(inputs))])
    x = layers.MultiHeadAttention(2, 4)(x, x)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x)))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


NOTE, WARNING, ERROR = Severity.NOTE, Severity.WARNING, Severity.ERROR
Make = Callable[[], Any]
CASES: list[tuple[str, Make, Severity, Make, dict[str, Any]]] = [
    (
        "last_activation",
        lambda: stacked(relu(), last=layers.Dense(1, activation="softmax"), loss="binary_crossentropy"),
        ERROR,
        lambda: stacked(relu(), last=layers.Dense(1, activation="sigmoid"), loss="binary_crossentropy"),
        {},
    ),
    (
        "last_activation",
        lambda: stacked(relu(), last=layers.Dense(3)),
        WARNING,
        lambda: stacked(relu(), last=layers.Dense(3), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        {},
    ),
    (
        "last_activation",
        lambda: stacked(relu(), last=layers.Dense(1, activation="relu"), loss="mse"),
        NOTE,
        lambda: stacked(relu(), last=layers.Dense(1), loss="mse"),
        {},
    ),
    ("nothing_trainable", lambda: stacked(relu(trainable=False), last=layers.Dense(3, trainable=False)), ERROR, stacked, {}),
    ("linear_stack", lambda: stacked(layers.Dense(8), layers.Dense(8)), WARNING, lambda: stacked(relu(), relu()), {}),
    ("learning_rate", lambda: stacked(relu(), rate=1.0), WARNING, lambda: stacked(relu(), rate=3e-3), {}),
    (
        "saturating_activation",
        lambda: stacked(*[layers.Dense(8, activation="sigmoid") for _ in range(4)]),
        WARNING,
        lambda: stacked(relu(), last=layers.Dense(1, activation="sigmoid"), loss="binary_crossentropy"),
        {},
    ),
    (
        "initializer_against_activation",
        lambda: stacked(relu(kernel_initializer="zeros")),
        WARNING,
        lambda: stacked(relu(kernel_initializer="he_normal")),
        {},
    ),
    ("deep_without_shortcuts", lambda: chain(24, False), NOTE, lambda: chain(24, True), {}),
    ("deep_without_shortcuts", lambda: chain(32, False), WARNING, lambda: chain(19, False), {}),
    (
        "small_batch",
        lambda: images(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()),
        WARNING,
        lambda: images(layers.Conv2D(4, 3), layers.LayerNormalization(), layers.ReLU()),
        {"batch_size": 4},
    ),
    (
        "long_recurrence",
        lambda: stacked(layers.SimpleRNN(4), shape=(150, 2)),
        WARNING,
        lambda: stacked(layers.SimpleRNN(4), shape=(50, 2)),
        {},
    ),
    (
        "long_recurrence",
        lambda: stacked(layers.LSTM(4), shape=(None, 2)),
        NOTE,
        lambda: stacked(relu()),
        {"sequence_length": 150},
    ),
    (
        "unbounded_state",
        lambda: stacked(layers.LSTM(4, activation="relu"), shape=(9, 2)),
        NOTE,
        lambda: stacked(layers.LSTM(4), shape=(9, 2)),
        {},
    ),
    ("attention_without_positions", lambda: attending(False), NOTE, lambda: attending(True), {}),
    (
        "bias_before_normalization",
        lambda: images(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()),
        NOTE,
        lambda: images(layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU()),
        {},
    ),
    (
        "normalization_after_activation",
        lambda: images(layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()),
        NOTE,
        lambda: images(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()),
        {},
    ),
]


@pytest.mark.parametrize(("check", "faulty", "severity", "sound", "given"), CASES)
def test_a_fault_is_found_and_its_absence_too(check: str, faulty: Make, severity: Severity, sound: Make, given: Any) -> None:
    found = {f.rule: f for f in kerasgrad.audit(faulty(), **given)}
    assert found[check].severity is severity and found[check].summary and found[check].remedies
    other = kerasgrad.audit(sound(), **given)
    assert check in other.examined and check not in {f.rule for f in other}


def test_the_initialiser_that_is_named_is_the_one_for_the_activation() -> None:
    def named(activation: str, initializer: str, depth: int) -> list[tuple[str, tuple[str, ...]]]:
        middle = [layers.Dense(8, activation=activation, kernel_initializer=initializer) for _ in range(depth)]
        found = kerasgrad.audit(stacked(*middle))
        return [(f.summary[:15], f.remedies) for f in found if f.rule == "initializer_against_activation"]

    assert named("tanh", "he_normal", 1) == [("1 layer has He'", ("use_glorot_initializer",))]
    assert named("sigmoid", "he_uniform", 2) == [("2 layers have H", ("use_glorot_initializer",))]
    assert named("relu", "glorot_uniform", 12) == [("12 layers have ", ("use_he_initializer",))]
    assert not named("tanh", "glorot_uniform", 2) and not named("relu", "he_normal", 12)


def test_one_is_not_several() -> None:
    normed = images(layers.Conv2D(4, 3, activation="sigmoid"), layers.BatchNormalization())
    linear = stacked(layers.Dense(4), relu(), relu())
    said = " ".join(f.summary for model in (normed, linear) for f in kerasgrad.audit(model))
    for part in ("1 hidden layer is a sigmoid", "1 normalisation comes after", "1 layer follows a linear one"):
        assert part in said
    assert not re.search(r"\b1 [a-z ]*(layers|normalisations|variables)\b", said)


@pytest.mark.parametrize(
    ("rate", "severity"),
    [
        (0.1, NOTE),
        (0.099, None),
        (1e-6, NOTE),
        (1.1e-6, None),
        (0.99, NOTE),
        (1.0, WARNING),
        (1e-7, WARNING),
        (1.1e-7, NOTE),
    ],
)
def test_a_rate_on_the_bound_is_beyond_it(rate: float, severity: Severity | None) -> None:
    """float32 makes 0.1 a little more and 1e-6 a little less than the bound."""
    found = {f.rule: f.severity for f in kerasgrad.audit(stacked(relu(), rate=rate))}
    assert found.get("learning_rate") is severity


@pytest.mark.parametrize(
    ("rate", "said"), [(-1e-3, "below 0: each step climbs"), (0.0, "0: nothing moves"), (float("nan"), "no number")]
)
def test_a_rate_that_is_none_is_called_so(rate: float, said: str) -> None:
    (found,) = [f for f in kerasgrad.audit(stacked(relu(), rate=rate)) if f.rule == "learning_rate"]
    assert said in found.summary and found.severity is WARNING and "usual" not in found.summary


def scheduled(highest: float) -> Any:
    model = stacked(relu())
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 1000, warmup_target=highest, warmup_steps=100)
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
    return model


def test_a_warm_up_begins_at_zero_and_is_judged_by_its_height() -> None:
    assert "learning_rate" not in {f.rule for f in kerasgrad.audit(scheduled(1e-3))}
    assert "learning_rate" in {f.rule for f in kerasgrad.audit(scheduled(5.0))}


def test_every_check_has_a_fault() -> None:
    from kerasgrad.probes.auditing import CHECKS

    assert {check.__name__ for check in CHECKS} == {case[0] for case in CASES}


def test_what_it_cannot_see_it_says() -> None:
    unbuilt = Chain(2, False)
    diagnosis = kerasgrad.audit(unbuilt)
    assert not diagnosis.findings and "not built" in diagnosis.not_examined["linear_stack"]
    assert diagnosis.not_examined["learning_rate"] == "it is not compiled"
    normed = images(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU())
    assert "batch_size" in kerasgrad.audit(normed).not_examined["small_batch"]
    assert "sequence_length" in kerasgrad.audit(stacked(layers.LSTM(4), shape=(None, 2))).not_examined["long_recurrence"]
    with pytest.raises(TypeError, match="Received"):
        kerasgrad.audit("model")  # type: ignore[arg-type]


def test_the_model_is_left_as_it_is() -> None:
    model = images(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU())
    before, calls = [np.array(v) for v in model.variables], keras.Layer.__call__
    kerasgrad.audit(model, batch_size=2)
    assert all(np.array_equal(a, np.array(b)) for a, b in zip(before, model.variables, strict=True))
    assert keras.Layer.__call__ is calls and model.optimizer.iterations == 0


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
def test_a_softmax_over_one_unit_trains_for_something_else_than_it_predicts() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 8)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.float32)
    bad = stacked(relu(), last=layers.Dense(1, activation="softmax"), loss="binary_crossentropy")
    found = {f.rule: f for f in kerasgrad.audit(bad, x=x, y=y)}
    assert found["loss_of_predictions"].severity is ERROR and "constant_output" in found
    good = stacked(relu(kernel_regularizer="l2"), last=layers.Dense(1, activation="sigmoid"), loss="binary_crossentropy")
    diagnosis = kerasgrad.audit(good, x=x, y=y)
    assert "loss_of_predictions" in diagnosis.examined and not diagnosis.findings


def offered() -> dict[str, Any]:
    """Every activation of Keras that a layer takes: `threshold` has arguments, and of `glu` Keras has the shape wrong."""
    others = ("get", "serialize", "deserialize", "threshold", "glu")
    found = {name: getattr(keras.activations, name) for name in dir(keras.activations) if name not in others}
    return {name: f for name, f in found.items() if callable(f) and name[0] != "_"}


@pytest.mark.parametrize("given", ["string", "function", "layer"])
def test_only_a_linear_activation_makes_a_linear_stack(given: str) -> None:
    """All that Keras has, each in a branch of its own."""
    inputs, ends = keras.Input((8,)), []
    own = {"leaky_relu": layers.LeakyReLU, "prelu": layers.PReLU, "elu": layers.ELU, "softmax": layers.Softmax}
    activations = {name: layers.Activation(f) for name, f in offered().items()} | {f"own_{n}": c() for n, c in own.items()}
    for name in offered() if given != "layer" else activations:
        activation = {"string": name, "function": offered().get(name)}.get(given)
        x = layers.Dense(4, activation=activation)(inputs)
        ends.append(layers.Dense(2, name=f"behind_{name}")(activations[name](x) if given == "layer" else x))
    model = keras.Model(inputs, layers.Concatenate()([layers.Activation("relu")(end) for end in ends]))
    (found,) = [f for f in kerasgrad.audit(model) if f.rule == "linear_stack"]
    assert found.layers == ("behind_linear",) and len(ends) > 25


def test_a_shortcut_ends_a_row_of_linear_layers_and_a_reshape_does_not() -> None:
    def found(middle: Callable[[Any], Any]) -> bool:
        inputs = keras.Input((4, 4))
        model = keras.Model(inputs, layers.Dense(4)(middle(layers.Dense(4)(inputs))))
        diagnosis = kerasgrad.audit(model)
        return "linear_stack" in {f.rule for f in diagnosis} if "linear_stack" in diagnosis.examined else pytest.fail()

    assert found(lambda x: 0.5 * layers.Reshape((16,))(x) + 1.0)
    assert found(lambda x: keras.ops.mean(keras.ops.transpose(x, (0, 2, 1)), axis=1))
    assert not found(lambda x: x + layers.Dense(4)(layers.Activation("gelu")(x)))
    assert not found(lambda x: x * x) and not found(lambda x: 1.0 / x) and not found(lambda x: keras.ops.sort(x))


def test_a_gate_is_no_layer_of_the_stack() -> None:
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    for _ in range(4):
        gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
        x = layers.Multiply()([x, layers.Reshape((1, 1, 4))(gate)])
    flat = layers.Dense(8, activation="relu")(layers.Flatten()(x))
    for name in ("one", "two"):  # a highway: gate and 1 - gate
        gate = layers.Dense(8, activation="sigmoid", name=name)(flat)
        flat = gate * layers.Dense(8, activation="relu")(flat) + (1 - gate) * flat
    model = keras.Model(inputs, layers.Dense(3)(flat))
    assert "saturating_activation" not in {f.rule for f in kerasgrad.audit(model)}
    hidden = layers.Dense(8, activation="sigmoid", name="hidden")(flat)
    model = keras.Model(inputs, layers.Dense(3)(hidden + 2.0 * hidden))
    (found,) = [f for f in kerasgrad.audit(model) if f.rule == "saturating_activation"]
    assert found.layers == ("hidden",)


@pytest.mark.filterwarnings("ignore:The model does not have any trainable")
def test_a_run_says_it_too_that_nothing_is_trainable() -> None:
    model = stacked(relu(trainable=False), last=layers.Dense(3, trainable=False))
    monitor = kerasgrad.GradientMonitor(verbose=0)
    model.fit(np.ones((64, 8)), np.zeros(64), batch_size=4, verbose=0, callbacks=[monitor])
    found = next(f for f in monitor.diagnosis if f.rule == "disconnected")
    assert found.severity is ERROR and "No weight of the model is trainable" in found.summary


def test_a_sample_leaves_the_metrics_as_they_were() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(32, 8)).astype(np.float32), random.integers(0, 3, 32)
    model = stacked(relu(), layers.BatchNormalization())
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, verbose=0)
    before = model.get_metrics_result()
    kerasgrad.audit(model, x=x[:5], y=y[:5])
    assert model.get_metrics_result() == before
    with pytest.raises(ValueError, match="at least one"):
        kerasgrad.audit(model, x=x[:0], y=y[:0])


def test_a_sample_that_is_no_number_is_told_and_the_activation_is_not_blamed() -> None:
    x, y = np.ones((6, 8), np.float32), np.ones((6, 1), np.float32)
    model = stacked(relu(), last=layers.Dense(1), loss="mse")
    for spoiled, remedy in ((x, "check_inputs"), (y, "check_labels")):
        spoiled[2] = np.nan
        (found,) = kerasgrad.audit(model, x=x, y=y)
        assert found.severity is ERROR and found.rule == "non_finite" and found.remedies == (remedy,)
        assert f"{'x' if spoiled is x else 'y'} has NaN or infinity in 1 of 6 examples" in found.summary
        spoiled[2] = 1
    y[2] = np.nan
    model.compile("adam", lambda y, p: keras.ops.mean(keras.ops.where(keras.ops.isnan(y), 0.0, p - 1.0) ** 2))
    assert "non_finite" not in {f.rule for f in kerasgrad.audit(model, x=x, y=y)}  # a loss that knows of missing labels
    y[2] = 1
    model.layers[-1].kernel.assign(np.full((16, 1), np.nan))
    (found,) = kerasgrad.audit(model, x=x, y=y)
    assert "on a sample that has none" in found.summary


def test_names_of_losses() -> None:
    assert loss_name("mse") == ("mean_squared_error", False)
    assert loss_name(keras.losses.BinaryCrossentropy(from_logits=True)) == ("binary_crossentropy", True)
    assert loss_name(keras.losses.SparseCategoricalCrossentropy()) == ("sparse_categorical_crossentropy", False)
    assert loss_name(keras.losses.mean_absolute_error) == ("mean_absolute_error", False)
    assert loss_name({"out": "mse"}) == ("mean_squared_error", False)
    assert loss_name(["mse", "mae"]) == loss_name(None) == loss_name("no such loss") == ("", False)


class AddsALoss(layers.Layer):
    def call(self, x: Any) -> Any:
        self.add_loss(0.1 * keras.ops.mean(x**2))
        return x


class WeighsItsLoss(keras.Model):
    """A `compute_loss` of its own."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.hidden, self.head = relu(), layers.Dense(3, activation="softmax")

    def call(self, x: Any) -> Any:
        return self.head(self.hidden(x))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: Any = True
    ) -> Any:
        return 7.0 * super().compute_loss(x, y, y_pred, sample_weight, training)


def numbers(count: int = 64, width: int = 8) -> Any:
    return np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)


def classes(x: Any, count: int = 3) -> Any:
    return np.digitize(x[:, 0], np.quantile(x[:, 0], np.arange(1, count) / count))


def fitted(model: Any, x: Any, y: Any, epochs: int = 20) -> Any:
    model.fit(x, y, epochs=epochs, verbose=0)
    return model, x, y


def tagger() -> Any:
    random = np.random.default_rng(0)
    words = random.integers(1, 20, (96, 8))
    for i, length in enumerate(random.integers(3, 9, 96)):
        words[i, length:] = 0
    model = keras.Sequential([
        keras.Input((8,), dtype="int32"), layers.Embedding(20, 8, mask_zero=True), layers.LSTM(8, return_sequences=True),
        layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return fitted(model, words, words % 3)


def far_out() -> Any:
    """A classifier that is sure by logits in the thousands: losses clip the probabilities."""
    model, x, y = fitted(stacked(relu(), rate=0.01), numbers(), classes(numbers()))
    return model, 1e4 * x, y


def multiplied() -> Any:
    model = WeighsItsLoss()
    model.compile("adam", "sparse_categorical_crossentropy")
    model(numbers())
    return model, numbers(), classes(numbers())


def bottleneck() -> Any:
    return stacked(layers.Dense(2), last=layers.Dense(8), loss="mse"), numbers(), numbers()


def by_hand() -> Any:
    model = stacked(relu(), last=layers.Dense(1, activation="sigmoid"))
    model.compile("adam", lambda y, p: keras.losses.binary_crossentropy(y, p))
    return model, numbers(), (numbers()[:, :1] > 0).astype(np.float32)


def heads(last: str, loss: str) -> Any:
    inputs = keras.Input((8,))
    x = relu()(inputs)
    ends = [layers.Dense(1, activation=last, kernel_initializer="zeros", name=f"label{k}")(x) for k in range(4)]
    model = keras.Model(inputs, ends)
    model.compile("adam", [loss] * 4)
    return model, numbers(), [(numbers()[:, k] > 0).astype(np.float32) for k in range(4)]


def stateful() -> Any:
    model = keras.Sequential([keras.Input(batch_shape=(4, 5, 1)), layers.LSTM(4, stateful=True), layers.Dense(1)])
    model.compile("adam", "mse")
    return model, numbers(64, 5)[..., None], numbers(64, 1)


def rezero() -> Any:
    inputs = keras.Input((8,))
    x = layers.Add()([inputs, layers.Dense(8, kernel_initializer="zeros")(relu()(inputs))])
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, numbers(), classes(numbers())


def zero_regression(units: int, last: str | None, loss: str) -> Any:
    model = keras.Sequential([keras.Input((8,)), layers.Dense(units, activation=last, kernel_initializer="zeros")])
    model.compile("adam", loss)
    return model, numbers(), classes(numbers()) if units > 1 else numbers()[:, :1]


def root_mean_square(rate: float) -> Any:
    model = stacked(relu(), last=layers.Dense(1), loss="mse")
    model.compile(keras.optimizers.RMSprop(rate), "mse")
    return model, numbers(), numbers()[:, :1]


SOUND: dict[str, Callable[[], Any]] = {
    "masked tagger": tagger,
    "logits in the thousands": far_out,
    "activity penalty": lambda: (
        stacked(relu(activity_regularizer="l1"), last=layers.Dense(1), loss="mse"),
        numbers(),
        numbers()[:, :1],
    ),
    "add_loss": lambda: (
        stacked(layers.Dense(8), AddsALoss(), last=layers.Dense(1), loss="mse"),
        numbers(),
        numbers()[:, :1],
    ),
    "a compute_loss of its own": multiplied,
    "linear autoencoder": bottleneck,
    "a loss by hand": by_hand,
    "four sigmoid heads": lambda: heads("sigmoid", "binary_crossentropy"),
    "four tanh heads": lambda: heads("tanh", "mse"),
    "stateful": stateful,
    "a branch that begins at zero": rezero,
    "linear regression from zero": lambda: zero_regression(1, None, "mse"),
    "softmax regression from zero": lambda: zero_regression(3, "softmax", "sparse_categorical_crossentropy"),
    "logistic regression from zero": lambda: zero_regression(1, "sigmoid", "mse"),
    "RMSprop at 0.1": lambda: root_mean_square(0.1),
    "a warm-up": lambda: (scheduled(1e-3), numbers(), classes(numbers())),
    "examples that are all the same": lambda: (
        stacked(relu(), last=layers.Dense(1), loss="mse"),
        np.ones((9, 8), np.float32),
        np.ones((9, 1)),
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_program_gets_no_warning(name: str) -> None:
    model, x, y = SOUND[name]()
    before = [np.array(v) for v in model.variables]
    diagnosis = kerasgrad.audit(model, batch_size=32, x=x, y=y)
    assert not diagnosis.of(WARNING), repr(diagnosis)
    several = isinstance(model.loss, list)
    assert ("loss_of_predictions" in diagnosis.examined) is not several
    assert not {"linear_stack", "saturating_activation", "deep_without_shortcuts"} & diagnosis.not_examined.keys()
    assert all(np.array_equal(a, np.array(b)) for a, b in zip(before, model.variables, strict=True))
    assert all(not tf.is_symbolic_tensor(loss) for loss in model.losses), "nothing of the trace is left behind"


def test_the_order_of_labels_is_noticed() -> None:
    x, y = numbers(), np.repeat([0, 1, 2, 2], 16)
    one_hot = np.eye(3)[y]
    for labels, loss in ((y, "sparse_categorical_crossentropy"), (one_hot, "categorical_crossentropy"), (y[:, None], None)):
        found = {f.rule: f for f in kerasgrad.audit(stacked(relu(), loss=loss), x=x, y=labels)}
        assert found["sorted_labels"].severity is NOTE and "3 of them" in found["sorted_labels"].summary
    for labels in (np.roll(y, 8), np.arange(64) % 3, np.zeros(64, int), np.sort(x[:, 0]), np.arange(64)):
        assert "sorted_labels" not in {
            f.rule for f in kerasgrad.audit(stacked(last=layers.Dense(1), loss="mse"), x=x, y=labels)
        }


def test_where_the_loss_cannot_be_computed_it_is_left_alone() -> None:
    model = stacked(relu(), last=layers.Dense(1), loss=lambda y, p: 1 / 0)
    assert "ZeroDivisionError" in kerasgrad.audit(model, x=numbers(), y=numbers()[:, :1]).not_examined["loss_of_predictions"]
    few, x, y = stateful()
    assert "batches of 4" in kerasgrad.audit(few, x=x[:3], y=y[:3]).not_examined["loss_of_predictions"]


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
@pytest.mark.parametrize(
    ("units", "last", "loss", "wrong"),
    [
        (1, "softmax", "binary_crossentropy", True),
        (3, "sigmoid", "categorical_crossentropy", True),
        (3, "softmax", "categorical_crossentropy", False),
        (3, "sigmoid", "binary_crossentropy", False),
    ],
)
def test_a_loss_of_something_else_than_the_predictions(units: int, last: str, loss: str, wrong: bool) -> None:
    """However sure: what a loss clips does not count as a difference."""
    x = numbers()
    y = np.eye(3, dtype=np.float32)[classes(x)] if units == 3 else (x[:, :1] > 0).astype(np.float32)
    for scale in (1.0, 1e4):
        model = stacked(relu(), last=layers.Dense(units, activation=last), loss=loss)
        found = {f.rule for f in kerasgrad.audit(model, x=scale * x, y=y)}
        assert ("loss_of_predictions" in found) is wrong


def test_what_is_frozen_after_it_was_compiled_may_train_on() -> None:
    model = stacked()
    model.train_on_batch(numbers(), classes(numbers()))
    model.trainable = False
    (found,) = kerasgrad.audit(model)
    assert (found.rule, found.severity) == ("nothing_trainable", NOTE)
