"""Trains cases under the monitor, once; what is on disk is not trained again."""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import kerasgrad
from detection.controls import CONTROLS
from detection.faults import FAULTS, Training
from detection.subjects import SUBJECTS, Plan
from detection.tasks import Task

MOST_STEPS = 1200
"""Steps at most for a batch of two, which would else take as many times longer as it is smaller."""


@dataclass(frozen=True)
class Case:
    """One training.

    Attributes:
        half: `"calibration"` or `"unseen"`.
        net: a subject or a control.
        fault: what is planted, `""` for the healthy twin.
    """

    half: str
    net: str
    fault: str
    seed: int

    @property
    def key(self) -> str:
        name = "".join(c if c.isalnum() else "_" for c in self.fault or "healthy")
        return f"{self.net}-{name}-{self.seed}"


def cases(healthy: dict[str, int], sick: dict[str, int]) -> list[Case]:
    """All cases, seed by seed, so that a recording that is broken off is still balanced.

    Args:
        healthy: number of seeds of healthy runs, by half.
        sick: the same with a fault.
    """
    found: dict[int, list[Case]] = {}
    for seed in range(max(*healthy.values(), *sick.values())):
        for subject in SUBJECTS.values():
            # The halves share no seed.
            own = 2 * seed + (subject.half == "unseen")
            if seed < healthy[subject.half]:
                found.setdefault(2 * seed, []).append(Case(subject.half, subject.name, "", own))
            if seed < sick[subject.half]:
                for fault in (f for f in FAULTS.values() if f.fits(subject)):
                    case = Case(subject.half, subject.name, fault.name, own)
                    # A half of the faults, drawn by chance, comes before the next seed, the other half last.
                    soon = zlib.crc32(case.key.encode()) % 2 == 0
                    found.setdefault(2 * seed + 1 if soon else 1000 + seed, []).append(case)
        for name in CONTROLS:
            for half in healthy:
                if seed < healthy[half]:
                    found.setdefault(2 * seed, []).append(Case(half, f"{name}_{half}", "", 2 * seed + (half == "unseen")))
    return [case for order in sorted(found) for case in found[order]]


def record(case: Case, folder: Path) -> None:
    """Trains a case and leaves its run, and beside it what came out."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(case.seed)
    began = time.time()
    subject = SUBJECTS.get(case.net)
    outcome = _control(case, folder) if subject is None else _subject(case, folder)
    outcome |= asdict(case) | {"seconds": round(time.time() - began, 2)}
    (folder / case.key / "outcome.json").write_text(json.dumps(outcome, indent=1))


def _subject(case: Case, folder: Path) -> dict[str, Any]:
    subject, fault = SUBJECTS[case.net], FAULTS.get(case.fault)
    task = subject.task()
    random = np.random.default_rng([case.seed, zlib.crc32(case.key.encode())])
    model = subject.build(Plan() if fault is None else fault.plan(subject, random), task)
    t = Training(subject, task, model, task.x, task.y, subject.rate, subject.batch, random, task.loss)
    if fault is not None:
        fault.plant(t)
        if fault.name == "gradient_cut":
            t.place = _below_the_cut(model)
    optimizer = keras.optimizers.get({"class_name": subject.optimizer, "config": {"learning_rate": t.rate}})
    model.compile(optimizer, t.loss, metrics=["accuracy"] if task.kind != "regression" else [])
    gain = _fit(case, folder, task, model, subject.epochs, t)
    return {"gain": gain, "place": t.place, "at_start": t.at_start, "since": t.since, "kind": task.kind}


def _below_the_cut(model: keras.Model) -> str:
    """The last layer with weights that no gradient reaches."""
    names = [layer.name for layer in model.layers]
    cut = next(i for i, name in enumerate(names) if name.startswith("cut"))
    return [layer.name for layer in model.layers[:cut] if layer.trainable_variables][-1]


def _control(case: Case, folder: Path) -> dict[str, Any]:
    healthy = CONTROLS[case.net.removesuffix(f"_{case.half}")](case.half == "unseen")
    t = healthy.task
    training = Training(None, t, healthy.model, t.x, t.y, 0.0, healthy.batch, np.random.default_rng(0), None)  # type: ignore
    gain = _fit(case, folder, t, healthy.model, healthy.epochs, training)
    return {"gain": gain, "place": "", "at_start": True, "since": 0, "kind": t.kind}


def _fit(case: Case, folder: Path, task: Task, model: keras.Model, epochs: int, t: Training) -> float:
    steps = -(-len(t.x) // t.batch)
    epochs = max(1, min(epochs, MOST_STEPS // steps)) if t.batch == 2 else epochs
    # Half of the runs as they come by default, half sampled evenly.
    every: Any = "auto" if zlib.crc32(case.key.encode()) % 2 else max(1, steps * epochs // 120)
    monitor = kerasgrad.GradientMonitor(folder / case.key, update_freq=every, verbose=0)
    given = {"validation_data": (task.x_test if t.x is task.x else task.x_test * 255.0, task.y_test)}
    if case.seed % 3 == 2:
        given = {}
    model.fit(t.x, t.y, batch_size=t.batch, epochs=epochs, callbacks=[*t.callbacks, monitor], verbose=0, **given)
    x = task.x_test if t.x is task.x else task.x_test * 255.0
    return task.gain(model.predict(x, batch_size=512, verbose=0))
