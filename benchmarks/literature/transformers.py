"""Claims of transformers: 7."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import zoo
from literature.measure import Row, at_start, fresh, train

SENTENCES = {"vocabulary": 34, "input_shape": (16,)}
XIONG = "Xiong et al. 2020"


class _Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """Rises in a straight line, then stays."""

    def __init__(self, rate: float, steps: int) -> None:
        self.rate, self.steps = rate, steps

    def __call__(self, step: Any) -> Any:
        return self.rate * keras.ops.minimum(1.0, (keras.ops.cast(step, "float32") + 1) / self.steps)


def claim_7(seeds: range) -> list[Row]:
    return [*_at_first(seeds), _warmup(seeds), _rank(seeds)]


def _at_first(seeds: range) -> list[Row]:
    """The gradient of the last feed-forward layer, the one that the theorem is about."""
    measured: dict[str, list[float]] = {}
    for depth in (2, 6, 18):
        for label, name in (("post", "transformer.post_norm"), ("pre", "transformer.classifier")):
            for seed in seeds:
                fresh(seed)
                run = at_start(zoo.build(name, depth=depth, **SENTENCES), zoo.tasks.sentences(seed=seed))
                gradient = run.layer("gradient_norm")[f"block{depth}.dense2"][0]
                measured.setdefault(f"{label}-norm, {depth} blocks", []).append(float(gradient))
    fall = {
        label: np.array(measured[f"{label}-norm, 2 blocks"]) / np.array(measured[f"{label}-norm, 18 blocks"])
        for label in ("post", "pre")
    }
    larger = [a > b for a, b in zip(measured["post-norm, 18 blocks"], measured["pre-norm, 18 blocks"], strict=True)]
    return [
        Row(7, "At first post-norm transformers have large gradients near the output at any depth; those of pre-norm fall "
            "as 1 / sqrt(depth)", XIONG, "gradient norm of the last block's second dense layer, at first; sentences",
            measured, all(larger) and all(f < 1.5 for f in fall["post"]) and all(1.5 < f < 6 for f in fall["pre"])),
    ]  # fmt: skip


def _warmup(seeds: range) -> Row:
    measured: dict[str, list[float]] = {}
    steps, rate = 400, 3e-3
    for label, name in (("post", "transformer.post_norm"), ("pre", "transformer.classifier")):
        for warm in (0, 150):
            for seed in seeds:
                fresh(seed)
                optimizer = keras.optimizers.Adam(_Warmup(rate, warm) if warm else rate)
                model = zoo.build(name, depth=6, **SENTENCES)
                done = train(
                    model, zoo.tasks.sentences(seed=seed), steps=steps, optimizer=optimizer, seed=seed, watched=False
                )
                measured.setdefault(f"{label}-norm, {'warm-up' if warm else 'none'}", []).append(done.score)
    medians = {key: float(np.median(values)) for key, values in measured.items()}
    wants = medians["post-norm, warm-up"] - medians["post-norm, none"] > 0.1
    does_not = abs(medians["pre-norm, warm-up"] - medians["pre-norm, none"]) < 0.1 and medians["pre-norm, none"] > 0.8
    return Row(
        7, "Post-norm wants warm-up, pre-norm does not", XIONG,
        f"6 blocks, sentences, Adam {rate:g}, {steps} steps, warm-up over 150; held-out accuracy", measured,
        wants and does_not,
    )  # fmt: skip


def _rank(seeds: range) -> Row:
    """How far the vectors at the places differ: what is left beside the one that all share, of the whole."""
    measured: dict[str, list[float]] = {}
    pairs = (
        ("attention alone", "transformer.attention_only", {}),
        ("with shortcuts", "transformer.attention_only", {"shortcut": True}),
        ("with feed-forward", "transformer.attention_only", {"feed_forward": True}),
    )
    for label, name, overrides in pairs:
        for seed in seeds:
            fresh(seed)
            model = zoo.build(name, depth=12, **overrides, **SENTENCES)
            (x, _), _ = zoo.tasks.sentences(seed=seed)
            vectors = keras.Model(model.input, model.get_layer("pool").input).predict(x[:64], verbose=0).astype(float)
            own = vectors - vectors.mean(1, keepdims=True)
            measured.setdefault(label, []).append(float(np.linalg.norm(own) / np.linalg.norm(vectors)))
    collapsed = max(measured["attention alone"]) < 1e-2 < min(measured["with shortcuts"])
    return Row(
        7, "Without shortcuts attention collapses in rank", "Dong et al. 2021",
        "12 layers of attention at first; norm of what differs between places / norm of all", measured, collapsed,
    )  # fmt: skip
