"""Judges recorded runs with the rules as they are, and counts."""

from __future__ import annotations

import json
import logging
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from detection.faults import FAULTS
from kerasgrad import catalogue, judging, rules
from kerasgrad.finding import Diagnosis, Severity
from kerasgrad.run import Run, Sample, Schema

logging.getLogger("kerasgrad").setLevel(logging.CRITICAL)  # the rules are asked thousands of times here

LEARNT = 0.5
"""Gain that a net without a fault must have to count as healthy."""
HARM = 0.9
"""Share of the healthy twin's gain below which a run is sick."""
START = 50
"""Samples within which a fault that is there at the start should be found."""
MOST_EPOCHS = 20
"""Ends of epochs at which a run is judged once more, evenly chosen."""
OVERFITTED = 0.5
"""Share of the gain in training below which held-out data see too little of it."""
OF_TRAINING = {"overfitting"}
"""What may be said of an overfitted net that is otherwise in order."""


@dataclass
class Scored:
    """A case, what came out, and what the rules said."""

    key: str
    half: str
    net: str
    fault: str
    place: str
    at_start: bool
    gain: float
    gain_in_training: float
    label: str
    warned: list[str]
    named: list[str]
    early: list[str]
    live: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def expected(self) -> tuple[str, ...]:
        return FAULTS[self.fault].expected if self.fault else ()

    @property
    def found(self) -> bool:
        return any(rule in self.expected for rule in self.warned)

    def fits(self, rule: str) -> bool:
        """Whether a warning of that rule is right."""
        overfitted = self.label == "sick" and self.gain < OVERFITTED * self.gain_in_training
        return rule in self.expected if rule != "overfitting" else overfitted or rule in self.expected


def score(folder: Path) -> list[Scored]:
    """All runs on disk."""
    outcomes = {p.parent: json.loads(p.read_text()) for p in sorted(folder.glob("*/outcome.json"))}
    twins: dict[str, list[float]] = {}
    for outcome in outcomes.values():
        if not outcome["fault"]:
            twins.setdefault(outcome["net"], []).append(outcome["gain"])
    return [_scored(path, outcome, twins) for path, outcome in outcomes.items()]


def _scored(path: Path, o: dict[str, Any], twins: dict[str, list[float]]) -> Scored:
    run = Run.load(path)
    diagnosis = rules.diagnose(run)
    warnings = diagnosis.of(Severity.WARNING)
    right = FAULTS[o["fault"]].expected if o["fault"] else ()
    early = rules.diagnose(first_samples(run)).of(Severity.WARNING)
    return Scored(
        path.name, o["half"], o["net"], o["fault"], o["place"], o["at_start"], o["gain"],
        o.get("gain_in_training", math.nan), _label(o, twins),
        [f.rule for f in warnings], [f.starts_at for f in warnings if f.rule in right and f.starts_at],
        [f.rule for f in early], raised_while_training(run),
        [f.rule for f in diagnosis if f.severity is Severity.NOTE],
    )  # fmt: skip


def _label(o: dict[str, Any], twins: dict[str, list[float]]) -> str:
    if not o["fault"]:
        return "healthy" if o["gain"] >= LEARNT else "did not learn"
    if o["fault"] == "nan_planted" or not math.isfinite(o["gain"]):
        return "sick"
    if not twins.get(o["net"]):
        return "no twin"
    return "sick" if o["gain"] < HARM * float(np.median(twins[o["net"]])) else "harmless"


def raised_while_training(run: Run) -> list[str]:
    """What the rules as they are now would have warned of at any time of the training, be it withdrawn later.

    A monitor judges after certain numbers of samples, and at the ends of epochs if there is time; here there always is, so
    that no fewer findings are raised than in `fit`.
    """
    judge = judging.Judge()
    judge._began = -math.inf
    ends = (run.facts.get("history") or {}).get("step", ())
    counts = {int(np.searchsorted(run.steps, end)) for end in ends[:: -(-len(ends) // MOST_EPOCHS) or 1]}
    for count in sorted(counts | set(range(judging.FIRST, len(run), judging.FIRST)) - {0}):
        judge.judge(first_samples(run, count))
    judge.judge(run, at_last=True)
    return sorted({f.rule for f in judge.findings if f.severity >= Severity.WARNING})


def first_samples(run: Run, count: int = START) -> Run:
    """A run as it was after its first samples, without what became known later."""
    if len(run) <= count:
        return run
    end = int(run.steps[count])
    part = run.select(steps=slice(None, end))
    history = run.facts.get("history") or {}
    count = sum(step <= end for step in history.get("step", ()))
    part.facts = {**run.facts, "history": {name: values[:count] for name, values in history.items()}}
    return part


def interval(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not of:
        return 0.0, 1.0
    z, p = 1.96, hits / of
    middle, width = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return max(0.0, (middle - width) / (1 + z * z / of)), min(1.0, (middle + width) / (1 + z * z / of))


def block(path: str) -> str:
    """The block of a layer: a layer, its normalisation and its activation are one place."""
    return path.split("/")[0].split("_")[0]


def headline(scored: list[Scored]) -> dict[str, tuple[int, int]]:
    """Hits and trials of each claim."""
    healthy = [s for s in scored if s.label == "healthy"]
    sick = [s for s in scored if s.label == "sick"]
    placed = [s for s in sick if s.place and s.found]
    named = [s for s in placed if s.named]
    start = [s for s in sick if s.at_start]
    converged = [s for s in healthy if s.net.startswith("converged")]
    return {
        "sick runs with a right finding": (sum(s.found for s in sick), len(sick)),
        "sick runs with any warning": (sum(bool(s.warned) for s in sick), len(sick)),
        "healthy runs with a warning or error": (sum(bool(_alarms(s)) for s in healthy), len(healthy)),
        "healthy runs with one at any time while training": (
            sum(bool(set(s.live) - OF_TRAINING) for s in healthy), len(healthy)
        ),
        "right first layer, of those that name one": (sum(block(s.named[0]) == block(s.place) for s in named), len(named)),
        "name a layer, of found faults with a place": (len(named), len(placed)),
        "faults present at the start found within 50 samples": (
            sum(bool(set(s.early) & set(s.expected)) for s in start), len(start)
        ),
        "converged nets with an alarm": (sum(bool(_alarms(s)) for s in converged), len(converged)),
    }  # fmt: skip


def _alarms(s: Scored) -> list[str]:
    return [rule for rule in s.warned if not (rule in OF_TRAINING and s.net.startswith("overfitted"))]


def by_rule(scored: list[Scored]) -> dict[str, tuple[int, int, int, int, int]]:
    """Of each rule: right warnings, those on sick runs, all; right where the fault has it first, and how often one has."""
    counted = [s for s in scored if s.label in ("healthy", "sick")]
    table = {}
    for rule in (r.name for r in rules.DEFAULT):
        warned = [s for s in counted if rule in s.warned]
        mine = [s for s in counted if s.label == "sick" and rule == s.expected[0]]
        right = sum(s.fits(rule) for s in warned)
        sick = sum(s.label == "sick" for s in warned)
        table[rule] = (right, sick, len(warned), sum(rule in s.warned for s in mine), len(mine))
    return table


def confusion(scored: list[Scored]) -> dict[str, Counter[str]]:
    """By fault the warnings of its sick runs."""
    table: dict[str, Counter[str]] = {}
    for s in scored:
        if s.label == "sick" and s.fault:
            table.setdefault(s.fault, Counter())["runs"] += 1
            table[s.fault].update(s.warned)
    return table


def milliseconds(samples: int = 1000, layers: int = 100, repeats: int = 5) -> float:
    """Median processor time of all rules on a run of that size; the wall clock of a busy machine says little."""
    random = np.random.default_rng(0)
    paths = tuple(f"layer{i:03d}" for i in range(layers))
    variables = tuple(f"{path}/{what}" for path in paths for what in ("kernel", "bias"))
    owners, sizes = tuple(i // 2 for i in range(2 * layers)), (4096, 64) * layers
    schema = Schema(paths, variables, owners, sizes, ("relu",) * layers, dict.fromkeys(paths, 64))
    run = Run(schema, {"loss_function": "mean_squared_error"})
    for step in range(samples):
        rows = {
            of: {n: random.lognormal(size=count).astype(np.float32) for n in catalogue.names(of)}
            for of, count in (("layer", layers), ("variable", 2 * layers))
        }
        for name in ("activation_nonfinite", "gradient_nonfinite"):
            rows["layer"][name] = np.zeros(layers, np.float32)
        overall = {"loss": float(random.lognormal()), "gradient_norm": 1.0, "loss_scale_overflow": 0.0}
        run.append(Sample(step, float(step), rows["layer"], rows["variable"], overall))
    times = []
    for _ in range(repeats):
        began = time.process_time()
        found: Diagnosis = rules.diagnose(run)
        times.append(time.process_time() - began)
    failed = [why for why in found.not_examined.values() if "failed" in why]
    if failed:
        raise RuntimeError(failed[0])
    return 1000 * sorted(times)[len(times) // 2]
