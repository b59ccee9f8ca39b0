"""Claim: with default settings a training of 2,000 steps takes at most 1 % longer, tracing apart.

Within one fit, all intervals from step to step are added up and compared with as many usual ones (the mean of those
steps that were not sampled). What unsampled steps themselves cost more is in `sampled_steps_cost_little.py`. Beside it
stands the share that the monitor measured of itself, `run.facts["overhead"]`.

    python benchmarks/auto_keeps_its_budget.py [--models "LSTM,tiny MLP"] [--steps 2000]
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

import numpy as np
from harness import MODELS, Intervals, compiled, fit, keep, show

import kerasgrad


def measured(name: str, steps: int) -> dict[str, Any]:
    """Total over usual, how many samples it bought, and what the monitor says itself."""
    case, intervals = compiled(name), Intervals()
    with tempfile.TemporaryDirectory() as folder:
        monitor = kerasgrad.GradientMonitor(folder, verbose=0)
        fit(case, [intervals, monitor], steps)
        seconds, sampled = intervals.seconds[:steps], np.zeros(steps, bool)
        sampled[monitor.run.steps] = True
        facts = monitor.run.facts
    traced = [0, int(np.argmin(sampled))]  # the first step of either kind builds its function
    counted = np.delete(np.arange(steps), traced)
    usual = seconds[counted][~sampled[counted]].mean()
    return {
        "usual_ms": round(1e3 * float(usual), 2),
        "total": round(float(seconds[counted].sum() / (len(counted) * usual)), 4),
        "samples": int(sampled.sum()),
        "in the first 100 steps": int(sampled[:100].sum()),
        "measured of itself": 1 + facts["overhead"],
        "tracing_s": facts["tracing_seconds"],
    }


def main() -> None:
    """Measures, prints, stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--steps", type=int, default=2000)
    given = parser.parse_args()
    results: dict[str, Any] = {}
    for name in given.models.split(","):
        results[name] = measured(name, given.steps)
        keep(__file__, results)
    columns = list(next(iter(results.values())))
    rows = [[name, *row.values()] for name, row in results.items()]
    show(f"{given.steps} steps under the default monitor / as many usual steps", ["model", *columns], rows)


if __name__ == "__main__":
    main()
