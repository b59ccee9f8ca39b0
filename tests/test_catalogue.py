"""Every statistic of the catalogue, from 1e-30 to 1e30, against its twin; and statistics of a user's own."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from twin import OVERALL_TWINS, TWINS, Row, Twin

import kerasgrad
from kerasgrad import catalogue
from kerasgrad.catalogue import Moment, Statistic, update_cosine
from kerasgrad.metadata import Schema
from kerasgrad.monitoring.instrument import Instrument
from kerasgrad.monitoring.recorder import Recorder, Taken
from kerasgrad.observation import Activation, LayerSeen, Observation, Part, VariableSeen
from kerasgrad.run import Run
from kerasgrad.statistics.own_moments import Previous

TOLERANCE = 1e-5
LAYERS, UNITS, EXAMPLES = 4, 8, 6
KINDS = (Activation("relu", watched=True), Activation("tanh", saturates="tanh"), Activation("sigmoid", saturates="sigmoid"))


def kurtosis(m: Any) -> Any:
    """The fourth central moment over the squared variance, from raw moments."""
    n, mean = m["gradient.count"], m["gradient.sum"] / m["gradient.count"]
    second, third, fourth = m["gradient.square_sum"] / n, m["gradient.cube_sum"] / n, m["gradient.fourth_sum"] / n
    central = fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4
    return central / (second - mean**2) ** 2


gradient_kurtosis = Statistic(
    "gradient_kurtosis",
    "layer",
    "1",
    "sum (g - mean)^4 / n / std^4",
    moments=(
        "gradient.count",
        "gradient.sum",
        "gradient.square_sum",
        Moment("gradient", "cube_sum", lambda g: g**3),
        Moment("gradient", "fourth_sum", lambda g: g**4),
    ),
    finish=kurtosis,
    scale="linear",
)
OF_KURTOSIS = Twin(lambda row: float(np.mean((row.gradient - row.gradient.mean()) ** 4) / row.gradient.var() ** 2))


def numbers(random: Any, shape: tuple[int, ...], scale: float, zeros: float) -> Any:
    values = (random.normal(size=shape) * scale).astype(np.float32)
    values[random.random(shape) < zeros] = 0
    return values


class Step:
    """One made-up step: the tensors, and the same as rows of float64 arrays."""

    def __init__(self, random: Any, scale: float, zeros: float, before: Step | None = None) -> None:
        self.variables: list[VariableSeen] = []
        self.layers: list[LayerSeen] = []
        self.rows: list[Row] = []
        self.of_variables: list[Row] = []
        for index in range(LAYERS):
            of_layer = self._layer(random, scale, zeros, index)
            own = [self._variable(random, scale, zeros, index, which, before) for which in range(2)]
            for field in ("gradient", "clipped", "weight", "update", "update_before"):
                parts = [getattr(row, field) for row in own]
                setattr(of_layer, field, None if parts[0] is None else np.concatenate(parts))
            self.rows.append(of_layer)
            self.of_variables += own

    def _variable(self, random: Any, scale: float, zeros: float, layer: int, which: int, before: Step | None) -> Row:
        shape = (5, UNITS)
        gradient, clipped = (numbers(random, shape, scale, zeros) for _ in range(2))
        weight, after = (numbers(random, shape, scale, 0.0) for _ in range(2))
        given = tf.constant(gradient)
        if which:  # sparse: some rows are left out, some come in two parts
            gradient[3:] = 0
            part = numbers(random, (1, UNITS), scale, 0.0)
            values = np.concatenate([gradient[:2], gradient[2:3] - part, part])
            gradient = gradient.astype(np.float64)
            gradient[2] = values[2].astype(np.float64) + values[3]
            given = tf.IndexedSlices(tf.constant(values), tf.constant([0, 1, 2, 2]), tf.constant(shape))
        seen = [given, *(tf.constant(values) for values in (clipped, weight, after))]
        self.variables.append(VariableSeen(f"layer{layer}/{which}", layer, int(np.prod(shape)), *seen))
        flat = [np.asarray(values, np.float64).reshape(-1) for values in (gradient, clipped, weight, after - weight)]
        last = None if before is None else before.of_variables[len(self.variables) - 1].update
        return Row(*flat, update_before=last)

    def _layer(self, random: Any, scale: float, zeros: float, index: int) -> Row:
        kind = KINDS[index % len(KINDS)]
        outputs = [numbers(random, (EXAMPLES, 3, UNITS), scale, zeros) for _ in range(2)]  # called twice
        outputs[0][..., 0] = outputs[1][..., 0] = 0  # one unit that never fires
        signals = [numbers(random, (EXAMPLES, 3, UNITS), scale, 0.0) for _ in range(2)]
        mask = random.random((EXAMPLES, 3)) < 0.7
        mask[0] = True
        parts = [Part(tf.constant(o), tf.constant(mask), tf.constant(s)) for o, s in zip(outputs, signals, strict=True)]
        self.layers.append(LayerSeen(f"layer{index}", UNITS, kind, parts))
        activation, signal = (np.concatenate([v[mask] for v in values]).astype(np.float64) for values in (outputs, signals))
        sums = [np.abs(values).sum(axis=0) if kind.watched else None for values in (activation, signal)]
        flat = {"activation": activation.reshape(-1), "signal": signal.reshape(-1), "curve": kind.saturates}
        return Row(**flat, activity=sums[0], unit_signal=sums[1])

    def observation(self, given: dict[str, float]) -> Observation:
        of_step = {name: tf.constant(given[name]) for name in ("loss", "learning_rate", "iteration", "examples")}
        return Observation(self.layers, self.variables, **of_step)


def recorded(steps: list[Step], given: dict[str, float], own: tuple[Statistic, ...], compiled: bool) -> Run:
    schema = Schema(
        tuple(layer.path for layer in steps[0].layers),
        tuple(variable.path for variable in steps[0].variables),
        tuple(variable.layer for variable in steps[0].variables),
        tuple(variable.size for variable in steps[0].variables),
        tuple(layer.activation.name for layer in steps[0].layers),
        {layer.path: UNITS for layer in steps[0].layers if layer.activation.watched},
        statistics=tuple(statistic.describe() for statistic in own),
    )
    run = Run(schema)
    recorder = Recorder(run, None, window=1, owners=schema.owners, statistics=own)
    instrument = Instrument(compiled=compiled, statistics=own, previous=Previous())
    extra = {name: given[name] for name in ("sample_seconds", "overhead")}
    taken = [
        Taken(i, 0.0, instrument.read(instrument.compute(step.observation(given))[None]), extra, follows=i > 0)
        for i, step in enumerate(steps)
    ]
    recorder.record(taken)
    assert not recorder.failed
    return run


def agree(statistic: Statistic, got: float, want: float, scale: float) -> None:
    low, high = statistic.range
    if abs(want) > high or np.isnan(want):
        assert not np.isfinite(got), f"{statistic.name}: {got} instead of {want}"
        return
    exact = 1e-6 if statistic.scale in ("share", "count") else 0.0
    assert abs(got - want) <= TOLERANCE * max(scale, abs(want) * (not exact)) + exact + low, (
        f"{statistic.of} {statistic.name}: {got} instead of {want}"
    )


@settings(deadline=None, max_examples=25)
@given(scale=st.integers(-30, 30), zeros=st.sampled_from([0.0, 0.5]), seed=st.integers(0, 1000), compiled=st.booleans())
def test_every_statistic_equals_its_twin_at_any_magnitude(scale: int, zeros: float, seed: int, compiled: bool) -> None:
    random = np.random.default_rng(seed)
    first = Step(random, 10.0**scale, zeros)
    second = Step(random, 10.0**scale, zeros, first)
    given = {"loss": 0.7, "learning_rate": 0.25, "iteration": 3, "examples": 6, "sample_seconds": 0.5, "overhead": 0.01}
    own = (update_cosine, gradient_kurtosis)
    run = recorded([first, second], given, own, compiled)
    twins = TWINS | {"gradient_kurtosis": OF_KURTOSIS}
    for statistic in (*catalogue.STATISTICS, *own):
        got = run.table(statistic.name, statistic.of)[-1]
        if statistic.of == "overall":
            assert statistic.name in OVERALL_TWINS, f"no twin in tests/twin.py for {statistic.name}"
            agree(statistic, float(got), OVERALL_TWINS[statistic.name](second.rows, given), 0.0)
            continue
        assert statistic.name in twins, f"no twin in tests/twin.py for {statistic.name}"
        twin = twins[statistic.name]
        for value, row in zip(got, second.rows if statistic.of == "layer" else second.of_variables, strict=True):
            agree(statistic, float(value), float(twin.of(row)), twin.scale(row))


def net(**compiled: Any) -> tuple[keras.Model, Any, Any]:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), "mse", **compiled)
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    return model, x, x[:, :1]


@pytest.mark.parametrize("compiled", [{}, {"jit_compile": True}, {"run_eagerly": True}])
def test_a_statistic_of_ones_own_is_in_the_run_and_in_the_file(tmp_path: Path, compiled: dict[str, bool]) -> None:
    model, x, y = net(**compiled)
    monitor = kerasgrad.GradientMonitor(tmp_path, update_freq=1, statistics=[gradient_kurtosis, update_cosine], verbose=0)
    before: list[Any] = []
    moved: list[Any] = []

    class Notes(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            before[:] = model.get_weights()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now = model.get_weights()
            moved.append([np.concatenate([(now[i] - before[i]).ravel() for i in (k, k + 1)]) for k in (0, 2)])

    model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=[monitor, Notes()])
    run = monitor.run
    assert monitor.failure is None and len(run) == 8
    for row, path in enumerate(run.layers):
        cosines = run.layer("update_cosine")[path]
        assert np.isnan(cosines[0])
        for step in range(1, 8):
            now, last = (moved[k][row].astype(np.float64) for k in (step, step - 1))
            assert cosines[step] == pytest.approx(now @ last / np.linalg.norm(now) / np.linalg.norm(last), abs=1e-4)
        assert (run.layer("gradient_kurtosis")[path] >= 1).all()
    loaded = Run.load(tmp_path)
    for name in ("gradient_kurtosis", "update_cosine"):
        assert np.array_equal(loaded.table(name, "layer"), run.table(name, "layer"), equal_nan=True)
    assert loaded.schema.statistics[0]["formula"] == gradient_kurtosis.formula


def test_watched_with_statistics_of_ones_own_the_training_is_the_same() -> None:
    found = []
    for on in (False, True):
        model, x, y = net()
        own = [gradient_kurtosis, update_cosine]
        monitor = kerasgrad.GradientMonitor(update_freq=3, statistics=own, verbose=0)
        model.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=[monitor] if on else [])
        found.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))
    assert monitor.run.steps.tolist() == [0, 1, 3, 4, 6, 7, 9, 10], "steps are sampled in pairs"
    assert np.isnan(monitor.run.table("update_cosine", "layer")[:, 0]).tolist() == [True, False] * 4


def test_copies_keep_the_statistics() -> None:
    monitor = kerasgrad.GradientMonitor(statistics=[update_cosine])
    assert copy.deepcopy(monitor).settings.statistics == (update_cosine,)


def test_a_statistic_whose_finish_fails_is_not_examined_and_the_others_go_on() -> None:
    broken = Statistic("broken", "layer", "1", "-", moments=("gradient.count",), finish=lambda m: 1 / 0)
    short = Statistic("short", "layer", "1", "-", moments=("gradient.count",), finish=lambda m: m["gradient.count"][:, :1])
    model, x, y = net()
    monitor = kerasgrad.GradientMonitor(update_freq=1, statistics=[broken, short], verbose=0)
    model.fit(x, y, verbose=0, callbacks=[monitor])
    assert monitor.failure is None and np.isfinite(monitor.run.table("gradient_norm", "layer")).all()
    assert "ZeroDivisionError" in monitor.run.not_examined["layer statistic broken"]
    assert "shape" in monitor.run.not_examined["layer statistic short"]


@pytest.mark.parametrize(
    ("statistic", "message"),
    [
        ("kurtosis", "takes a list of kerasgrad.catalogue.Statistic"),
        (Statistic("gradient_norm", "layer", "1", "-", moments=("gradient.count",)), "of that name already"),
        (Statistic("mine", "layer", "1", "-", moments=("gradient.cont",)), "keys of these: gradient.count"),
        (Statistic("mine", "layer", "1", "-"), "needs moments"),
        (Statistic("mine", "variable", "1", "-", moments=(Moment("signal", "sum", abs),)), "can be of gradient, clipped"),
        (Statistic("mine", "layer", "1", "-", moments=(Moment("signal", "x", abs, previous=True),)), "that looks back"),
        (Statistic("mine", "layer", "1", "-", moments=(Moment("gradient", "x", tf.reduce_sum),)), r"shape \(\)"),
        (Statistic("mine", "layer", "1", "-", moments=(Moment("gradient", "x", lambda g: g.nope),)), "fails on a float64"),
        (Statistic("mine", "layer", "1", "-", moments=(Moment("gradient", "x"),)), "needs `entries`"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_training(statistic: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        kerasgrad.GradientMonitor(statistics=[statistic])


def test_fields_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"`scale` is one of .*Received: scale='log'"):
        Statistic("mine", "layer", "1", "-", scale="log")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="noun phrase"):
        Statistic("my statistic", "layer", "1", "-")
