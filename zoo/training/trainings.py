"""The trainings by name, `<model>.<task>`: what one's own runs can be compared with."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

from zoo.nearest import unknown
from zoo.training.recipe import LOWER, Augmentation, Options, Target, Training

THREE = (0, 1, 2)
"""Seeds of what takes under ten minutes."""

HE, KERAS, NANOGPT = "He et al. 2015, table 6 and figure 6", "Keras' examples", "nanoGPT's recipe for a CPU: 1.88"
TCN = "Bai et al. 2018 (locuslab/TCN), table 1"

CROP_AND_FLIP = Augmentation(crop=4, flip=True)
"""He et al. 2015, section 4.2."""


def _optimizer(kind: str, rate: float, **more: Any) -> Options:
    return {"class_name": kind, "config": {"learning_rate": rate, **more}}


def _mnist(model: str, note: str, target: Target | None, **overrides: Any) -> Training:
    shape = {"input_shape": (28, 28, 1), **overrides}
    return Training(
        model, "mnist", shape, optimizer=_optimizer("Adam", 1e-3), schedule="cosine", seeds=THREE, target=target,
        note=note,
    )  # fmt: skip


def _adding(model: str, note: str, steps: int = 200) -> Training:
    """10,000 steps of 64, on sequences enough that none is seen more than 20 times."""
    return Training(
        model, "adding", {"input_shape": (steps, 2), "units": 64}, {"steps": steps, "examples": 40_000},
        _optimizer("Adam", 2e-3, global_clipnorm=1.0), "cosine", batch=64, epochs=20, loss="mean_squared_error",
        metrics=(), score="loss", target=Target(1e-3, TCN, LOWER), compiled=True, note=note,
    )  # fmt: skip


def _shapes(model: str, note: str) -> Training:
    return Training(
        model, "shapes", {}, {"examples": 3000}, _optimizer("Adam", 2e-3), "cosine", batch=16, epochs=20,
        metrics=("accuracy", IOU), score="intersection_over_union", seeds=THREE, note=note,
    )  # fmt: skip


def _imdb(model: str, note: str, **overrides: Any) -> Training:
    shape = {"vocabulary": 10_000, "input_shape": (200,), "padding": True, **overrides}
    return Training(
        model, "imdb", shape, {}, _optimizer("Adam", 1e-3), "one_cycle", batch=64, epochs=5, note=note,
        target=Target(0.83, f"{KERAS}, on the last 200 words: 85 to 87 %"), compiled=model.startswith("lstm"),
    )  # fmt: skip


def _plays(model: str, note: str) -> Training:
    shape = {"vocabulary": 65, "input_shape": (64,), "depth": 4, "width": 128, "heads": 4, "epsilon": 1e-5}
    adam = _optimizer("AdamW", 1e-3, weight_decay=0.1, beta_2=0.99, global_clipnorm=1.0)
    return Training(
        model, "shakespeare", shape, {"length": 64, "examples": 30_000}, adam, "cosine_to_tenth", warm_up=100, batch=12,
        epochs=8, epoch_steps=250, score="loss", target=Target(1.90, NANOGPT, LOWER), note=note,
    )  # fmt: skip


def _cifar(
    model: str, note: str, target: Target | None, *, epochs: int = 30, rate: float = 0.2, **overrides: Any
) -> Training:
    """One cycle; the decay of 2e-3 is decoupled, which after momentum amounts to the 2e-4 of a penalty on squares."""
    momentum = _optimizer("SGD", rate, momentum=0.9, nesterov=True, weight_decay=2e-3)
    return Training(
        model, "cifar10", overrides, {}, momentum, "one_cycle", epochs=epochs, augmentation=CROP_AND_FLIP, target=target,
        note=note,
    )  # fmt: skip


def _pixels(model: str, note: str, target: Target | None = None, **overrides: Any) -> Training:
    shape = {"input_shape": (784, 1), "units": 128, "outputs": 10, "output_activation": "softmax", **overrides}
    adam = _optimizer("Adam", 1e-3, global_clipnorm=1.0)
    return Training(
        model, "mnist_sequence", shape, {}, adam, "cosine", warm_up=200, target=target, note=note, compiled=True
    )  # fmt: skip


def _gan(model: str, note: str) -> Training:
    adam = _optimizer("Adam", 1e-3, beta_1=0.5)
    return Training(
        model, "gaussians", {"width": 128}, {"examples": 20_000}, adam, batch=256, epochs=60, loss=None, metrics=(),
        score="near", seeds=THREE, note=note,
    )  # fmt: skip


def _small_batch(model: str, note: str) -> Training:
    return Training(
        model, "digits", {"depth": 10}, {}, _optimizer("Adam", 1e-3), batch=2, epochs=5, seeds=THREE, note=note
    )  # fmt: skip


def _bandit(model: str, note: str) -> Training:
    return Training(
        model, "bandit", {}, {"offset": 3.0}, _optimizer("Adam", 3e-3), batch=64, epochs=20, loss=None, metrics=(),
        score="reward", seeds=THREE, note=note,
    )  # fmt: skip


IOU: Options = {
    "class_name": "IoU",
    "config": {"num_classes": 2, "target_class_ids": [1], "sparse_y_pred": False, "name": "intersection_over_union"},
}
"""Of the pixels that lie on a shape."""

TRAININGS: Mapping[str, Training] = {
    "plain.relu.mnist": _mnist(
        "plain.relu", "Dense 128-64-10, what everybody begins with", Target(0.98, f"{KERAS}: about 98 %"),
        depth=3, width=(128, 64),
    ),
    "plain.sigmoid.mnist": _mnist(
        "plain.sigmoid", "its twin of 20 sigmoids learns nothing", Target(0.12, "the commonest digit: 11.35 %", LOWER)
    ),
    "lstm.adding.long": _adding("lstm.last", "a memory over 200 steps"),
    "gru.adding.long": _adding("gru.last", "a memory over 200 steps"),
    "lstm.chrono.adding.long": _adding("lstm.chrono", "gates that begin open for as long as the sequence is"),
    "simple_rnn.adding.long": _adding("simple_rnn.last", "no gates: 200 steps are too many"),
    "unet.skips.shapes": _shapes("unet.skips", "edges come over the connections across"),
    "unet.no_skips.shapes": _shapes("unet.no_skips", "edges have to pass the bottleneck"),
    "lstm.imdb": _imdb(
        "lstm.last", "sentiment from the first 200 words", units=64, embedding=64, outputs=2, output_activation="softmax",
        dropout=0.3,
    ),
    "transformer.imdb": _imdb("transformer.classifier", "the same by attention", depth=1, dropout=0.2),
    "transformer.language_model.shakespeare": _plays("transformer.language_model", "normalised before each sublayer"),
    "transformer.language_model_post_norm.shakespeare": _plays(
        "transformer.language_model_post_norm", "normalised after each sum"
    ),
    "cnn.cifar10": Training(
        "cnn.small", "cifar10", {}, {}, _optimizer("Adam", 1e-3), "one_cycle", epochs=25,
        augmentation=Augmentation(crop=2, flip=True), target=Target(0.75, f"{KERAS}, cifar10_cnn: 75 % in 25 epochs"),
        note="two pairs of convolutions",
    ),
    "resnet.cifar10": _cifar("resnet.cifar", "ResNet-20", Target(0.90, f"{HE}: 91.25 % in 164 epochs")),
    "resnet.no_shortcut.cifar10": _cifar("resnet.no_shortcut", "the same without shortcuts", None),
    "gru.mnist_sequence": _pixels("gru.last", "gates over 784 steps", Target(0.95, f"{TCN}: 96.2 %")),
    "simple_rnn.mnist_sequence": _pixels("simple_rnn.last", "no gates over 784 steps"),
    "lstm.mnist_sequence": _pixels("lstm.last", "one LSTM layer as Keras makes it (TCN: 87.2 %)"),
    "lstm.chrono.mnist_sequence": _pixels(
        "lstm.chrono", "gates that begin open", Target(0.95, "Tallec & Ollivier 2018 is for other tasks; ours")
    ),
    "lru.mnist_sequence": Training(
        "lru.long", "mnist_sequence",
        {"input_shape": (784, 1), "depth": 2, "width": 64, "units": 64, "outputs": 10, "output_activation": "softmax",
         "radii": (0.9, 0.999)},
        {}, _optimizer("AdamW", 2e-3, weight_decay=0.01), "one_cycle", target=Target(0.97, "Orvieto et al. 2023, table 1"),
        note="linear recurrent units",
    ),
    "gan.non_saturating.gaussians": _gan("gan.non_saturating", "the loss that everybody takes"),
    "gan.saturating.gaussians": _gan("gan.saturating", "its gradient is lost where the discriminator is sure"),
    "plain.batch_norm.small_batch": _small_batch("plain.batch_norm", "two examples have no statistics"),
    "plain.layer_norm.small_batch": _small_batch("plain.layer_norm", "each example has its own"),
    "plain.group_norm.small_batch": _small_batch("plain.group_norm", "each example has its own, in groups"),
    "policy.relu.bandit": _bandit("policy.relu", "REINFORCE with a baseline"),
    "policy.no_baseline.bandit": _bandit("policy.no_baseline", "scattered more, by an offset of the rewards"),
    "policy.sigmoid.bandit": _bandit("policy.sigmoid", "ten sigmoid layers: the policy never looks at the context"),
    "densenet.bottleneck.cifar10": _cifar(
        "densenet.bottleneck", "DenseNet-BC of 40 layers",
        Target(0.84, "Huang et al. 2017: 95.5 % (100 layers, 300 epochs)"), epochs=15, depth=40,
    ),
    "resnet.deep.cifar10": _cifar("resnet.cifar", "ResNet-56 of 8 channels", None, epochs=15, depth=56, width=8),
    "resnet.no_shortcut.deep.cifar10": _cifar(
        "resnet.no_shortcut", "plain-56 of 8 channels: clearly worse", None, epochs=15, depth=56, width=8
    ),
}  # fmt: skip


def training_names(pattern: str = "*") -> list[str]:
    """The names of the trainings that match a shell-style pattern, in the order in which a queue trains them."""
    return [name for name in TRAININGS if fnmatch.fnmatch(name, pattern)]


def training(name: str) -> Training:
    """The training of that name.

    Raises:
        KeyError: there is none; the message lists the nearest names.
    """
    if name not in TRAININGS:
        raise unknown("training", name, TRAININGS)
    return TRAININGS[name]
