"""Claim: sick runs are found, healthy ones are left in peace, and the layer that is named is the right one.

    python benchmarks/detection_is_trustworthy.py record      # trains what is not in logs/detection yet; hours on two cores
    python benchmarks/detection_is_trustworthy.py             # judges the recorded runs, writes JSON and the README's part
    python benchmarks/detection_is_trustworthy.py list        # every run of the calibration half with what was said of it

Thresholds are chosen by looking at the calibration half alone: other nets, other seeds, other sizes of each healthy oddity.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import argparse
import shutil
import sys
import traceback
import zlib
from collections import Counter
from pathlib import Path

from detection import scoring
from published import publish

HEALTHY = {"calibration": 2, "unseen": 5}
SICK = {"calibration": 1, "unseen": 1}
"""Seeds of each net, by half; of the sick ones a share is drawn."""
GRAPHS = 25
"""Graphs in one process; TensorFlow keeps the memory of all that it ever traced."""
AGAIN = 3
"""Exit code that asks to be started again."""

TARGETS = {
    "sick runs with a right finding": ">= 95 %",
    "healthy runs with a warning or error": "<= 2 %",
    "right first layer, of those that name one": ">= 90 %",
    "converged nets with an alarm": "0",
}
RIGHT = """Every rule: of its warnings those that are right, the run being sick and the rule one of those that fit its fault
(`expected` in `detection/faults.py`; `overfitting` is right of any sick run that sees less than half of its gain in training
on held-out data). Precision is that of the unseen half. Recall: of the sick runs of the unseen half whose fault has the
rule as its first one."""
ENOUGH = 5
"""Warnings from which on a precision is worth a figure."""


def record_all(folder: Path, part: int, parts: int) -> bool:
    """Trains what is not on disk yet; false if there is more."""
    from detection.recording import Bench, cases

    todo = [c for c in cases(HEALTHY, SICK) if zlib.crc32(c.net.encode()) % parts == part]
    bench, graphs = None, 0
    for case in (c for c in todo if not (folder / c.key / "outcome.json").exists()):
        shutil.rmtree(folder / case.key, ignore_errors=True)
        try:
            if bench is None or not bench.fits(case):
                graphs += 1
                if graphs > GRAPHS:
                    return False
                bench = Bench(case)
            bench.record(case, folder)
            print(case.key, flush=True)
        except Exception:
            bench = None
            traceback.print_exc()
    return True


def judge(folder: Path) -> None:
    """Judges all runs, prints the tables and writes them."""
    scored = scoring.score(folder)
    halves = {half: [s for s in scored if s.half == half] for half in HEALTHY}
    claims = {half: scoring.headline(of) for half, of in halves.items()}
    milliseconds = scoring.milliseconds()
    labels = {half: dict(Counter(s.label for s in of)) for half, of in halves.items()}
    text = _section(halves, claims, milliseconds, labels)
    missed = [s.key for s in halves["unseen"] if s.label == "sick" and not s.found]
    alarmed = {s.key: s.warned for s in halves["unseen"] if s.label == "healthy" and s.warned}
    result = {
        "claims": claims, "labels": labels, "milliseconds_1000x100": round(milliseconds, 1), "missed_unseen": missed,
        "alarmed_unseen": alarmed, "rules_unseen": scoring.by_rule(halves["unseen"]),
        "confusion_unseen": scoring.confusion(halves["unseen"]),
    }  # fmt: skip
    publish("detection_is_trustworthy", "detection", result, text)


def _section(halves: dict, claims: dict, milliseconds: float, labels: dict) -> str:
    lines = [f"Runs: {'; '.join(f'{half}: {_counted(of)}' for half, of in labels.items())}.", ""]
    lines += ["| claim | target | calibration half | unseen half |", "|---|---|---|---|"]
    for claim in claims["unseen"]:
        cells = [_share(*claims[half][claim]) for half in ("calibration", "unseen")]
        lines.append(f"| {claim} | {TARGETS.get(claim, '')} | {cells[0]} | {cells[1]} |")
    lines += [f"| all rules on 1,000 samples x 100 layers, processor time | <= 50 ms | | {milliseconds:.0f} ms |", ""]
    lines += [RIGHT, ""]
    lines += [
        "| rule | calibration: right | unseen: right | precision | on sick runs | recall |",
        "|---|---|---|---|---|---|",
    ]
    known = scoring.by_rule(halves["calibration"])
    for rule, (right, sick, warned, hit, of) in scoring.by_rule(halves["unseen"]).items():
        precision = f"{right / warned:.2f}" if warned >= ENOUGH else "too few"
        recall = f"{hit} of {of}" if of else "no case"
        before = f"{known[rule][0]} of {known[rule][2]}"
        lines.append(f"| {rule} | {before} | {right} of {warned} | {precision} | {sick} of {warned} | {recall} |")
    lines += ["", "What was said of the sick runs of the unseen half, by fault:", ""]
    lines += ["| fault | sick | warnings |", "|---|---|---|"]
    for fault, counts in scoring.confusion(halves["unseen"]).items():
        said = ", ".join(f"{rule} {n}" for rule, n in counts.most_common() if rule != "runs")
        lines.append(f"| {fault} | {counts['runs']} | {said} |")
    return "\n".join(lines)


def _counted(labels: dict[str, int]) -> str:
    return ", ".join(f"{n} {label}" for label, n in sorted(labels.items()))


def _share(hits: int, of: int) -> str:
    low, high = scoring.interval(hits, of)
    return f"{hits} of {of}: {100 * hits / of:.1f} % ({100 * low:.1f} to {100 * high:.1f})" if of else "none"


def show(folder: Path, half: str) -> None:
    """Prints each run of a half."""
    for s in scoring.score(folder):
        if s.half == half:
            wrong = (s.label == "healthy" and s.warned) or (s.label == "sick" and not s.found)
            mark = "!" if wrong else " "
            print(f"{mark} {s.key:42} {s.label:9} gain {s.gain:.2f} {s.place}: {s.warned} named {s.named} live {s.live}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", default="judge", choices=["record", "judge", "list"])
    parser.add_argument("--folder", type=Path, default=Path("logs/detection"))
    parser.add_argument("--part", type=int, default=0, help="which part to record, where several processes do")
    parser.add_argument("--parts", type=int, default=1)
    given = parser.parse_args()
    if given.command == "record":
        sys.exit(0 if record_all(given.folder, given.part, given.parts) else AGAIN)
    show(given.folder, "calibration") if given.command == "list" else judge(given.folder)
