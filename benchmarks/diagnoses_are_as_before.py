"""Diagnoses and reports of all recorded baselines are those of another checkout, but for what is named below.

    PYTHONPATH=. python benchmarks/diagnoses_are_as_before.py OTHER_CHECKOUT

Each baseline is judged whole, and once more as it grew, which is what `fit` tells. Exit status 1 if anything differs that
`EXPECTED` does not name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
EXPECTED: dict[str, str] = {
    "follows_from": "findings form a tree",
    "shown": "a finding says whether the run shows its cause",
    "remedies": "of causes alone, and only what nothing in the run speaks against",
    "causes": "what follows from another no longer says so among its causes, but by follows_from",
    "summary": "nor in its summary",
    "order": "each cause has what follows from it behind it",
    "without vanishing_gradient": "a mean over positions loses nothing",
    "vanishing_gradient.measured": "what a mean over positions divides by is not counted",
    "vanishing_gradient.starts_at": "nor is it where the signal is lost",
    "vanishing_gradient.since": "so that it shows later",
    "examined": "there is one rule more",
    "not_examined": "which takes six samples",
}
"""What may differ in a finding or a diagnosis, and why."""
LOOK = """
import json, logging, sys
import numpy as np
import kerasgrad, zoo
from zoo.baselines import baseline_names
from kerasgrad.monitoring.judge import Judge
logging.disable(logging.WARNING)
for name in sorted(baseline_names()):
    run, told = zoo.baseline(name), []
    judge = Judge(on_finding=lambda f: told.append([f.rule, list(f.layers), str(f.severity), f.withdrawn]))
    judge._spent = -1e9  # as if there were time without end
    for count in range(25, len(run), 25):
        judge.judge(run.select(steps=slice(None, int(run.steps[count]))))
    judge.judge(run, at_last=True)
    diagnosis = kerasgrad.diagnose(run)
    print(json.dumps([name, diagnosis.to_dict(), repr(diagnosis), sorted(told, key=str)]))
"""


def look(checkout: Path) -> dict[str, list[Any]]:
    """Diagnosis, report and what was told by baseline, as that checkout gives them."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", LOOK], cwd=checkout, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return {name: rest for name, *rest in map(json.loads, done.stdout.splitlines())}


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Keys in which two diagnoses differ, those of their findings with the rule in front."""
    keys = [key for key in {**one, **other} if key != "findings" and one.get(key) != other.get(key)]
    rules = [[finding["rule"] for finding in of["findings"]] for of in (one, other)]
    more = [f"{word} {rule}" for word, of in (("without", Counter(rules[0]) - Counter(rules[1])),
                                              ("with", Counter(rules[1]) - Counter(rules[0]))) for rule in of]  # fmt: skip
    keys += [*more, *(["order"] if not more and rules[0] != rules[1] else [])]
    pairs = [
        (a, b) for a in one["findings"] for b in other["findings"] if (a["rule"], a["layers"]) == (b["rule"], b["layers"])
    ]
    return keys + [f"{a['rule']}.{key}" for a, b in pairs for key in {**a, **b} if a.get(key) != b.get(key)]


def main() -> int:
    """Compares, and says what is the same and what is not."""
    before, now = look(Path(sys.argv[1]).resolve()), look(HERE)
    shared = sorted(before.keys() & now.keys())
    found = Counter(key for name in shared for key in differences(before[name][0], now[name][0]))
    same = [sum(before[name][part] == now[name][part] for name in shared) for part in range(3)]
    print(f"{len(shared)} baselines, {sum(len(before[name][0]['findings']) for name in shared)} findings before")
    for what, count in zip(("diagnoses", "reports", "findings told while training"), same, strict=True):
        print(f"{what}: {count} of {len(shared)} equal")
    unexpected = {key: count for key, count in found.items() if not {key, key.rpartition(".")[2]} & EXPECTED.keys()}
    for key, why in EXPECTED.items():
        count = sum(count for name, count in found.items() if key in (name, name.rpartition(".")[2]))
        print(f"{key}: differs {count} times, as it should: {why}")
    for key, count in sorted(unexpected.items()):
        print(f"{key}: differs {count} times, and should not")
    return bool(unexpected)


if __name__ == "__main__":
    raise SystemExit(main())
