"""Trains cases under the monitor, once; what is on disk is not trained again."""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

import kerasgrad
from detection.controls import CONTROLS
from detection.faults import FAULTS, Training
from detection.subjects import SUBJECTS, Plan

SAME_GRAPH = {
    "", "layer_shrunk", "layer_blown_up", "bias_minus_100", "rate_x_1000", "rate_/_10000", "labels_shuffled", "inputs_x_255",
    "nan_planted", "batch_of_2", "forgetful", "few_examples", "rate_x_30",
}  # fmt: skip
"""Faults that change numbers and leave the graph of the net as it is."""
DRAWN = 3
"""Of the faults that a net can have one in so many is planted, drawn by lot for each net and seed."""
FEW = 8
"""Faults that no more nets than this can have are all planted."""
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
    """All cases, net by net, those that share a graph in a row.

    The nets come in an order that has nothing to do with how they turn out, so that what is recorded when time runs out is
    a fair sample of all of them.

    Args:
        healthy: number of seeds of healthy runs, by half.
        sick: the same with a fault.
    """
    found = []
    rare = {fault.name for fault in FAULTS.values() if sum(map(fault.fits, SUBJECTS.values())) <= FEW}
    for subject in SUBJECTS.values():
        first = int(subject.half == "unseen")  # the halves share no seed
        found += [Case(subject.half, subject.name, "", 2 * seed + first) for seed in range(healthy[subject.half])]
        for fault in sorted((f for f in FAULTS.values() if f.fits(subject)), key=lambda f: f.name not in SAME_GRAPH):
            drawn = (Case(subject.half, subject.name, fault.name, 2 * seed + first) for seed in range(sick[subject.half]))
            found += [case for case in drawn if case.fault in rare or _lot(case.key) % DRAWN == 0]
    for half in healthy:
        for name in CONTROLS:
            found += [Case(half, f"{name}_{half}", "", 2 * seed + (half == "unseen")) for seed in range(healthy[half])]
    return sorted(found, key=lambda case: _lot(case.net))


def _lot(name: str) -> int:
    """A number that a name alone decides, the same on each machine."""
    return zlib.crc32(name.encode())


class Bench:
    """A compiled net on which one case after another is trained from fresh weights, so that it is traced only once."""

    def __init__(self, case: Case) -> None:
        keras.backend.clear_session()
        self.case, self.monitor = case, None
        self._set_up(case)
        self.model.optimizer.build(self.model.trainable_variables)
        self.fresh_optimizer = [np.array(v) for v in self.model.optimizer.variables]

    def _set_up(self, case: Case) -> None:
        keras.utils.set_random_seed(case.seed)
        self.subject, self.fault = SUBJECTS.get(case.net), FAULTS.get(case.fault)
        if self.subject is None:
            healthy = CONTROLS[case.net.removesuffix(f"_{case.half}")](case.half == "unseen")
            self.task, self.model = healthy.task, healthy.model
            self.epochs, self.batch, self.rate = healthy.epochs, healthy.batch, None
            return
        random = _random(case)
        self.task = self.subject.task()
        plan = Plan() if self.fault is None else self.fault.plan(self.subject, random)
        self.model = self.subject.build(plan, self.task)
        self.epochs, self.batch, self.rate = self.subject.epochs, self.subject.batch, self.subject.rate
        usual = {"class_name": self.subject.optimizer, "config": {"learning_rate": self.rate}}
        optimizer = keras.optimizers.get(plan.optimizer or usual)
        loss = "mse" if case.fault == "mse_of_classes" else self.task.loss
        self.model.compile(optimizer, loss, metrics=["accuracy"] if self.task.kind != "regression" else [])

    def fits(self, case: Case) -> bool:
        """Whether a case needs the same graph as the one that the bench was made for."""
        same = case.fault == self.case.fault or {case.fault, self.case.fault} <= SAME_GRAPH
        return case.net == self.case.net and same

    def record(self, case: Case, folder: Path) -> None:
        """Trains a case and leaves its run, and beside it what came out."""
        began = time.time()
        kept = self.model
        self._set_up(case)
        fresh, self.model = self.model, kept
        self.model.set_weights(fresh.get_weights())
        for variable, value in zip(self.model.optimizer.variables, self.fresh_optimizer, strict=True):
            variable.assign(value)
        data = self.task.x, self.task.y
        t = Training(self.subject, self.task, self.model, *data, self.rate, self.batch, _random(case), None)
        if self.fault is not None:
            self.fault.plant(t)
            if self.fault.name in ("gradient_cut", "gradient_faded"):
                t.place = _at_the_cut(self.model)
        if t.rate is not None and t.rate != self.rate:
            self.model.optimizer.learning_rate = t.rate
        gain, trained = self._fit(case, folder, t)
        outcome = asdict(case) | {"gain": gain, "gain_in_training": trained, "place": t.place, "at_start": t.at_start}
        outcome |= {"since": t.since, "kind": self.task.kind, "seconds": round(time.time() - began, 2)}
        (folder / case.key / "outcome.json").write_text(json.dumps(outcome, indent=1))

    def _fit(self, case: Case, folder: Path, t: Training) -> tuple[float, float]:
        """Gain on held-out data and on the data that were trained on."""
        steps = -(-len(t.x) // t.batch)
        epochs = max(1, min(self.epochs, MOST_STEPS // steps)) if t.batch == 2 else self.epochs
        # Half of the runs as they come by default, half sampled evenly.
        every: Any = "auto" if _lot(case.key) % 2 else max(1, steps * epochs // 120)
        monitor = self._monitor(folder / case.key, every)
        x = self.task.x_test if t.scale == 1 else self.task.x_test * t.scale
        given: dict[str, Any] = {"validation_data": (x, self.task.y_test)} if case.seed % 3 != 2 else {}
        given |= {"callbacks": [*t.callbacks, monitor], "verbose": 0}
        self.model.fit(t.x, t.y, batch_size=t.batch, epochs=epochs, **given)
        held_out, own = (self.model.predict(data, batch_size=512, verbose=0) for data in (x, t.x))
        return self.task.gain(held_out), replace(self.task, x_test=t.x, y_test=t.y).gain(own)

    def _monitor(self, folder: Path, every: Any) -> kerasgrad.GradientMonitor:
        """A monitor of a new run with the watched step of the one before, whose tracing takes longer than a training."""
        monitor = kerasgrad.GradientMonitor(folder, update_freq=every, verbose=0)
        monitor.set_model(self.model)
        if self.monitor is not None and monitor._session is not None and self.monitor._train_function is not None:
            monitor._train_function = self.monitor._train_function
            monitor._train_function.session = monitor._session
        self.monitor = monitor
        return monitor


def _random(case: Case) -> np.random.Generator:
    return np.random.default_rng([case.seed, _lot(case.key)])


def _at_the_cut(model: keras.Model) -> str:
    """The last layer with weights that no gradient reaches, or the layer in which next to all of it is lost."""
    names = [layer.name for layer in model.layers]
    cut = next(i for i, name in enumerate(names) if name.startswith(("cut", "fade")))
    if names[cut].startswith("fade"):
        return names[cut]
    return [layer.name for layer in model.layers[:cut] if layer.trainable_variables][-1]
