"""Claim: a watched step costs little more than a plain one, and far less than what people use instead.

Each watched variant is a callback of its own; plain and watched steps alternate from step to step within one fit (a step
that is not sampled runs the model's own train function). Rules are left out: they judge a run now and then, not a step, and
what they take is part of `auto_keeps_its_budget.py`. Rivals act at every step, so their fits alternate with plain
ones in short rounds. Tracing comes before and is not counted (`starting_stays_cheap.py` does). Passes are the time that all
statistics add over the time that it takes to copy the gradients, the weights and the outputs of the model's layers once.

    python benchmarks/sampled_steps_cost_little.py [--models "LSTM,tiny MLP"] [--rounds 12] [--jit]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from harness import MODELS, Case, Ratio, ScalarPerLayer, SecondTape, compiled, fit, keep, show

import kerasgrad
from kerasgrad.monitoring.overhead import Overhead

CYCLE = 4
"""One step in so many is watched by each of two monitors; the two steps between are plain."""


def watched(case: Case, rounds: int, steps: int) -> tuple[float, dict[str, Ratio]]:
    """Milliseconds of a plain step, and the ratio of those that each monitor watched, one a round."""
    found: dict[str, list[float]] = {"all": [], "gradients": []}
    plain = []
    with tempfile.TemporaryDirectory() as folder:
        monitors = {
            "all": kerasgrad.GradientMonitor(
                f"{folder}/all", update_freq=lambda step: step % CYCLE == 1, rules=(), verbose=0
            ),
            "gradients": kerasgrad.GradientMonitor(
                f"{folder}/gradients", update_freq=lambda step: step % CYCLE == 3, activations=False, rules=(), verbose=0
            ),
        }
        callbacks = list(monitors.values())
        fit(case, callbacks, 2 * CYCLE)
        for _ in range(rounds):
            before = [(costs(m)._bookkeeping, costs(m).samples) for m in monitors.values()]
            seconds = fit(case, callbacks, steps * CYCLE)
            kinds = (1 + np.arange(len(seconds))) % CYCLE  # the first step of a fit is left out
            plain.append(float(np.median(seconds[kinds % 2 == 0])))
            for kind, (name, monitor), (spent, samples) in zip((1, 3), monitors.items(), before, strict=True):
                # What is read, added up, judged and written later belongs to the samples all the same.
                later = (costs(monitor)._bookkeeping - spent) / (costs(monitor).samples - samples)
                found[name].append((float(np.median(seconds[kinds == kind])) + later) / plain[-1])
    return 1e3 * float(np.median(plain)), {name: Ratio.of(ratios) for name, ratios in found.items()}


def costs(monitor: kerasgrad.GradientMonitor) -> Overhead:
    """What a monitor has measured of its own costs."""
    if monitor._session is None:
        raise RuntimeError("The monitor has watched no training yet.")
    return monitor._session.overhead


def one_pass(case: Case, repeats: int = 50) -> float:
    """Milliseconds for copying all gradients, weights and outputs of the model's own layers once, on all cores."""
    outputs = [t.shape[1:] for layer in case.model.layers for t in tf.nest.flatten(layer.output)]
    weights = [v.shape for v in case.model.trainable_variables]
    tensors = [tf.random.normal(shape) for shape in (*weights, *weights, *((case.batch, *shape) for shape in outputs))]
    copy = tf.function(lambda *given: [-tensor for tensor in given], autograph=False)
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        copy(*tensors)[-1].numpy()
        seconds.append(time.perf_counter() - began)
    return 1e3 * float(np.median(seconds[3:]))


def rivals(case: Case, rounds: int, steps: int) -> dict[str, Any]:
    """Ratios to plain steps, one a round, of what others offer and of a monitor that does not sample."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        callbacks: dict[str, Any] = {
            "not sampled": kerasgrad.GradientMonitor(f"{folder}/none", update_freq=lambda step: step == 0, verbose=0),
            "second tape": SecondTape(case, f"{folder}/tape"),
            "scalars": ScalarPerLayer(f"{folder}/scalars"),
            "TensorBoard": keras.callbacks.TensorBoard(f"{folder}/board", histogram_freq=1, update_freq="batch"),
        }
        for name, callback in callbacks.items():
            fit(case, [callback], 3)
            found[name] = []
        for _ in range(rounds):
            for name, callback in callbacks.items():
                before = np.median(fit(case, [], steps))
                during = np.median(fit(case, [callback], steps))
                after = np.median(fit(case, [], steps))
                found[name].append(2 * during / (before + after))
    return {name: Ratio.of(values) for name, values in found.items()}


def measured(name: str, rounds: int, jit_compile: bool) -> dict[str, Any]:
    """All figures of one model."""
    case = compiled(name, jit_compile)
    fit(case, [], 3)
    plain, ratios = watched(case, rounds, 8)
    passes = (ratios["all"].median - 1) * plain / one_pass(case)
    found = {"plain_ms": round(plain, 2), **ratios, "passes": round(passes, 1)}
    return {**found, **rivals(case, max(3, rounds // 2), 12)}


def main() -> None:
    """Measures, prints, stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--jit", action="store_true", help="under XLA")
    given = parser.parse_args()
    results: dict[str, Any] = {}
    for name in given.models.split(","):
        results[name + (" (XLA)" if given.jit else "")] = measured(name, given.rounds, given.jit)
        keep(__file__, results)
    columns = ["all", "passes", "gradients", "not sampled", "second tape", "TensorBoard", "scalars"]
    rows = [[name, row["plain_ms"], *(row[c] for c in columns)] for name, row in results.items()]
    show("A step with each callback / a plain step: median (quartiles)", ["model", "plain, ms", *columns], rows)


if __name__ == "__main__":
    main()
