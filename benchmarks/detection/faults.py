"""Faults, planted into a net that learns, at a place that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from detection.subjects import SUBJECTS, OfTheZoo, Plan, Subject
from detection.tasks import Task

KERNELS = ("kernel", "pointwise_kernel")


@dataclass
class Training:
    """A net ready to be trained; a fault changes it.

    Attributes:
        place: path of the layer that has the fault, `""` if it has no place.
        at_start: whether the fault is there before the first step.
        since: step at which it comes, where it comes later.
        scale: of the inputs, for those held out too.
        callbacks: further ones.
    """

    subject: Subject
    task: Task
    model: keras.Model
    x: Any
    y: Any
    rate: float
    batch: int
    random: np.random.Generator
    loss: Any
    place: str = ""
    at_start: bool = True
    since: int = 0
    scale: float = 1.0
    callbacks: list[Any] = field(default_factory=list)


def hidden(model: keras.Model) -> list[keras.Layer]:
    """The layers of the hidden blocks that hold a kernel, from the input."""
    return [layer for layer in model.layers if layer.name.startswith("hidden") and layer.trainable_variables
            and "norm" not in layer.name]  # fmt: skip


def _some_hidden(t: Training) -> keras.Layer:
    layers = hidden(t.model)
    return layers[int(t.random.integers(len(layers)))]


def _scaled(factor: float) -> Callable[[Training], None]:
    def plant(t: Training) -> None:
        layer = _some_hidden(t)
        for variable in layer.trainable_variables:
            if "bias" not in variable.name:
                variable.assign(variable * factor)
        t.place = layer.name

    return plant


def _bias(t: Training) -> None:
    layer = _some_hidden(t)
    biases = [v for v in layer.trainable_variables if v.name.endswith(("bias", "beta"))]
    # Before BatchNormalization a bias does nothing: there the one of the normalisation is the fault.
    after = [x for x in t.model.layers if x.name == f"{layer.name}_norm"]
    biases = [v for v in after[0].trainable_variables if v.name.endswith("beta")] if after else biases
    biases[-1].assign(biases[-1] * 0 - 100.0)
    t.place = layer.name


def _rate(factor: float) -> Callable[[Training], None]:
    def plant(t: Training) -> None:
        t.rate *= factor

    return plant


def _shuffled(t: Training) -> None:
    t.y = t.y[t.random.permutation(len(t.y))]


def _raw(t: Training) -> None:
    t.scale = 255.0
    t.x = t.x * t.scale


class _Poison(keras.callbacks.Callback):
    def __init__(self, layer: keras.Layer, step: int) -> None:
        super().__init__()
        self.layer, self.at, self.count = layer, step, 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.count == self.at:
            variable = self.layer.trainable_variables[0]
            value = np.array(variable)
            value.reshape(-1)[0] = np.nan
            variable.assign(value)
        self.count += 1


def _nan(t: Training) -> None:
    layer = _some_hidden(t)
    t.since = int(t.random.integers(3, 30))
    t.place, t.at_start = layer.name, False
    t.callbacks.append(_Poison(layer, t.since))


def _forgetful(t: Training) -> None:
    """The gate that keeps the memory is shut: the forget gate of an LSTM, the update gate of a GRU."""
    layer = t.model.get_layer("hidden01")
    bias = next(v for v in layer.trainable_variables if v.name == "bias")
    value = np.array(bias)
    width = layer.units
    if value.ndim == 1:
        value[width : 2 * width] = -6.0
    else:
        value[:, :width] = -3.0
    bias.assign(value)
    t.place = "hidden01"


def _few(t: Training) -> None:
    t.x, t.y, t.batch, t.at_start = t.x[:32], t.y[:32], 8, False


def _pair(t: Training) -> None:
    t.batch = 2


def _faded(subject: Subject, random: np.random.Generator) -> Plan:
    return Plan(faded_after=_cut(subject, random).cut_after)


def _clipped(subject: Subject, random: np.random.Generator) -> Plan:
    config = {"learning_rate": 10 * subject.rate, "global_clipnorm": 1e-4}
    return Plan(optimizer={"class_name": "SGD", "config": config})


def _other_loss(name: str) -> Callable[[Training], None]:
    def plant(t: Training) -> None:
        t.loss = name

    return plant


def _nothing(t: Training) -> None:
    pass


def _has_batchnorm(subject: Subject) -> bool:
    return "batchnorm" in subject.name or subject.name in ("image_residual", "image_separable")


def _plain_stack(subject: Subject) -> bool:
    return subject.name.startswith(("digits", "image", "cancer", "wine", "moons", "circles", "friedman", "sine", "planes"))


def _numeric(subject: Subject) -> bool:
    return not subject.name.startswith(("topics", "kept")) and not _zoo(subject)


def _zoo(subject: Subject) -> bool:
    return isinstance(subject, OfTheZoo)


def _built_here(subject: Subject) -> bool:
    return not _zoo(subject)


def _remembers(subject: Subject) -> bool:
    return subject.name.startswith("kept")


def _cut(subject: Subject, random: np.random.Generator) -> Plan:
    return Plan(cut_after=1 + int(random.integers(2)) if _plain_stack(subject) and subject.name != "wine_full_batch" else 1)


@dataclass(frozen=True)
class Fault:
    """What is planted.

    Attributes:
        plant: changes the training in place.
        plan: of a subject and a random generator, how the net is built.
        fits: which subjects it can be planted into.
        expected: rules of which any is a right finding.
    """

    name: str
    expected: tuple[str, ...]
    plant: Callable[[Training], None] = _nothing
    plan: Callable[[Subject, np.random.Generator], Plan] = lambda subject, random: Plan()
    fits: Callable[[Subject], bool] = _built_here


BAD_START = ("exploding_activation", "exploding_gradient", "diverging_loss", "unbalanced_layers", "dead_units",
             "saturated_units", "loss_not_decreasing", "plateau", "non_finite")  # fmt: skip
STUCK = ("loss_not_decreasing", "plateau", "constant_output")
FAULTS = {
    f.name: f
    for f in (
        Fault("layer_shrunk", ("collapsing_activation", "vanishing_gradient", "unbalanced_layers", *STUCK), _scaled(1e-3)),
        Fault("layer_blown_up", BAD_START, _scaled(1e3)),
        Fault("bias_minus_100", ("dead_units", "saturated_units", "exploding_activation", "vanishing_gradient", *STUCK),
              _bias, fits=_plain_stack),
        Fault("all_sigmoid", ("vanishing_gradient", "saturated_units", *STUCK), fits=_plain_stack,
              plan=lambda s, r: Plan(activation="sigmoid")),
        Fault("rate_x_1000", ("rate_too_high", "exploding_gradient", "diverging_loss", "oscillating_loss", "dead_units",
                              "saturated_units", "non_finite", "exploding_activation", *STUCK), _rate(1e3)),
        Fault("rate_/_10000", ("rate_too_low", "loss_not_decreasing", "plateau"), _rate(1e-4)),
        Fault("gradient_cut", ("disconnected",), plan=_cut),
        Fault("labels_shuffled", ("plateau", "overfitting", "loss_not_decreasing", "constant_output"), _shuffled),
        Fault("inputs_x_255", ("unscaled_inputs",), _raw, fits=_numeric),
        Fault("nan_planted", ("non_finite",), _nan),
        Fault("no_batchnorm", STUCK, plan=lambda s, r: Plan(normalised=False), fits=_has_batchnorm),
        Fault("gradient_faded", ("vanishing_gradient", "frozen_layer", "unbalanced_layers"), plan=_faded, fits=_plain_stack),
        Fault("clipped_to_nothing", ("clipping_always", "rate_too_low", *STUCK), plan=_clipped),
        Fault("forgetful", ("short_memory", *STUCK), _forgetful, fits=_remembers),
        Fault("few_examples", ("overfitting",), _few, fits=_plain_stack),
        Fault("large_tanh", ("saturated_units", "vanishing_gradient", *BAD_START), fits=_plain_stack,
              plan=lambda s, r: Plan(activation="tanh", initializer=keras.initializers.RandomNormal(stddev=20.0))),
        Fault("rate_x_30", ("rate_too_high", "exploding_gradient", "diverging_loss", "oscillating_loss", "dead_units",
                            "saturated_units", "non_finite", *STUCK), _rate(30.0)),
        Fault("linear_of_classes", ("last_activation", *STUCK), plan=lambda s, r: Plan(last="linear"),
              fits=lambda s: _built_here(s) and s.task().kind != "regression"),
        Fault("batch_of_2", ("small_batch", "oscillating_loss", "overfitting", *STUCK), _pair, fits=_has_batchnorm),
        Fault("softmax_on_one_unit", ("constant_output", "last_activation"), plan=lambda s, r: Plan(last="softmax"),
              fits=lambda s: _built_here(s) and s.task().kind == "binary"),
        Fault("relu_output", ("last_activation", "dead_units", *STUCK), plan=lambda s, r: Plan(last="relu")),
        Fault("zero_weights", ("collapsing_activation", "dead_units", "vanishing_gradient", "frozen_layer", *STUCK),
              plan=lambda s, r: Plan(initializer="zeros"), fits=_plain_stack),
        Fault("large_weights", BAD_START, plan=lambda s, r: Plan(initializer="ones"), fits=_plain_stack),
        Fault("mse_of_classes", ("plateau", "loss_not_decreasing", "last_activation"), _other_loss("mse"),
              plan=lambda s, r: Plan(last="linear"), fits=lambda s: _built_here(s) and s.task().kind == "binary"),
    )
}  # fmt: skip

FROM_ZOO = {
    "plain.sigmoid": ("vanishing_gradient", *STUCK),
    "plain.tanh_small": ("collapsing_activation", "vanishing_gradient", *STUCK),
    "plain.tanh_normal": ("saturated_units", "exploding_gradient", "exploding_activation", *STUCK),
    "plain.relu_negative_bias": ("dead_units", *STUCK),
    "plain.relu_glorot": ("collapsing_activation", "vanishing_gradient", *STUCK),
    "resnet.no_shortcut_no_norm": ("collapsing_activation", "vanishing_gradient", *STUCK),
    "resnet.no_norm": BAD_START,
    "transformer.attention_only": ("collapsing_activation", "vanishing_gradient", *STUCK),
    "simple_rnn.large_recurrent": ("oscillating_loss", "overfitting", *BAD_START),
}
"""By model of the zoo the rules of which any is a right finding."""
for subject in SUBJECTS.values():
    for twin in getattr(subject, "twins", ()):
        FAULTS.setdefault(twin, Fault(twin, FROM_ZOO[twin], plan=lambda s, r, twin=twin: Plan(twin=twin),
                                      fits=lambda s, twin=twin: twin in getattr(s, "twins", ())))  # fmt: skip
