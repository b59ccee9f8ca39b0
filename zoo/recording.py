"""Trains a recipe under the monitor and keeps what came of it: the run itself, facts, and perhaps the weights."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event

import kerasgrad
from kerasgrad.events import format, records
from kerasgrad.monitoring.schedule import Logarithmic
from zoo import tasks
from zoo.baselines import EVENTS, FACTS, WEIGHTS
from zoo.recipes import Recipe, recipe
from zoo.tasks.split import Examples, Split
from zoo.untrained import NUMBERS, build, compile_for

EVENT_BYTES = 180_000
"""About so large are the samples of an event file; names of rows and units come on top. The wheel holds dozens."""

SEEN_AGAIN = 1000
"""The final loss is that over so many of the training examples."""

FIXED = {"mnist", "fashion_mnist", "cifar10"}
"""Tasks that come with their split."""

_STATISTICS = {of: len(kerasgrad.catalogue.names(of)) for of in ("layer", "variable")}


class _StepTimer(keras.callbacks.Callback):
    """How long the processors worked at each step, in seconds: a clock would count other programs too.

    The median leaves out the few that were watched.
    """

    def __init__(self) -> None:
        super().__init__()
        self.async_safe = True
        self.seconds: list[float] = []
        self._begun = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._begun = time.process_time()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seconds.append(time.process_time() - self._begun)


def record(name: str, folder: str | os.PathLike[str], *, steps: int | None = None, verbose: int | str = 0) -> Path:
    """Trains a recipe and writes its baseline.

    Args:
        name: of the recipe.
        folder: where the baseline's own folder, called `name`, goes; one that is there is replaced when all is done.
        steps: of training, for less than the recipe says.
        verbose: of `fit`; 1 for a progress bar.

    Returns:
        The baseline's folder.

    Raises:
        KeyError: there is no such recipe; the message lists the nearest names.
    """
    made = recipe(name)
    seen, held_out = _data(made)
    keras.backend.clear_session()  # what was trained before in this process
    keras.utils.set_random_seed(made.seed)
    model = compile_for(build(made), made)
    with tempfile.TemporaryDirectory() as work:
        with contextlib.chdir(work):  # the run's facts name its directory: not one of this machine
            run, step_seconds = _train(name, model, seen, steps or made.steps, verbose)
        kept = Path(work) / name
        events = next((kept / "gradients").iterdir())
        events.rename(kept / EVENTS)  # it had the machine's name
        compact(kept / EVENTS)
        if made.weights:
            bare = build(made)  # a compiled one would save its optimizer too, thrice the size
            bare.set_weights(model.get_weights())
            bare.save_weights(kept / WEIGHTS)
        facts = _facts(name, made, steps or made.steps, model, run) | _scores(model, made, seen, held_out)
        facts["timing"] = _timing(model, seen[0][: made.batch], step_seconds)
        (kept / FACTS).write_text(json.dumps(facts, indent=1) + "\n")
        target = Path(folder) / name
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(kept, target)
    return target


def compact(file: Path) -> None:
    """Leaves out of an event file what a later record in it says anew: of facts, findings and units the last counts.

    What TensorBoard has to know of a tag stands at its first record only, so that it goes over to the last one.
    """
    with file.open("rb") as read:
        recorded = [Event.FromString(payload) for payload in records.read(read, _refuse)]
    last = {value.tag: place for place, event in enumerate(recorded) for value in event.summary.value}
    described = {value.tag: value.metadata for event in reversed(recorded) for value in event.summary.value}
    with file.open("wb") as written:
        for place, event in enumerate(recorded):
            values = [v for v in event.summary.value if not format.is_renewed(v.tag) or last[v.tag] == place]
            if len(values) < len(event.summary.value):
                del event.summary.value[:]
                event.summary.value.extend(values)
            for value in event.summary.value:
                if format.is_renewed(value.tag):
                    value.metadata.CopyFrom(described[value.tag])
            if event.file_version or values:
                records.write(written, event.SerializeToString())


def _refuse(damage: str) -> None:
    raise ValueError(f"A file that was just written cannot be read: {damage}")


def _data(made: Recipe) -> Split:
    """The task's examples; the seed is that of the recipe, where the task is drawn or split by one."""
    seed = {} if made.task in FIXED else {"seed": made.seed}
    data: Split = getattr(tasks, made.task)(**seed, **made.options)
    return data


def _train(
    name: str, model: keras.Model, seen: Examples, steps: int, verbose: int | str
) -> tuple[kerasgrad.Run, list[float]]:
    """The run, in the directory called `name`, and the seconds of each step."""
    made = recipe(name)
    schedule = _schedule(model, steps)
    samples = sum(schedule.due(step, step) for step in range(steps))
    # Dead is what did not fire in half of what is seen of it.
    window = max(2, samples // 2)
    monitor = kerasgrad.GradientMonitor(name, update_freq=schedule, layers=_tells, window=window, verbose=0)
    timer = _StepTimer()
    data = tf.data.Dataset.from_tensor_slices(seen).shuffle(len(seen[0]), made.seed).repeat().batch(made.batch, True)
    model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=verbose, callbacks=[monitor, timer])
    return monitor.run, timer.seconds


def _tells(layer: keras.Layer) -> bool:
    """Whether a layer has something to tell: it has weights, or its units can die. Sums and shapes make files large."""
    return bool(layer.variables) or isinstance(layer, keras.layers.Activation | keras.layers.ReLU)


def _schedule(model: keras.Model, steps: int) -> Logarithmic:
    """Samples as close together as the size of the event file allows."""
    rows = sum(_tells(layer) for layer in model._flatten_layers(include_self=False))
    a_sample = 4 * (rows * _STATISTICS["layer"] + len(model.trainable_variables) * _STATISTICS["variable"]) + 3000
    for per_decade in range(50, 1, -1):
        schedule = Logarithmic(per_decade)
        if sum(schedule.due(step, step) for step in range(steps)) * a_sample <= EVENT_BYTES:
            return schedule
    return Logarithmic(2)


def _facts(name: str, made: Recipe, steps: int, model: keras.Model, run: kerasgrad.Run) -> dict[str, Any]:
    with np.errstate(all="ignore"):
        return {
            "name": name,
            "recipe": made.to_dict() | {"steps": steps},
            "versions": {"kerasgrad": kerasgrad.__version__, "keras": keras.__version__, "tensorflow": tf.__version__},
            "parameters": sum(math.prod(v.shape) for v in model.trainable_variables),
            "samples": len(run),
            "depth_ratio_at_start": _number(run.overall("depth_ratio")[0]),
            "depth_ratio": _number(run.overall("depth_ratio")[-1]),
            "decay_factor_at_start": _number(run.overall("decay_factor")[0]),
            "dead_fraction": _number(run.overall("dead_fraction")[-1]),
        }


def _scores(model: keras.Model, made: Recipe, seen: Any, held_out: Any) -> dict[str, Any]:
    """Final loss, and what it gives on examples that it has not seen, beside the best constant prediction."""
    (x, y), (x_test, y_test) = seen, held_out
    again = model.evaluate(x[:SEEN_AGAIN], y[:SEEN_AGAIN], made.batch, verbose=0, return_dict=True)
    predicted = model.predict(x_test, made.batch, verbose=0)
    scores: dict[str, Any] = {"loss": _number(again["loss"])}
    if made.task in NUMBERS:
        error, constant = np.mean(np.square(predicted - y_test)), np.mean(np.square(y.mean(0) - y_test))
        return scores | {"held_out": {"squared_error": _number(error), "constant": _number(constant)}}
    labels = predicted.argmax(-1)
    common = np.bincount(y.reshape(-1)).argmax()
    accuracy, constant = np.mean(labels == y_test), np.mean(common == y_test)
    found = {"accuracy": _number(accuracy), "f1": _number(f1(labels, y_test)), "constant": _number(constant)}
    return scores | {"held_out": found}


def f1(predicted: Any, true: Any) -> float:
    """Macro F1: `2 tp / (2 tp + fp + fn)` of each class that occurs in either, averaged.

    Args:
        predicted: classes, integers of any shape.
        true: classes, of the same shape.
    """
    both = [
        2 * np.sum((predicted == c) & (true == c)) / (np.sum(predicted == c) + np.sum(true == c))
        for c in np.union1d(predicted, true)
    ]
    return float(np.mean(both))


def _timing(model: keras.Model, batch: Any, step_seconds: list[float]) -> dict[str, float]:
    """Medians of processor time, as multiples of a reference layer on the same machine: `Dense(512)` on `[512, 512]`."""
    dense, square = keras.layers.Dense(512), tf.ones((512, 512))
    reference = _median_seconds(lambda: dense(square))
    return {
        "reference_seconds": float(f"{reference:.3g}"),
        "step": round(statistics.median(step_seconds) / reference, 2),
        "prediction": round(_median_seconds(lambda: model.predict_on_batch(batch)) / reference, 2),
    }


def _median_seconds(act: Callable[[], Any], times: int = 20) -> float:
    act()  # the first call builds
    seconds = []
    for _ in range(times):
        began = time.process_time()
        act()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def _number(value: Any) -> float | None:
    """Six digits for JSON; nothing for what is not finite, which JSON does not have."""
    return float(f"{float(value):.6g}") if np.isfinite(value) else None
