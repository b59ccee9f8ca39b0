"""Faults, planted into a net that learns, at a place that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from detection.subjects import Plan, Subject
from detection.tasks import Task

KERNELS = ("kernel", "pointwise_kernel")


@dataclass
class Training:
    """A net ready to be trained; a fault changes it.

    Attributes:
        place: path of the layer that has the fault, `""` if it has no place.
        at_start: whether the fault is there before the first step.
        since: step at which it comes, where it comes later.
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
    t.x = t.x * 255.0


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


def _pair(t: Training) -> None:
    t.batch = 2


def _other_loss(name: str) -> Callable[[Training], None]:
    def plant(t: Training) -> None:
        t.loss = name

    return plant


def _nothing(t: Training) -> None:
    pass


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
    fits: Callable[[Subject], bool] = lambda subject: True


def _has_batchnorm(subject: Subject) -> bool:
    return "batchnorm" in subject.name or subject.name in ("image_residual", "image_separable")


def _plain_stack(subject: Subject) -> bool:
    return subject.name.startswith(("digits", "image", "cancer", "wine", "moons", "circles", "friedman", "sine", "planes"))


def _numeric(subject: Subject) -> bool:
    return not subject.name.startswith("topics")


def _cut(subject: Subject, random: np.random.Generator) -> Plan:
    return Plan(cut_after=1 + int(random.integers(2)) if _plain_stack(subject) and subject.name != "wine_full_batch" else 1)


BAD_START = ("exploding_activation", "exploding_gradient", "diverging_loss", "unbalanced_layers", "dead_units",
             "saturated_units", "loss_not_decreasing", "plateau", "non_finite")  # fmt: skip
STUCK = ("loss_not_decreasing", "plateau", "constant_output")
FAULTS = {
    f.name: f
    for f in (
        Fault("layer_shrunk", ("collapsing_activation", "vanishing_gradient", "unbalanced_layers", *STUCK), _scaled(1e-3)),
        Fault("layer_blown_up", BAD_START, _scaled(1e3)),
        Fault("bias_minus_100", ("dead_units", "saturated_units", "exploding_activation", *STUCK), _bias,
              fits=lambda s: _plain_stack(s)),
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
        Fault("batch_of_2", ("small_batch", "oscillating_loss", "overfitting", *STUCK), _pair, fits=_has_batchnorm),
        Fault("softmax_on_one_unit", ("constant_output", "last_activation"), plan=lambda s, r: Plan(last="softmax"),
              fits=lambda s: s.task().kind == "binary"),
        Fault("relu_output", ("last_activation", "dead_units", *STUCK), plan=lambda s, r: Plan(last="relu")),
        Fault("zero_weights", ("symmetric_weights", "vanishing_gradient", "frozen_layer", *STUCK),
              plan=lambda s, r: Plan(initializer="zeros"), fits=_plain_stack),
        Fault("large_weights", BAD_START, plan=lambda s, r: Plan(initializer="ones"), fits=_plain_stack),
        Fault("mse_of_classes", ("plateau", "loss_not_decreasing", "last_activation"), _other_loss("mse"),
              plan=lambda s, r: Plan(last="linear"), fits=lambda s: s.task().kind == "binary"),
    )
}  # fmt: skip
