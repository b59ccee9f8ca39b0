"""Claims of convnets: 4 and 9."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

import zoo
from literature.measure import Row, at_start, first_to_last, fresh, of_kernels, of_weights, train

IMAGES = {"input_shape": (8, 8, 1)}


@dataclass(frozen=True)
class Training:
    """On what plain and residual convnets of two depths are trained.

    Attributes:
        says: data, width and steps, in words.
        data: of a seed.
        overrides: of the model.
        steps: of SGD with momentum.
        worse: how many times the shallow net's loss a deep one's must be to be called worse, in every seed. Losses of single
            batches wander, small ones more in proportion.
    """

    says: str
    data: Callable[[int], Any]
    overrides: Mapping[str, Any]
    steps: int
    worse: float


ON_DIGITS = Training("digits, 200 steps", zoo.tasks.digits_images, IMAGES, 200, 1.5)
ON_PHOTOGRAPHS = Training(
    "10,000 images of CIFAR-10, 8 channels wide, 200 steps", lambda _: zoo.tasks.cifar10(), {"width": 8}, 200, 1.1
)


def claim_4(seeds: range) -> Iterator[Row]:
    yield from _depths(ON_DIGITS, seeds)
    yield from _profiles(seeds)
    yield from _depths(ON_PHOTOGRAPHS, seeds)


def _depths(on: Training, seeds: range) -> Iterator[Row]:
    """What depth costs, without and with shortcuts."""
    for name, says, worse in (
        ("resnet.no_shortcut", "Deeper plain convnets train worse (56 against 20 layers)", True),
        ("resnet.cifar", "Deeper residual convnets do not (56 against 20 layers)", False),
    ):
        losses: dict[int, list[float]] = {20: [], 56: []}
        for seed in seeds:
            for depth, of_depth in losses.items():
                fresh(seed)
                model = zoo.build(name, depth=depth, **on.overrides)
                rate = keras.optimizers.SGD(0.05, momentum=0.9)
                done = train(model, on.data(seed), steps=on.steps, optimizer=rate, seed=seed, watched=False)
                of_depth.append(float(np.mean(done.losses[-30:])))
        worsened = [deep > on.worse * shallow for shallow, deep in zip(*losses.values(), strict=True)]
        yield Row(
            4, says, "He et al. 2015, Deep residual learning",
            f"{on.says} of SGD 0.05, momentum 0.9; training loss over the last 30; worse is {on.worse} times",
            {f"{depth} layers": of_depth for depth, of_depth in losses.items()},
            all(worsened) if worse else not any(worsened),
        )  # fmt: skip


def _profiles(seeds: range) -> Iterator[Row]:
    """The gradient over depth, with and without shortcuts, with and without BatchNorm."""
    for name, normalization, says, source in (
        ("resnet.no_shortcut", "batch", "Profile without shortcuts, with BatchNorm",
         "He et al. 2015: level; Yang et al. 2019: explodes towards the input, 1.21 a layer"),
        ("resnet.no_shortcut", None, "Profile without shortcuts and BatchNorm",
         "arXiv 2510.24036: collapses in early layers"),
        ("resnet.cifar", "batch", "Profile with shortcuts and BatchNorm", "Yang et al. 2019: shortcuts tame it"),
        ("resnet.cifar", None, "Profile with shortcuts, without BatchNorm", "Zhang et al. 2019, Fixup: explodes"),
    ):  # fmt: skip
        measured: dict[str, list[float]] = {}
        for seed in seeds:
            fresh(seed)
            run = at_start(zoo.build(name, depth=56, normalization=normalization), zoo.tasks.cifar10())
            signal, alike = (of_weights(run, "signal_rms", only=only) for only in ("conv", "stage2"))
            for key, value in (
                ("weight gradient, first / last quarter", first_to_last(of_kernels(run, only="conv"))),
                ("signal, first / last quarter", first_to_last(signal)),
                # Within a stage all outputs have one shape.
                ("signal, grows a layer backwards within stage 2", (alike[0] / alike[-1]) ** (1 / (len(alike) - 1))),
            ):
                measured.setdefault(key, []).append(float(value))
        yield Row(4, says, source, "56 layers, CIFAR-10, 16 channels wide, at first", measured, None)


def claim_9(seeds: range) -> list[Row]:
    rows = []
    for pair, data, overrides, steps in (
        (("densenet.connected", "densenet.no_connections"), zoo.tasks.digits_images, {"depth": 22, **IMAGES}, 200),
        (("unet.skips", "unet.no_skips"), lambda seed: zoo.tasks.shapes(16, seed=seed), {"input_shape": (16, 16, 1)}, 200),
    ):
        measured: dict[str, list[float]] = {}
        for name in pair:
            for seed in seeds:
                fresh(seed)
                done = train(zoo.build(name, **overrides), data(seed=seed), steps=steps, seed=seed, per_decade=5)
                for when, sample in (("at first", 0), ("at last", -1)):
                    ratio = first_to_last(of_kernels(done.run, sample, only="conv"))
                    measured.setdefault(f"{name}, {when}", []).append(ratio)
                measured.setdefault(f"{name}, accuracy", []).append(done.score)
        family = pair[0].partition(".")[0]
        rows.append(
            Row(9, f"{family} with and without its connections", "no direction expected",
                f"{steps} steps of Adam; weight gradient of the convolutions, first / last quarter", measured, None)
        )  # fmt: skip
    return rows
