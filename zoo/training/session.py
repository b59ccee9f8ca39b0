"""One training of a recipe, from the beginning or from its last checkpoint on."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import kerasgrad
from zoo.tasks import load_task
from zoo.training import batches, checkpoint, rates
from zoo.training.recipe import Training
from zoo.untrained import build

PAUSE = "PAUSE"
"""A file of this name in the folder of all trainings holds them up until it is gone."""

POLL = 2.0
"""Seconds between two looks at it."""

SAMPLES_PER_DECADE = 12
"""Of the monitor's samples, besides one at the first step of each epoch."""


class Sampling:
    """When the monitor samples: by the training's own count of steps, which does not begin anew after a break."""

    def __init__(self, steps: int) -> None:
        self.steps, self.epoch = steps, 0

    def due(self, step: int, batch: int) -> bool:
        """See `kerasgrad.schedule`."""
        return batch == 0 or kerasgrad.schedule.Logarithmic(SAMPLES_PER_DECADE).due(self.epoch * self.steps + batch, batch)

    def __repr__(self) -> str:
        return f"Sampling(steps={self.steps})"


class _Keeper(keras.callbacks.Callback):
    """After each epoch: the learning curve, the weights, the checkpoint, a pause if one is asked for."""

    def __init__(self, home: Path, progress: dict[str, Any], sampling: Sampling, says: Callable[[str], None]) -> None:
        super().__init__()
        self._home, self._progress, self._sampling, self._says = home, progress, sampling, says
        self._looked = self._held = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        self._sampling.epoch = epoch
        self._began, self._worked, self._held = time.time(), time.process_time(), 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called by Keras."""
        if time.time() - self._looked > POLL:
            self._looked = time.time()
            self._held += _held_up(self._home, self._says)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras, after validation."""
        scores = {name: float(value) for name, value in (logs or {}).items()}
        seconds, worked = time.time() - self._began - self._held, time.process_time() - self._worked
        self._progress["history"].append(scores)
        self._progress["seconds"].append([round(seconds, 2), round(worked, 2)])
        checkpoint.weights(self._home / "epochs" / f"{epoch + 1:03d}.npz", self.model.weights)
        checkpoint.save(self._home / checkpoint.FILE, self.model, self._progress)
        said = ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
        self._says(f"  epoch {epoch + 1}: {said} ({seconds:.0f} s, processors {worked:.0f} s)")


def _held_up(home: Path, says: Callable[[str], None]) -> float:
    """Waits as long as a pause is asked for; gives the seconds."""
    marks, began = [home / PAUSE, home.parents[1] / PAUSE], time.time()
    if any(mark.exists() for mark in marks):
        says(f"  paused: {PAUSE} is there")
        while any(mark.exists() for mark in marks):
            time.sleep(POLL)
        says("  goes on")
    return time.time() - began


def train(
    name: str, made: Training, folder: Path, *, seed: int = 0, watched: bool = True, says: Callable[[str], None] = print
) -> dict[str, Any]:
    """Trains a recipe with one seed; goes on from its last checkpoint if there is one.

    Args:
        name: of the recipe.
        made: the recipe.
        folder: of all trainings; this one is in `<name>/seed<seed>` there.
        seed: of weights, order and augmentation.
        watched: whether the monitor records the run.
        says: what to do with lines about the progress.

    Returns:
        What is known of the training, see `facts`.

    Raises:
        ValueError: the checkpoint in the folder is of another recipe.
    """
    home = folder / name / f"seed{seed}"
    home.mkdir(parents=True, exist_ok=True)
    data = load_task(made.task, **made.options)
    (x, y), held_out = data
    steps = batches.epoch_steps(made, len(x))
    model = compiled(made, steps, seed)
    progress = begun(home, made, model)
    first = len(progress["history"])
    _held_up(home, says)
    says(f"{name}, seed {seed}: {made.model} on {made.task}, epochs {first + 1} to {made.epochs} of {steps} steps")
    if first < made.epochs:
        sampling = Sampling(steps)
        keeper = _Keeper(home, progress, sampling, says)
        stream = batches.dataset(made, x, y, seed=seed, first=first)
        callbacks = [*_monitors(home, first, sampling, watched), keeper]
        held_out = held_out if held_out[1] is not None else held_out[:1]
        model.fit(
            stream, epochs=made.epochs, initial_epoch=first, steps_per_epoch=steps, shuffle=False, verbose=0,
            validation_data=held_out, validation_batch_size=made.batch, callbacks=callbacks,
        )  # fmt: skip
    return progress | facts(name, made, model, data, seed)


def compiled(made: Training, steps: int, seed: int) -> keras.Model:
    """The model of a recipe with its optimizer, before the first step; `steps` are those of an epoch."""
    keras.backend.clear_session()
    keras.config.set_dtype_policy(made.precision)
    keras.utils.set_random_seed(seed)
    model = build(made)
    metrics = [keras.metrics.get(dict(metric)) if isinstance(metric, dict) else metric for metric in made.metrics]
    optimizer = rates.optimizer(made, steps * made.epochs)
    own = {} if optimizer is None else {"optimizer": optimizer}
    loss = {} if made.loss is None else {"loss": made.loss}
    model.compile(**own, **loss, metrics=metrics or None, jit_compile=made.compiled)
    if optimizer is not None:
        optimizer.build(model.trainable_variables)
    return model


def begun(home: Path, made: Training, model: keras.Model) -> dict[str, Any]:
    """What was reached before; the state is in the model then."""
    path = home / checkpoint.FILE
    if not path.is_file():
        return {"recipe": made.to_dict(), "history": [], "seconds": [], "sessions": [0]}
    progress = checkpoint.load(path, model)
    if progress["recipe"] != (now := as_json(made.to_dict())):
        changed = sorted(key for key in now if progress["recipe"].get(key) != now[key])
        raise ValueError(
            f"The recipe has changed since the checkpoint: {', '.join(changed)}. Move it away. Received: {path}"
        )
    if (first := len(progress["history"])) < made.epochs:
        progress["sessions"] = [session for session in progress["sessions"] if session < first] + [first]
    return progress


def as_json(what: Any) -> Any:
    """What comes back out of JSON: lists for tuples."""
    return json.loads(json.dumps(what))


def _monitors(home: Path, first: int, sampling: Sampling, watched: bool) -> list[Any]:
    """The monitor, with a directory of its own for each session: what came after the checkpoint is trained again."""
    if not watched:
        return []
    runs = home / "runs"
    for old in runs.glob("from*"):
        if int(old.name.removeprefix("from")) >= first:
            shutil.rmtree(old)
    return [kerasgrad.GradientMonitor(runs / f"from{first:03d}", update_freq=sampling, verbose=0)]


def facts(name: str, made: Training, model: keras.Model, data: Any, seed: int) -> dict[str, Any]:
    """What a record says besides the curves: recipe, versions, machine, data, parameters."""
    return {
        "name": name,
        "seed": seed,
        "parameters": int(sum(np.prod(v.shape) for v in model.trainable_variables)),
        "examples": [len(data[0][0]), len(data[1][0])],
        "data": batches.checksum(data),
        "versions": {
            "kerasgrad": kerasgrad.__version__, "keras": keras.__version__, "tensorflow": tf.__version__,
            "numpy": np.__version__, "python": platform.python_version(),
        },
        "machine": {
            "processor": _processor(), "cores": os.cpu_count(),
            "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        },
    }  # fmt: skip


def _processor() -> str:
    """Its name, as Linux has it."""
    known = Path("/proc/cpuinfo")
    names = [line for line in known.read_text().splitlines() if line.startswith("model name")] if known.is_file() else []
    return names[0].partition(": ")[2] if names else platform.machine()
