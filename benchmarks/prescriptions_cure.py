"""Claim: what `prescribe` finds cures sick nets, and healthy ones are left alone.

    python benchmarks/prescriptions_cure.py run        # what is not in logs/prescriptions yet; exit status 3: there is more
    python benchmarks/prescriptions_cure.py            # counts what is there, writes JSON and the README's part

Cured: trained as long as its healthy twin, the net has at least 90 % of the twin's gain on held-out examples, and no warning
that it had without the remedy. The gain is accuracy over that of the most common class, or the share of variance explained.
Nets that are not sick (90 % of the twin without a remedy) are not counted, nor faults that no remedy of the list can cure:
shuffled labels, a NaN that is planted in the middle, a gradient that is cut, a squared error for classes. A layer
that is made a thousand times smaller is left out because nets of this size learn all the same.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import argparse
import json
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from published import publish

SEEDS = 3
SHARE = 0.9
STEPS = 150
GRAPHS = 12
"""Cases in one process; TensorFlow keeps the memory of all that it ever traced."""
AGAIN = 3
"""Exit code that asks to be started again."""

PLANTED = {
    "layer_blown_up": ("digits_he5", "image_conv"),
    "bias_minus_100": ("digits_he5", "cancer_relu2"),
    "all_sigmoid": ("digits_he5", "digits_he10"),
    "rate_x_1000": ("digits_relu2", "moons_relu3"),
    "rate_/_10000": ("digits_relu2", "rows_gru"),
    "inputs_x_255": ("digits_tanh3", "friedman_relu3"),
    "softmax_on_one_unit": ("cancer_relu2", "moons_relu3"),
    "relu_output": ("digits_relu2", "cancer_relu2"),
    "zero_weights": ("digits_he5", "friedman_relu3"),
    "large_weights": ("digits_tanh3", "image_conv"),
}
"""Faults that a remedy can cure, and the nets of `detection` that they are planted into."""
ZOO = {
    "plain.sigmoid": "plain.relu",
    "plain.tanh_normal": "plain.tanh",
    "plain.tanh_small": "plain.tanh",
    "plain.relu_negative_bias": "plain.relu",
    "plain.relu_glorot.sgd": "plain.relu.sgd",
    "simple_rnn.adding": "gru.adding",
    "lstm.no_bias.adding": "lstm.adding",
}
"""Recipes of the zoo that are recorded as sick, and their healthy twins."""
ADDING, DEPTH = 30, 12
"""Steps of the adding problem here, in the place of 100, and layers of plain nets, of 20: a case has to be short."""


@dataclass
class Training:
    """A compiled net with what it is trained on.

    Attributes:
        gain: from predictions for `x_test` to the gain.
    """

    model: Any
    x: Any
    y: Any
    x_test: Any
    y_test: Any
    steps: int
    batch: int
    gain: Callable[[Any], float]

    def fit(self, model: Any = None, batch: int | None = None) -> tuple[float, list[str]]:
        """The gain after the whole training, and the rules that warn at its end. As many examples whatever the batch."""
        import kerasgrad
        from kerasgrad.finding import Severity

        model, batch = model or self.model, batch or self.batch
        steps = -(-len(self.x) // batch)
        epochs = max(1, round(self.steps * self.batch / len(self.x)))
        monitor = kerasgrad.GradientMonitor(update_freq=max(1, steps * epochs // 120), rules=(), verbose=0)
        model.fit(self.x, self.y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[monitor])
        gain = self.gain(model.predict(self.x_test, batch_size=512, verbose=0))
        return gain, [f.rule for f in kerasgrad.diagnose(monitor.run).of(Severity.WARNING)]


def planted(net: str, fault: str, seed: int) -> Training:
    """A net of `detection`, with a fault or, if that is `""`, without."""
    import keras
    import numpy as np
    from detection.faults import FAULTS
    from detection.faults import Training as Case
    from detection.subjects import SUBJECTS, Plan

    keras.utils.set_random_seed(seed)
    subject, task = SUBJECTS[net], SUBJECTS[net].task()
    random = np.random.default_rng([seed, zlib.crc32(f"{net} {fault}".encode())])
    plan = FAULTS[fault].plan(subject, random) if fault else Plan()
    model = subject.build(plan, task)
    t = Case(subject, task, model, task.x, task.y, subject.rate, subject.batch, random, None)
    if fault:
        FAULTS[fault].plant(t)
    optimizer = keras.optimizers.get({"class_name": subject.optimizer, "config": {"learning_rate": t.rate}})
    model.compile(optimizer, task.loss, metrics=["accuracy"] if task.kind != "regression" else [])
    x_test = task.x_test * 255.0 if fault == "inputs_x_255" else task.x_test
    steps = subject.epochs * -(-len(t.x) // subject.batch)
    return Training(model, t.x, t.y, x_test, task.y_test, steps, t.batch, task.gain)


def of_the_zoo(name: str, seed: int) -> Training:
    """A recipe of the zoo."""
    import dataclasses

    import keras
    import numpy as np

    from zoo import tasks
    from zoo.recipes import recipe
    from zoo.untrained import build, compile_for

    made = dataclasses.replace(recipe(name), seed=seed)
    if made.task == "adding":
        overrides = {**made.overrides, "input_shape": (ADDING, 2)}
        made = dataclasses.replace(made, overrides=overrides, options={"steps": ADDING}, steps=1000)
    else:
        made = dataclasses.replace(made, overrides={**made.overrides, "depth": DEPTH})
    keras.utils.set_random_seed(seed)
    (x, y), (x_test, y_test) = getattr(tasks, made.task)(**made.options)
    model = compile_for(build(made), made)

    def gain(predicted: Any) -> float:
        if made.task == "adding":
            return float(1 - np.mean(np.square(predicted - y_test)) / np.var(y_test))
        right, most = (predicted.argmax(-1) == y_test).mean(), np.bincount(y).argmax()
        constant = (y_test == most).mean()
        return float((right - constant) / (1 - constant)) if np.isfinite(predicted).all() else float("nan")

    return Training(model, x, y, x_test, y_test, made.steps, made.batch, gain)


Make = Callable[[int], Training]


def cases() -> dict[str, tuple[Make, str]]:
    """By name a net and the name of its healthy twin; `""` for a healthy one."""
    found: dict[str, tuple[Make, str]] = {}
    for fault, nets in PLANTED.items():
        for net in nets:
            found[net] = (lambda seed, net=net: planted(net, "", seed), "")
            found[f"{fault} in {net}"] = (lambda seed, net=net, fault=fault: planted(net, fault, seed), net)
    for sick, twin in ZOO.items():
        found[twin] = (lambda seed, twin=twin: of_the_zoo(twin, seed), "")
        found[sick] = (lambda seed, sick=sick: of_the_zoo(sick, seed), twin)
    return found


def run_one(make: Make, seed: int, twin: float | None) -> dict[str, Any]:
    """What came of one case.

    Args:
        make: builds it.
        seed: of its weights.
        twin: gain of the healthy twin; None for a healthy net.
    """
    import kerasgrad

    began = time.process_time()
    case = make(seed)
    outcome: dict[str, Any] = {}
    if twin is not None:
        outcome["twin"] = twin
        outcome["sick"], outcome["warned"] = make(seed).fit()
        if outcome["sick"] >= SHARE * twin:
            return outcome | {"label": "harmless"}
    steps = min(STEPS, case.steps)
    # Held-out examples of the trials are a part of the training's: the test examples are for the score alone.
    found = kerasgrad.prescribe(case.model, case.x, case.y, steps=steps, batch_size=case.batch, verbose=0)
    outcome |= {"trials": found.to_dict(), "best": list(found.best.remedies) if found else [], "reason": found.reason}
    if twin is None:
        gain, warned = make(seed).fit()
        return outcome | {"label": "healthy", "gain": gain, "warned": warned, "seconds": round(time.process_time() - began)}
    outcome["gain"], left = outcome["sick"], outcome["warned"]
    if found:
        outcome["gain"], left = case.fit(found.model, found.best.batch_size)
    outcome["left"] = sorted(set(left) & set(outcome["warned"]))
    cured = outcome["gain"] >= SHARE * outcome["twin"] and not outcome["left"] and bool(found)
    return outcome | {"label": "cured" if cured else "sick", "seconds": round(time.process_time() - began)}


def run_all(folder: Path, chosen: str, seeds: int) -> bool:
    """Runs what is not on disk yet; false if there is more."""
    folder.mkdir(parents=True, exist_ok=True)
    done = 0
    for seed in range(seeds):
        for name, (make, twin) in cases().items():
            if chosen not in name or _path(folder, name, seed).exists():
                continue
            if done >= GRAPHS:
                return False
            done += 1
            if twin and not _path(folder, twin, seed).exists():
                _run_and_keep(folder, twin, cases()[twin][0], seed, None)
            _run_and_keep(folder, name, make, seed, _read(folder, twin, seed)["gain"] if twin else None)
    return True


def _run_and_keep(folder: Path, name: str, make: Make, seed: int, twin: float | None) -> None:
    try:
        outcome = run_one(make, seed, twin)
    except Exception:
        traceback.print_exc()
        outcome = {"label": "failed", "why": traceback.format_exc()[-500:]}
    _path(folder, name, seed).write_text(json.dumps({"case": name, "seed": seed} | outcome, indent=1) + "\n")
    said = {key: outcome.get(key) for key in ("label", "twin", "sick", "gain", "best", "warned", "left", "seconds")}
    print(name, seed, said, flush=True)


def _read(folder: Path, name: str, seed: int) -> dict[str, Any]:
    return json.loads(_path(folder, name, seed).read_text())


def _path(folder: Path, name: str, seed: int) -> Path:
    return folder / f"{name.replace(' ', '-').replace('/', '_')}-{seed}.json"


def report(folder: Path) -> None:
    """Counts, and writes the README's part."""
    from detection.scoring import interval

    outcomes = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    scored = [o for o in outcomes if o["label"] in ("cured", "sick")]
    healthy = [o for o in outcomes if o["label"] == "healthy"]
    changed = [o for o in healthy if o["best"]]
    cured = [o for o in scored if o["label"] == "cured"]
    detected = [o for o in scored if o["trials"]["trials"][0]["warnings"]]
    low, high = interval(len(cured), len(scored))
    gains = [_finite(o["gain"]) - max(0.0, _finite(o["sick"])) for o in scored]
    mean = sum(gains) / max(1, len(gains))
    least = min((gain for o, gain in zip(scored, gains, strict=True) if o in cured), default=0.0)
    lines = [
        f"Cured: {len(cured)} of {len(scored)}: {100 * len(cured) / max(1, len(scored)):.0f} % "
        f"({100 * low:.0f} to {100 * high:.0f}), of those that a rule warned of in the trial "
        f"{len([o for o in cured if o in detected])} of {len(detected)}. "
        f"Mean gain: {100 * mean:.0f} points, least of a cured one {100 * least:.0f}. "
        f"Healthy nets changed: {len(changed)} of {len(healthy)}. Not sick, and not counted: "
        f"{sum(o['label'] == 'harmless' for o in outcomes)}; failed: {sum(o['label'] == 'failed' for o in outcomes)}. "
        f"Run so far: {len(outcomes)} of {SEEDS * len(cases())}.",
        "",
        "| case | cured | gain: twin | sick | with the remedy | remedies |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(o["case"] for o in scored):
        of = [o for o in scored if o["case"] == name]
        cells = ["; ".join(f"{_finite(o[key]):.2f}" for o in of) for key in ("twin", "sick", "gain")]
        best = "; ".join(dict.fromkeys(" + ".join(o["best"]) or "none" for o in of))
        lines.append(f"| {name} | {sum(o['label'] == 'cured' for o in of)} of {len(of)} | {' | '.join(cells)} | {best} |")
    text = "\n".join(lines)
    kept = [{k: v for k, v in o.items() if k != "trials"} for o in outcomes]
    result = {"cured": len(cured), "of": len(scored), "cases": kept}
    publish("prescriptions_cure", "prescriptions", result, text)


def _finite(value: float) -> float:
    return value if value == value else 0.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", default="report", choices=["run", "report"])
    parser.add_argument("--folder", type=Path, default=Path("logs/prescriptions"))
    parser.add_argument("--case", default="", help="only cases whose name has this in it")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    given = parser.parse_args()
    if given.command == "run":
        sys.exit(0 if run_all(given.folder, given.case, given.seeds) else AGAIN)
    report(given.folder)
