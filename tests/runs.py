"""Runs made by hand: a healthy one, of which a test changes just what it is about."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgrad import catalogue
from kerasgrad.run import Run, Sample, Schema

LAYERS = 6
WIDTH = 64

Changes = dict[str, Any]


def healthy(samples: int = 80, layers: int = LAYERS, activation: str = "relu") -> Changes:
    """The tables of a run that learns: float64 `[samples, rows]` by `(of, statistic)`."""
    random = np.random.default_rng(0)

    def rows(value: float, count: int = layers) -> Any:
        return value * np.exp(0.1 * random.normal(size=(samples, count)))

    tables: Changes = {("layer", n): np.full((samples, layers), np.nan) for n in catalogue.names("layer")}
    tables |= {("variable", n): np.full((samples, 2 * layers), np.nan) for n in catalogue.names("variable")}
    tables |= {("overall", n): np.full(samples, np.nan) for n in catalogue.names("overall")}
    for name, value in {
        "signal_rms": 1e-2, "activation_mean": 0.4, "activation_std": 0.8, "activation_zeros": 0.4, "gradient_norm": 0.3,
        "update_norm": 8e-3, "update_ratio": 1e-3, "weight_norm": 8.0,
    }.items():  # fmt: skip
        tables["layer", name] = rows(value)
    for name in ("activation_nonfinite", "gradient_nonfinite", "dead_fraction", "dormant_fraction"):
        tables["layer", name] = np.zeros((samples, layers))
    kernels = np.tile([1.0, 0.0], layers)
    # Glorot: rms(w) sqrt(fan-in) = 1, so that the norm is sqrt(units); biases are small.
    tables["variable", "weight_norm"] = rows(1.0, 2 * layers) * np.where(kernels, np.sqrt(WIDTH), 0.1)
    # Inputs of RMS 1: the kernel's gradient is sqrt(fan-in) times as long as the bias's.
    tables["variable", "gradient_norm"] = rows(0.03, 2 * layers) * np.where(kernels, np.sqrt(WIDTH), 1.0)
    tables["variable", "gradient_zeros"] = np.zeros((samples, 2 * layers))
    tables["variable", "gradient_nonfinite"] = np.zeros((samples, 2 * layers))
    tables["overall", "loss"] = np.linspace(2.3, 0.1, samples)
    tables["overall", "gradient_norm"] = np.linspace(1.0, 0.2, samples)
    tables["overall", "loss_scale_overflow"] = np.zeros(samples)
    tables["overall", "learning_rate"] = np.full(samples, 1e-3)
    if activation in ("tanh", "sigmoid"):
        tables["layer", "saturated_fraction"] = rows(0.05)
    return tables


def made(
    tables: Changes, facts: Changes | None = None, activation: str = "relu", last: str = "softmax", units: int = 10
) -> Run:
    """The run of these tables. Layers are `layer0` ... and have a kernel and a bias each."""
    samples, layers = tables["layer", "signal_rms"].shape
    paths = tuple(f"layer{i}" for i in range(layers))
    variables = tuple(f"{path}/{what}" for path in paths for what in ("kernel", "bias"))
    sizes = [WIDTH * WIDTH, WIDTH] * (layers - 1) + [WIDTH * units, units]
    kinds = (activation,) * (layers - 1) + (last,)
    followed = dict.fromkeys(paths[:-1], WIDTH) if activation == "relu" else {}
    schema = Schema(paths, variables, tuple(i // 2 for i in range(2 * layers)), tuple(sizes), kinds, followed)
    run = Run(schema, {"model": "made", "loss_function": "sparse_categorical_crossentropy"} | (facts or {}))
    for step in range(samples):
        of = {"layer": {}, "variable": {}, "overall": {}}
        for (kind, name), values in tables.items():
            of[kind][name] = values[step].astype(np.float32) if kind != "overall" else float(values[step])
        run.append(Sample(step, float(step), of["layer"], of["variable"], of["overall"]))
    return run


def stuck(tables: Changes, loss: float = 2.3) -> Changes:
    """The same without any learning."""
    tables["overall", "loss"] = np.full(len(tables["overall", "loss"]), loss)
    return tables
