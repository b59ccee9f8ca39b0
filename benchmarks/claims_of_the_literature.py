"""Claim: what papers say of gradients holds, or does not, on the models of the zoo. No row is tuned to hold.

    python benchmarks/claims_of_the_literature.py [--claims 1,2,3] [--seeds 3]

Each row names the claim, its source, what was measured on which setting over the seeds, and whether it holds for all of
them. The rows are stored beside this file as JSON, and as a table in `README.md`; a run of some claims replaces theirs only.
`--claims none` writes the table of what is stored. Claim 4 needs CIFAR-10, from Keras or the folder in `KERASGRAD_DATA`; no
other needs a network. Claims 5 and 11 read recorded baselines of the zoo.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

MODULES = {
    1: "plain_nets", 2: "plain_nets", 3: "plain_nets", 4: "convnets", 5: "recurrent_nets", 6: "plain_nets",
    7: "transformers", 8: "recurrent_nets", 9: "convnets", 10: "plain_nets", 11: "plain_nets",
}  # fmt: skip
STORED = Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- claims of the literature: the script writes this table -->", "<!-- the end of that table -->"


def number(value: float | None) -> str:
    """Three digits, short."""
    return "not finite" if value is None else f"{value:.3g}"


def spread(values: list[float | None]) -> str:
    """Median, and between which figures the seeds lie."""
    order = sorted(float("inf") if v is None else v for v in values)
    low, middle, high = (number(v if v < float("inf") else None) for v in (order[0], statistics.median(order), order[-1]))
    return middle if low == high else f"{middle} ({low} to {high})"


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| | claim | setting | measured: median (least to most) | holds |", "|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: row["claim"]):
        measured = "; ".join(f"{name} {spread(values)}" for name, values in row["measured"].items())
        holds = {True: "yes", False: "**no**", None: "none claimed"}[row["holds"]]
        cells = (
            row["claim"],
            f"{row['says']} ({row['source']})",
            f"{row['setting']}; {row['seeds']} seeds",
            measured,
            holds,
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    missing = [str(claim) for claim in MODULES if claim not in {row["claim"] for row in rows}]
    if missing:
        lines += ["", f"Not measured yet: claims {', '.join(missing)}."]
    return "\n".join(lines)


def write(rows: list[dict[str, Any]]) -> None:
    """Puts the table into `README.md`, between its two marks."""
    from published import between

    between(BEGIN, END, f"\n{table(rows)}\n")


def plain(row: Any, seeds: int) -> dict[str, Any]:
    """A row as JSON has it."""
    measured = {name: [finite(value) for value in values] for name, values in row.measured.items()}
    return asdict(row) | {"measured": measured, "holds": None if row.holds is None else bool(row.holds), "seeds": seeds}


def finite(value: float) -> float | None:
    """For JSON, which has no infinity."""
    return float(f"{value:.4g}") if abs(value) < float("inf") else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", default=",".join(map(str, MODULES)), help="numbers, or none (default: all)")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    for claim in [] if given.claims == "none" else map(int, given.claims.split(",")):
        began, new = time.perf_counter(), []
        module = importlib.import_module(f"literature.{MODULES[claim]}")
        for row in getattr(module, f"claim_{claim}")(range(given.seeds)):
            new.append(plain(row, given.seeds))
            stored = json.loads(STORED.read_text()) if STORED.exists() else []
            STORED.write_text(json.dumps([old for old in stored if old["claim"] != claim] + new, indent=1) + "\n")
        print(f"claim {claim}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    rows = json.loads(STORED.read_text())
    write(rows)
    print(table(rows))


if __name__ == "__main__":
    main()
