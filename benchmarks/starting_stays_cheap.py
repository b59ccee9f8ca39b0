"""Claim: tracing and compiling take at most 1.5 times as long as without the monitor, and memory grows by a tenth at most.

With a training step of one's own (a VAE, a DCGAN, a trainer around a model) it is 1.7 times.

Each training runs in a process of its own, plain and watched in turn. Starting is what the steps took beyond as many
usual ones: tracing, compiling and whatever else comes once. Memory is the largest resident size of the process. XLA
compiles the plain and the watched step apart, since they are two programs.

    python benchmarks/starting_stays_cheap.py [--models "LSTM,tiny MLP"] [--modes graph,XLA] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from typing import Any

import numpy as np
import own_steps
from harness import MODELS, Intervals, Ratio, compiled, fit, keep, show

import kerasgrad

STEPS = 30
VARIANTS: dict[str, dict[str, Any] | None] = {"plain": None, "auto": {}, "every step": {"update_freq": 1}}


def train(name: str, mode: str, variant: str) -> dict[str, float]:
    """One training in this process: seconds of starting, and peak memory in MiB."""
    make = own_steps.compiled if name in own_steps.MODELS else compiled
    case, intervals, options = make(name, mode == "XLA"), Intervals(), VARIANTS[variant]
    fit(case, [intervals, *([] if options is None else [kerasgrad.GradientMonitor(None, verbose=0, **options)])], STEPS)
    seconds = intervals.seconds
    starting = float(seconds.sum() - len(seconds) * np.median(seconds))
    return {"starting": starting, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measured(name: str, mode: str, rounds: int) -> dict[str, Any]:
    """Ratios to the plain training of the same round."""
    found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for _ in range(rounds):
        for variant, results in found.items():
            command = [sys.executable, __file__, "--worker", name, mode, variant]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results.append(json.loads(output.splitlines()[-1]))
    row: dict[str, Any] = {"plain_s": round(float(np.median([r["starting"] for r in found["plain"]])), 2)}
    for what in ("starting", "memory"):
        for variant in list(VARIANTS)[1:]:
            pairs = zip(found[variant], found["plain"], strict=True)
            row[f"{what}, {variant}"] = Ratio.of([watched[what] / plain[what] for watched, plain in pairs])
    return row


def main() -> None:
    """Measures, prints, stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join([*MODELS, *own_steps.MODELS]))
    parser.add_argument("--modes", default="graph,XLA")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        print(json.dumps(train(*given.worker)))
        return
    results: dict[str, Any] = {}
    for mode in given.modes.split(","):
        for name in given.models.split(","):
            results[f"{name}, {mode}"] = measured(name, mode, given.rounds)
            keep(__file__, results)
    columns = list(next(iter(results.values())))
    rows = [[name, *row.values()] for name, row in results.items()]
    show("Starting and peak memory / those of the plain training", ["model", *columns], rows)


if __name__ == "__main__":
    main()
