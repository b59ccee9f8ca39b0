"""Claims of convnets: 4 and 9."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import zoo
from literature.measure import Row, at_start, first_to_last, fresh, of_kernels, of_weights, train

IMAGES = {"input_shape": (8, 8, 1)}
STEPS = 200


def _final(losses: Any) -> float:
    return float(np.mean(losses[-30:]))


def claim_4(seeds: range) -> list[Row]:
    rows, losses = [], {}
    for name in ("resnet.no_shortcut", "resnet.cifar"):
        for depth in (20, 56):
            for seed in seeds:
                fresh(seed)
                model = zoo.build(name, depth=depth, **IMAGES)
                rate = keras.optimizers.SGD(0.05, momentum=0.9)
                done = train(model, zoo.tasks.digits_images(seed), steps=STEPS, optimizer=rate, seed=seed, watched=False)
                losses.setdefault((name, depth), []).append(_final(done.losses))
    setting = f"digits, {STEPS} steps of SGD with momentum, training loss over the last 30"
    for name, says, worse in (("resnet.no_shortcut", "Deeper plain convnets train worse (56 against 20 layers)", True),
                              ("resnet.cifar", "Deeper residual convnets do not", False)):  # fmt: skip
        shallow, deep = losses[name, 20], losses[name, 56]
        worsened = [d > 1.5 * s for s, d in zip(shallow, deep, strict=True)]
        rows.append(
            Row(4, says, "He et al. 2015, Deep residual learning", setting, {"20 layers": shallow, "56 layers": deep},
                all(worsened) if worse else not any(worsened))
        )  # fmt: skip
    for name, norm, says, source in (
        ("resnet.no_shortcut", "batch", "Profile without shortcuts, with BatchNorm", "He 2015: level; Yang 2019: explodes"),
        ("resnet.no_shortcut", None, "Profile without shortcuts and BatchNorm", "arXiv 2510.24036: collapses"),
        ("resnet.cifar", "batch", "Profile with shortcuts and BatchNorm", "Yang et al. 2019"),
    ):  # fmt: skip
        measured: dict[str, list[float]] = {
            "gradient, first / last quarter": [],
            "signal": [],
            "signal, first / last layer": [],
        }
        for seed in seeds:
            fresh(seed)
            run = at_start(zoo.build(name, depth=56, normalization=norm, **IMAGES), zoo.tasks.digits_images(seed))
            signal = of_weights(run, "signal_rms", only="conv")
            measured["gradient, first / last quarter"].append(first_to_last(of_kernels(run, only="conv")))
            measured["signal"].append(first_to_last(signal))
            measured["signal, first / last layer"].append(float(signal[0] / signal[-1]))
        rows.append(Row(4, says, source, "56 layers, digits, at first", measured, None))
    return rows


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
