"""The same row in every mode of training: how the step is run changes nothing of what is reported."""

from __future__ import annotations

import functools
from typing import Any

import grid
import keras
import numpy as np
import pytest
import tensorflow as tf
from grid import BATCH, GRID, Case, slow

import kerasgrad
from kerasgrad.taps import train_step

TIMING = {"sample_seconds", "overhead"}


def fitted(case: Case, *data: Any, epochs: int = 1, **kwargs: Any) -> kerasgrad.Run:
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    x, y = (case.x, case.y) if not data else (data[0], None)
    if not data:
        kwargs.setdefault("batch_size", BATCH)
    keras.utils.set_random_seed(11)
    case.model.fit(x, y, shuffle=False, verbose=0, callbacks=[monitor], epochs=epochs, **kwargs)
    assert monitor.failure is None
    return monitor.run


def made(name: str, policy: str = "float32", **kwargs: Any) -> Case:
    """The same model with the same weights every time."""
    keras.backend.clear_session(free_memory=False)
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(5)
    return GRID[name](**kwargs)


def agree(
    one: kerasgrad.Run,
    other: kerasgrad.Run,
    tolerance: float = 2e-5,
    samples: slice = slice(None),
    skip: frozenset[str] = frozenset(),
    last: bool = False,
) -> None:
    """Both have the same rows and, within the tolerance of each statistic's scale, the same numbers."""
    assert one.layers == other.layers and one.variables == other.variables
    for statistic in kerasgrad.catalogue.STATISTICS:
        if statistic.name in skip | TIMING:
            continue
        a = one.table(statistic.name, statistic.of)[samples]
        b = (
            other.table(statistic.name, statistic.of)[-len(a) :]
            if last
            else other.table(statistic.name, statistic.of)[samples]
        )
        assert np.array_equal(np.isnan(a), np.isnan(b)), statistic.name
        scale = np.nanmax(np.abs(a), initial=1e-30)
        if statistic.unit == "1" and statistic.of != "overall":
            scale = 1.0
        if statistic.name.endswith(("mean", "std")):
            scale = np.nanmax(np.abs(one.table(statistic.name.rpartition("_")[0] + "_max", statistic.of)), initial=1e-30)
        worst = np.nanmax(np.abs(a - b), initial=0.0)
        assert worst <= tolerance * scale, f"{statistic.of} {statistic.name}: {worst} of {scale}"


NOISY = frozenset({"gradient_zeros", "update_ratio", "update_norm"})
"""Adam turns the rounding noise of a gradient that is zero by structure into whole steps; so compare the first sample."""
FIRST = slice(0, 1)


@pytest.mark.parametrize(
    "name", ["embedding", *map(slow, ["mlp", "cnn", "lstm", "subclassed", "transformer_mask", "nested"])]
)
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_eager(name: str) -> None:
    agree(fitted(made(name)), fitted(made(name, run_eagerly=True)), 2e-5, FIRST, NOISY)


@pytest.mark.parametrize(
    "name", ["mlp", *map(slow, ["embedding", "resnet", "lstm", "nested", "subclassed"])]
)  # XLA draws other dropout
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_jit_compile(name: str) -> None:
    agree(fitted(made(name)), fitted(made(name, jit_compile=True)), 2e-5, FIRST, NOISY)


@pytest.mark.parametrize("compiled", [False, slow(True)])
def test_an_odd_last_batch_does_not_build_the_step_again(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a graph one trace serves all sizes; XLA builds a step for each, so that there the last batch is not sampled."""
    traces = []

    class Counted(train_step.Collector):
        def __init__(self, *args: Any) -> None:
            traces.append(args)
            super().__init__(*args)

    monkeypatch.setattr(train_step, "Collector", Counted)
    fitted(made("mlp", jit_compile=compiled))
    even = len(traces)
    case = made("mlp", jit_compile=compiled)
    run = fitted(Case(case.model, case.x[:-3], case.y[:-3]), epochs=2)
    assert run.steps.tolist() == ([0, 1, 2, 4, 5, 6] if compiled else list(range(8)))
    assert len(traces) == 2 * even


@pytest.mark.parametrize("name", ["mlp", slow("lstm")])
def test_steps_per_execution(name: str) -> None:
    single, several = fitted(made(name)), fitted(made(name, steps_per_execution=4))
    assert several.steps.tolist() == [3]
    agree(
        single, several, samples=slice(3, 4), skip=frozenset({"dead_fraction"}), last=True
    )  # that rests on all samples before


def test_gradient_accumulation() -> None:
    """The micro-batch's gradient; an update counts when it is applied."""
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    run = fitted(made("mlp", optimizer=optimizer))
    plain = fitted(made("mlp", optimizer="sgd"))
    updates = run.layer("update_norm")["dense"]
    assert updates[0] == 0 and updates[2] == 0 and (updates[1::2] > 0).all()
    for name in ("gradient_norm", "signal_rms", "activation_mean"):
        assert np.allclose(run.table(name, "layer")[0], plain.table(name, "layer")[0], rtol=1e-5)
    assert np.isnan(run.table("gradient_norm_clipped", "layer")).all()


@pytest.mark.parametrize("how", [{"clipnorm": 0.05}, {"global_clipnorm": 0.05}, {"clipvalue": 0.01}])
def test_clipping(how: dict[str, float]) -> None:
    case = made("mlp", optimizer=keras.optimizers.SGD(1.0, **how))
    run = fitted(case)
    norms, clipped = run.variable("gradient_norm"), run.variable("gradient_norm_clipped")
    updates = run.variable("update_norm")
    for path in run.variables:  # with SGD at rate 1 the update is the clipped gradient
        assert np.allclose(clipped[path], updates[path], rtol=1e-3)
        assert (clipped[path] <= norms[path] * (1 + 1e-6)).all()
    if "clipnorm" in how:
        assert np.allclose(
            [clipped[p] for p in run.variables], np.minimum(0.05, [norms[p] for p in run.variables]), rtol=1e-5
        )


def test_weight_decay_is_part_of_the_update() -> None:
    decayed = fitted(made("mlp", optimizer=keras.optimizers.SGD(0.1, weight_decay=0.5)))
    plain = fitted(made("mlp", optimizer=keras.optimizers.SGD(0.1)))
    path = decayed.variables[0]
    assert decayed.variable("update_norm")[path][0] > 1.1 * plain.variable("update_norm")[path][0]
    assert decayed.variable("gradient_norm")[path][0] == pytest.approx(plain.variable("gradient_norm")[path][0], rel=1e-6)


def test_weights_of_classes_and_samples() -> None:
    """The gradient that trains the model is the weighted one."""
    case = made("mlp")
    weights = np.where(case.y == 0, 3.0, 0.5).astype("float32")
    by_sample = fitted(case, sample_weight=weights)
    by_class = fitted(made("mlp"), class_weight={0: 3.0, 1: 0.5, 2: 0.5})
    agree(by_sample, by_class)
    plain = fitted(made("mlp"))
    assert abs(plain.overall("gradient_norm")[0] / by_sample.overall("gradient_norm")[0] - 1) > 0.01


class _Batches(keras.utils.PyDataset):
    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case

    def __len__(self) -> int:
        return len(self.case.y) // BATCH

    def __getitem__(self, i: int) -> Any:
        return self.case.x[i * BATCH : (i + 1) * BATCH], self.case.y[i * BATCH : (i + 1) * BATCH]


def test_kinds_of_data() -> None:
    arrays = fitted(made("mlp"))
    case = made("mlp")
    agree(arrays, fitted(case, tf.data.Dataset.from_tensor_slices((case.x, case.y)).batch(BATCH)))
    case = made("mlp")
    agree(arrays, fitted(case, _Batches(case)))
    case = made("mlp")
    agree(arrays, fitted(case, (_Batches(case)[i] for i in range(4)), steps_per_epoch=4))


@pytest.mark.parametrize("policy", ["mixed_float16", slow("mixed_bfloat16")])
@pytest.mark.parametrize("name", ["mlp", *map(slow, ["lstm", "resnet_plain"])])
def test_mixed_precision(policy: str, name: str) -> None:
    """Unscaled, and within the epsilon of the half type."""
    full = fitted(made(name))
    half = fitted(made(name, policy))
    epsilon = 2.0**-10 if policy.endswith("float16") and "b" not in policy.rpartition("_")[2] else 2.0**-7
    for statistic, of in (("gradient_norm", "variable"), ("signal_rms", "layer"), ("activation_std", "layer")):
        # The last signal is another one: Keras casts the half output, and so takes the loss from it and not from its logits.
        a, b = full.table(statistic, of)[0][:-1], half.table(statistic, of)[0][:-1]
        assert np.allclose(a, b, rtol=40 * epsilon, atol=40 * epsilon * np.nanmax(np.abs(a)), equal_nan=True), statistic
    assert half.overall("loss")[0] == pytest.approx(full.overall("loss")[0], rel=10 * epsilon)
    assert half.overall("loss_scale")[0] == (2.0**15 if policy == "mixed_float16" else 1.0)


def test_loss_scale_overflow_is_a_fact_and_not_a_bad_gradient() -> None:
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=2.0**30)
    run = fitted(made("mlp", "mixed_float16", optimizer=optimizer), epochs=6)
    overflow = run.overall("loss_scale_overflow") == 1
    assert overflow[0] and not overflow[-1], "the scale comes down until it fits"
    assert run.facts["loss_scale_overflows"] == overflow.sum()
    norms = run.overall("gradient_norm")
    assert np.isnan(norms[overflow]).all() and np.isfinite(norms[~overflow]).all()
    assert np.isfinite(run.table("activation_mean", "layer")).all()
    assert not np.nansum(run.table("gradient_nonfinite", "layer"))
    assert "loss scaling overflowed" in repr(run)


def test_nan_in_the_data_is_counted() -> None:
    case = made("mlp_sigmoid")
    case.x[0, 0] = np.nan
    run = fitted(case)
    assert np.nansum(run.table("gradient_nonfinite", "variable")[0]) > 0
    assert run.layer("activation_nonfinite")["dense"][0] == 16
    assert np.isnan(run.layer("gradient_norm")["dense"][0])


def _data(case: Case) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((case.x, case.y)).batch(BATCH)


@functools.cache
def mirrored() -> tf.distribute.Strategy:
    """One for the process: a second one on the same devices begins anew with the runtime's keys and fails."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.mark.parametrize("name", ["mlp", *map(slow, ["embedding", "lstm", "nested", "several_outputs"])])
def test_mirrored_strategy(name: str) -> None:
    """Two devices see half a batch each; the row is that of one device with the whole batch."""
    case = made(name)
    single = fitted(case, _data(case))
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(5)
    with mirrored().scope():
        case = GRID[name]()
    several = fitted(case, _data(case))
    assert several.facts["replicas"] == 2
    agree(single, several, 2e-5, FIRST, NOISY)


def test_default_strategy_untouched() -> None:
    case = grid.mlp()
    assert fitted(case).facts["replicas"] == 1
