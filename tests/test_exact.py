"""Every statistic equals its independent twin, over the grid of models."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from grid import BATCH, GRID, Case, slow
from twin import TWINS, Row, backward, kept, named, spread

import kerasgrad

TOLERANCE = 1e-5
NOISE = 1e-6
"""Of the layer's norm: below it a gradient that is zero by structure is rounding noise."""

# Their cells and inner layers run inside a loop, where nobody can stand; the package says so in `not_examined`.
PER_STEP = (keras.layers.RNN, keras.layers.TimeDistributed)

DEEP = {"mobilenet", "resnet50v2"}
"""So deep that a graph and an eager step differ by more than the tolerance (1.4e-5 in MobileNetV2's first gradients), with
nobody watching; there the step runs eagerly too, like the twin, so that only the statistics are compared."""
SLOW = {
    "mobilenet", "resnet50v2", "densenet", "transformer", "resnet_plain", "mlp_residual", "gru", "frozen", "bidirectional",
}  # fmt: skip


def first(data: Any) -> Any:
    return keras.tree.map_structure(lambda a: a[:BATCH], data)


def one_step(case: Case, **kwargs: Any) -> kerasgrad.Run:
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0, **kwargs)
    case.model.fit(first(case.x), first(case.y), batch_size=BATCH, epochs=1, shuffle=False, verbose=0, callbacks=[monitor])
    assert monitor.failure is None
    return monitor.run


def close(name: str, got: float, want: float, scale: float, floor: float = 0.0) -> None:
    if not scale:
        assert got == np.float32(want), f"{name}: {got} instead of {want}"  # counts are exact
    else:
        assert abs(got - want) <= TOLERANCE * scale + floor + 1e-37, f"{name}: {got} instead of {want}, scale {scale}"


GRADIENTS = [name for name in kerasgrad.catalogue.names("variable") if name in TWINS and "clipped" not in name]
ACTIVATIONS = [name for name in kerasgrad.catalogue.names("layer") if name.startswith("activation_")]


def check_variables(run: kerasgrad.Run, model: keras.Model, gradients: dict[int, Any], before: dict[int, Any]) -> None:
    """The rows of the variables, and those of the layers as the variables of each taken together."""
    by_path = {named(model, v): v for v in model.trainable_variables}
    together: dict[str, list[tuple[Any, Any, Any]]] = {}
    floors = {path: 0.0 for path in run.layers}
    for path, owner in zip(run.variables, run.schema.owners, strict=True):
        g = gradients[id(by_path[path.partition("#")[0]])]
        if g is not None:
            floors[run.layers[owner]] = max(floors[run.layers[owner]], NOISE * float(np.linalg.norm(g)))
    for path, owner in zip(run.variables, run.schema.owners, strict=True):
        variable = by_path[path.partition("#")[0]]
        triple = gradients[id(variable)], before[id(variable)], variable.numpy().astype(np.float64)
        together.setdefault(run.layers[owner], []).append(triple)
        check_gradient(
            f"{path}",
            {n: run.variable(n)[path][0] for n in kerasgrad.catalogue.names("variable")},
            [triple],
            floors[run.layers[owner]],
        )
    for path, triples in together.items():
        row = {n: run.layer(n)[path][0] for n in kerasgrad.catalogue.names("variable")}
        check_gradient(path, row, triples, floors[path])


def check_gradient(path: str, row: dict[str, float], triples: list[tuple[Any, Any, Any]], floor: float) -> None:
    given = [g.reshape(-1) for g, _, _ in triples if g is not None]
    weights = np.concatenate([w.reshape(-1) for _, w, _ in triples])
    update = np.concatenate([(after - w).reshape(-1) for _, w, after in triples])
    of_row = Row(gradient=np.concatenate(given) if given else None, weight=weights, update=update)
    assert given or (np.isnan(row["gradient_norm"]) and np.isnan(row["gradient_zeros"])), path
    for name in GRADIENTS if given else ["weight_norm"]:
        twin = TWINS[name]
        if name == "gradient_zeros":  # whether rounding noise is exactly zero is chance
            noise = sum(g.size for g in given if np.linalg.norm(g) <= floor) / of_row.gradient.size
            assert abs(row[name] - np.float32(twin.of(of_row))) <= noise + undecided(of_row.gradient), path
        elif name == "update_ratio" and np.isnan(twin.of(of_row)):
            assert np.isnan(row[name]), path
        else:
            close(f"{path} {name}", row[name], twin.of(of_row), twin.scale(of_row), floor if "gradient" in name else 0.0)


def check_layers(run: kerasgrad.Run, outputs: dict[str, Any], signals: dict[str, Any], model: keras.Model) -> None:
    by_path = {named(model, layer): layer for layer in model._flatten_layers(include_self=False)}
    rows = {path: path if path in outputs else path.rpartition("/")[2] for path in run.layers}
    per_step = {
        id(sub)
        for outer in by_path.values()
        if isinstance(outer, PER_STEP)
        for sub in outer._flatten_layers(include_self=False)
    }
    for path in outputs:  # whatever was called has a row, or a reason, or hands on what a layer inside it gave
        container = any(id(sub) != id(by_path[path]) for sub in by_path[path]._flatten_layers())
        assert path in rows.values() or path in run.not_examined or container or id(by_path[path]) in per_step, path
    examined = 0
    for path in run.layers:
        key = rows[path]
        if key not in outputs:
            assert f"{path}: activation" in run.not_examined, f"{path} is missing without a reason"
            continue
        examined += 1
        masks = [getattr(t, "mask_then", None) for t in outputs[key]]
        arrays = [t.numpy() for t in outputs[key]]
        flat = kept(arrays, masks)
        for name in ACTIVATIONS:
            want, scale = TWINS[name].of(Row(activation=flat)), TWINS[name].scale(Row(activation=flat))
            if name == "activation_zeros":
                assert abs(run.layer(name)[path][0] - np.float32(want)) <= undecided(flat), path
                continue
            close(f"{path} {name}", run.layer(name)[path][0], want, scale, 1e-12)
        given = [(s, m) for s, m in zip(signals[key], masks, strict=True) if s is not None]
        if given:
            s = kept([s for s, _ in given], [m for _, m in given])
            rms = float(np.sqrt(np.mean(np.square(s))))
            close(f"{path} signal_rms", run.layer("signal_rms")[path][0], rms, rms)
        check_units(run, path, arrays, masks, given)
    assert examined


def undecided(values: Any) -> float:
    """Share of entries so small that rounding decides whether they are exactly zero: twin and step are two programs."""
    size = np.abs(values)
    return float(((size > 0) & (size <= 1e-6 * size.max(initial=0.0))).mean())


def check_units(run: kerasgrad.Run, path: str, arrays: list[Any], masks: list[Any], given: list[Any]) -> None:
    kind = run.schema.activations[run.layers.index(path)]
    flat = kept(arrays, masks)
    if kind in ("tanh", "sigmoid"):
        flatness = np.abs(flat) if kind == "tanh" else np.abs(2 * flat - 1)
        near = (np.abs(flatness - 0.97) < 1e-5).mean()
        assert abs(run.layer("saturated_fraction")[path][0] - (flatness > 0.97).mean()) <= near + 1e-6
    if path in run.schema.units:
        units = run.schema.units[path]

        def magnitude(pairs: list[Any]) -> Any:
            sums = np.zeros(units)
            for values, mask in pairs:
                v = np.abs(np.asarray(values, np.float64)) * (1 if mask is None else spread(mask, values))
                sums += v.reshape(-1, units).sum(axis=0)
            return sums

        activity = magnitude(list(zip(arrays, masks, strict=True)))
        assert run.layer("dead_fraction")[path][0] == np.float32((activity == 0).mean())
        assert abs(run.layer("dormant_fraction")[path][0] - (activity <= 0.025 * activity.mean()).mean()) < 1e-6
        if given:
            signal = magnitude(given)
            assert abs(run.layer("dormant_signal_fraction")[path][0] - (signal <= 0.01 * signal.mean()).mean()) < 1e-6


@pytest.mark.parametrize("name", [slow(n) if n in SLOW else n for n in GRID if n != "gan"])
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_equals_twin(name: str) -> None:
    case = GRID[name](run_eagerly=True) if name in DEEP else GRID[name]()
    model = case.model
    model(first(case.x))
    states = [v.numpy() for v in model.variables]
    loss, gradients, outputs, signals = backward(
        model, first(case.x), keras.tree.map_structure(tf.convert_to_tensor, first(case.y))
    )
    for variable, value in zip(model.variables, states, strict=True):
        variable.assign(value)  # dropout seeds and moving averages too
    before = {id(v): v.numpy().astype(np.float64) for v in model.trainable_variables}
    run = one_step(case)
    check_variables(run, model, {id(v): g for v, g in zip(model.trainable_variables, gradients, strict=True)}, before)
    check_layers(run, outputs, signals, model)
    close("loss", run.overall("loss")[0], float(loss), abs(float(loss)))
    assert run.overall("examples")[0] == len(keras.tree.flatten(first(case.x))[0])
    total = np.sqrt(sum(np.square(g).sum() for g in gradients if g is not None))
    close("gradient_norm", run.overall("gradient_norm")[0], float(total), float(total))
