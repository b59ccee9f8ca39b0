"""Claim: tracing and stepping grow linearly with layers and parameters; disk and loading stay small.

Residual nets of width 16 with ever more weight layers, dense nets with ever more parameters, each with and without the
monitor, all statistics at every step. Time for one more layer or parameter should not depend on how many there are.

    python benchmarks/cost_grows_linearly.py [--layers 50,100,200,400] [--millions 3,12,50] [--samples 10000]

A thousand layers (`--layers 1000`) take Keras itself some minutes to trace.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from harness import Case, fit, keep, show

import kerasgrad
from kerasgrad import catalogue, events
from kerasgrad.run import Sample, Schema


def residual(layers: int) -> keras.Model:
    """A narrow residual net with so many weight layers."""
    x = inputs = keras.Input((16,))
    for _ in range((layers - 1) // 2):
        branch = keras.layers.Dense(16, activation="relu", kernel_initializer="he_normal")(x)
        x = keras.layers.Add()([x, keras.layers.Dense(16, kernel_initializer="zeros")(branch)])
    return keras.Model(inputs, keras.layers.Dense(10)(x))


def wide(millions: int) -> keras.Model:
    """A dense net of four layers with so many million parameters."""
    width = int((millions * 1e6 / 3) ** 0.5)
    layers = [keras.layers.Dense(width, activation="relu") for _ in range(3)]
    return keras.Sequential([keras.Input((width,)), *layers, keras.layers.Dense(10)])


def grown(model: keras.Model, steps: int) -> dict[str, Any]:
    """Tracing and step of one model, plain and watched."""
    random = np.random.default_rng(0)
    x = random.normal(size=(32 * 4, model.input_shape[1])).astype("float32")
    case = Case(model, x, random.integers(0, 10, len(x)), 32)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    monitor = kerasgrad.GradientMonitor(None, update_freq=1, verbose=0)
    row: dict[str, Any] = {"parameters": model.count_params()}
    for name, callbacks in (("watched", [monitor]), ("plain", [])):
        began = time.perf_counter()
        fit(case, callbacks, 2)
        row[f"start {name}, s"] = round(time.perf_counter() - began, 1)
    plain, watched = [], []
    for _ in range(3):
        plain += list(fit(case, [], steps))
        watched += list(fit(case, [monitor], steps))
    row["step plain, ms"] = round(1e3 * float(np.median(plain)), 2)
    row["step watched / plain"] = round(float(np.median(watched) / np.median(plain)), 3)
    row["peak memory, MiB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return row


def recorded(samples: int, layers: int, of_layers: int, of_variables: int) -> dict[str, Any]:
    """Disk a sample and loading of a run of Dense layers, with so many of the statistics of layers and of variables."""
    names = tuple(f"dense_{i}" for i in range(layers))
    variables = tuple(f"{name}/{part}" for name in names for part in ("kernel", "bias"))
    schema = Schema(names, variables, tuple(np.repeat(range(layers), 2).tolist()), (9,) * 2 * layers, ("relu",) * layers, {})
    random = np.random.default_rng(0)

    def rows(of: Any, count: int, length: int) -> dict[str, Any]:
        return {name: random.random(length, np.float32) for name in catalogue.names(of)[:count]}

    with tempfile.TemporaryDirectory() as folder:
        path = events.new_directory(Path(folder))
        writer = events.Writer(path, schema)
        for step in range(samples):
            layer, variable = rows("layer", of_layers, layers), rows("variable", of_variables, 2 * layers)
            writer.samples(Sample(step, float(step), layer, variable, {}, {}, None).as_batch())
        writer.close()
        size = sum(file.stat().st_size for file in path.iterdir())
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        run = kerasgrad.Run.load(folder)
        seconds = time.perf_counter() - began
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert len(run) == samples
    numbers = of_layers * layers + of_variables * 2 * layers
    return {
        "numbers a sample": numbers,
        "bytes a sample / (4 x numbers)": round(size / samples / (4 * numbers), 3),
        "load, s": round(seconds, 2),
        "more memory, MiB": round(more),
    }


def main() -> None:
    """Measures, prints, stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", default="50,100,200,400")
    parser.add_argument("--millions", default="3,12,50")
    parser.add_argument("--samples", type=int, default=10_000)
    given = parser.parse_args()
    runs = {
        f"{given.samples} samples x 100 layers x 20 statistics, 200 variables x 2": recorded(given.samples, 100, 20, 2),
        f"{given.samples // 5} samples, all statistics of 100 layers and 200 variables": recorded(
            given.samples // 5, 100, 20, 10
        ),
    }
    show("Disk and loading", ["run", *next(iter(runs.values()))], [[name, *row.values()] for name, row in runs.items()])
    results: dict[str, Any] = dict(runs)
    keep(__file__, results)
    rows = {}
    for number in filter(None, given.layers.split(",")):
        rows[f"{number} weight layers"] = grown(residual(int(number)), 20)
        keep(__file__, rows)
        keras.backend.clear_session()
    for number in filter(None, given.millions.split(",")):
        rows[f"{number} million parameters"] = grown(wide(int(number)), 8)
        keep(__file__, rows)
        keras.backend.clear_session()
    if rows:
        columns = list(next(iter(rows.values())))
        show("Growth, all statistics at every step", ["model", *columns], [[n, *r.values()] for n, r in rows.items()])


if __name__ == "__main__":
    main()
