"""The trainings that are recorded as baselines. A recipe is data: all that is needed to train it once more."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from zoo.nearest import unknown

Options = Mapping[str, Any]

ADAM: Options = {"class_name": "Adam", "config": {"learning_rate": 1e-3}}
FAST_ADAM: Options = {"class_name": "Adam", "config": {"learning_rate": 3e-3}}
SGD: Options = {"class_name": "SGD", "config": {"learning_rate": 0.05}}
MOMENTUM: Options = {"class_name": "SGD", "config": {"learning_rate": 0.05, "momentum": 0.9}}

COLLAPSING, DEAD, EXPLODING = "collapsing_activation", "dead_units", "exploding_activation"
NON_FINITE, NOT_DECREASING, PLATEAU = "non_finite", "loss_not_decreasing", "plateau"
RATE_TOO_HIGH, SATURATED, VANISHING = "rate_too_high", "saturated_units", "vanishing_gradient"


@dataclass(frozen=True)
class Recipe:
    """One training.

    Attributes:
        model: a name of the zoo.
        task: name of a function of `zoo.tasks`.
        overrides: arguments of the model.
        options: arguments of the task.
        optimizer: as `keras.optimizers.get` takes it.
        batch: examples of a step.
        steps: how many.
        seed: of weights, data and order.
        expected: warnings and errors that the rules give of it, by the name of the rule, in alphabetical order. None of a
            healthy one, nor of a sick one that the rules do not know: the score of the baseline tells them apart.
        weights: whether the trained weights are kept with the baseline.
        compiled: whether XLA compiles the step, which makes recurrent layers several times as fast.
    """

    model: str
    task: str
    overrides: Options = field(default_factory=dict)
    options: Options = field(default_factory=dict)
    optimizer: Options = field(default_factory=lambda: ADAM)
    batch: int = 32
    steps: int = 400
    seed: int = 0
    expected: tuple[str, ...] = ()
    weights: bool = False
    compiled: bool = False

    def to_dict(self) -> dict[str, Any]:
        """All that the training depends on, for JSON: without `expected`, which is about the rules."""
        return {name: value for name, value in asdict(self).items() if name != "expected"}


def _digits(model: str, *expected: str, **more: Any) -> Recipe:
    return Recipe(model, "digits", expected=expected, **more)


def _adding(model: str, *expected: str) -> Recipe:
    """The adding problem over 100 steps."""
    shape = {"input_shape": (100, 2)}
    return Recipe(model, "adding", shape, optimizer=FAST_ADAM, steps=2000, expected=expected, weights=True, compiled=True)


def _order(model: str, *expected: str, optimizer: Options) -> Recipe:
    shape = {"input_shape": (50,), "vocabulary": 6, "outputs": 4, "output_activation": "softmax"}
    return Recipe(model, "temporal_order", shape, {"steps": 50}, optimizer, steps=1500, expected=expected, compiled=True)


def _cifar(model: str, *expected: str, steps: int = 300, **overrides: Any) -> Recipe:
    return Recipe(model, "cifar10", overrides, optimizer=MOMENTUM, steps=steps, expected=expected)


def _symbols(model: str, task: str, overrides: Options, *, steps: int = 600) -> Recipe:
    return Recipe(model, task, overrides, steps=steps)


_SENTENCES = {"vocabulary": 34, "input_shape": (16,)}
_MODULAR = {"vocabulary": 23, "input_shape": (2,), "classes": 23}
_PLAYS = {"vocabulary": 65, "input_shape": (64,)}

RECIPES: Mapping[str, Recipe] = {
    "plain.sigmoid": _digits("plain.sigmoid", PLATEAU, VANISHING, weights=True),
    "plain.sigmoid_batch_norm": _digits("plain.sigmoid_batch_norm"),
    "plain.tanh": _digits("plain.tanh", weights=True),
    "plain.tanh_normal": _digits("plain.tanh_normal", EXPLODING, PLATEAU, SATURATED),
    "plain.tanh_small": _digits("plain.tanh_small", COLLAPSING, NOT_DECREASING, PLATEAU, VANISHING),
    "plain.tanh_lecun": _digits("plain.tanh_lecun"),
    "plain.tanh_orthogonal": _digits("plain.tanh_orthogonal"),
    "plain.relu": _digits("plain.relu", weights=True),
    "plain.relu_glorot": _digits("plain.relu_glorot"),
    "plain.relu_negative_bias": _digits("plain.relu_negative_bias", DEAD, NOT_DECREASING, PLATEAU),
    "plain.leaky_relu": _digits("plain.leaky_relu"),
    "plain.prelu": _digits("plain.prelu"),
    "plain.elu": _digits("plain.elu"),
    "plain.gelu": _digits("plain.gelu"),
    "plain.silu": _digits("plain.silu"),
    "plain.batch_norm": _digits("plain.batch_norm", weights=True),
    "plain.layer_norm": _digits("plain.layer_norm"),
    "plain.group_norm": _digits("plain.group_norm"),
    "plain.residual": _digits("plain.residual", weights=True),
    "plain.residual_no_norm": _digits("plain.residual_no_norm"),
    "plain.pre_activation": _digits("plain.pre_activation"),
    "plain.relu.sgd": _digits("plain.relu", overrides={"depth": 30}, optimizer=SGD, steps=800),
    "plain.relu_glorot.sgd": _digits(
        "plain.relu_glorot", COLLAPSING, DEAD, NOT_DECREASING, PLATEAU, VANISHING,
        overrides={"depth": 30}, optimizer=SGD, steps=800,
    ),
    "simple_rnn.adding": _adding("simple_rnn.last", PLATEAU),
    "lstm.adding": _adding("lstm.last"),
    "lstm.no_bias.adding": _adding("lstm.no_bias", PLATEAU),
    "lstm.chrono.adding": _adding("lstm.chrono"),
    "gru.adding": _adding("gru.last"),
    "gru.chrono.adding": _adding("gru.chrono"),
    "simple_rnn.large_recurrent": _order(
        "simple_rnn.large_recurrent", EXPLODING, PLATEAU, "short_memory", optimizer=FAST_ADAM
    ),
    "simple_rnn.large_recurrent.clipped": _order(
        "simple_rnn.large_recurrent",
        EXPLODING,
        PLATEAU,
        optimizer={"class_name": "Adam", "config": {"learning_rate": 3e-3, "global_clipnorm": 1.0}},
    ),
    "lstm.order": _order("lstm.last", optimizer=FAST_ADAM),
    "gru.seasonal": Recipe(
        "gru.last", "seasonal", {"input_shape": (200, 1)}, optimizer=FAST_ADAM, steps=600, weights=True, compiled=True
    ),
    "lstm.sentences": Recipe(
        "lstm.last", "sentences", {"vocabulary": 34, "input_shape": (16,), "outputs": 2, "output_activation": "softmax"},
        optimizer=FAST_ADAM, steps=600, weights=True, compiled=True,
    ),
    "gru.copy": Recipe(
        "gru.sequence", "copy_memory",
        {"vocabulary": 10, "input_shape": (40,), "outputs": 9, "output_activation": "softmax", "units": 64},
        {"steps": 30}, FAST_ADAM, steps=1500, compiled=True,
    ),
    "resnet.digits": Recipe("resnet.cifar", "digits_images", {"input_shape": (8, 8, 1)}, optimizer=MOMENTUM),
    "resnet.no_shortcut.digits": Recipe(
        "resnet.no_shortcut", "digits_images", {"input_shape": (8, 8, 1)}, optimizer=MOMENTUM
    ),
    "resnet.cifar": _cifar("resnet.cifar"),
    "resnet.pre_activation": _cifar("resnet.pre_activation"),
    "resnet.no_shortcut": _cifar("resnet.no_shortcut"),
    "resnet.no_norm": _cifar("resnet.no_norm", NON_FINITE, RATE_TOO_HIGH),
    "resnet.no_shortcut_no_norm": _cifar("resnet.no_shortcut_no_norm", DEAD, NOT_DECREASING, PLATEAU),
    "resnet.stochastic_depth": _cifar("resnet.stochastic_depth"),
    "resnet.cifar.deep": _cifar("resnet.cifar", PLATEAU, steps=100, depth=56),
    "resnet.no_shortcut.deep": _cifar(
        "resnet.no_shortcut", NOT_DECREASING, PLATEAU, VANISHING, steps=100, depth=56
    ),
    "densenet.connected": _cifar("densenet.connected", steps=100, depth=22),
    "densenet.no_connections": _cifar("densenet.no_connections", PLATEAU, steps=100, depth=22),
    "unet.skips": Recipe("unet.skips", "shapes", batch=16, steps=300),
    "unet.no_skips": Recipe("unet.no_skips", "shapes", batch=16, steps=300),
    "transformer.classifier": _symbols("transformer.classifier", "sentences", _SENTENCES),
    "transformer.post_norm": _symbols("transformer.post_norm", "sentences", _SENTENCES),
    "transformer.no_norm": _symbols("transformer.no_norm", "sentences", _SENTENCES),
    "transformer.no_shortcut": _symbols("transformer.no_shortcut", "sentences", _SENTENCES),
    "transformer.modular": _symbols("transformer.classifier", "modular_addition", _MODULAR, steps=1500),
    "transformer.language_model": _symbols("transformer.language_model", "shakespeare", _PLAYS),
    "transformer.language_model_post_norm": _symbols("transformer.language_model_post_norm", "shakespeare", _PLAYS),
    "transformer.vision": _symbols("transformer.vision", "cifar10", {}),
    "transformer.vision_no_shortcut": _symbols("transformer.vision_no_shortcut", "cifar10", {}),
}  # fmt: skip


def recipe_names(pattern: str = "*") -> list[str]:
    """The names of the recipes that match a shell-style pattern, in alphabetical order."""
    return sorted(fnmatch.filter(RECIPES, pattern))


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        KeyError: there is none; the message lists the nearest names.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]
