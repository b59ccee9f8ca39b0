"""Tensors to numbers, against float64 NumPy, over everything a tensor may hold."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasgrad.catalogue.of_model import decay_factor, depth_ratio
from kerasgrad.run import Units
from kerasgrad.statistics import histogram
from kerasgrad.statistics.columns import Columns
from kerasgrad.statistics.moments import moments, square_sums
from kerasgrad.statistics.outputs import unit_sums
from kerasgrad.statistics.packing import Packing
from kerasgrad.statistics.readings import FEW, Reading
from kerasgrad.statistics.units import PerUnit, UnitHistory, UnitLayout
from kerasgrad.taps.activations import activation_of


def reference(x: Any) -> dict[str, float]:
    x = x.astype(np.float64)
    return {
        "norm": float(np.linalg.norm(x)), "mean": float(x.mean()), "std": float(x.std()), "largest": float(np.abs(x).max()),
        "zeros": float((x == 0).sum()), "nonfinite": float((~np.isfinite(x)).sum()),
    }  # fmt: skip


def rows_of(columns: Columns) -> list[dict[str, float]]:
    """One dict of numbers, by name, for each tensor."""
    return [dict(zip(columns.keys, row.tolist(), strict=True)) for row in np.asarray(columns.values)]


def computed(m: dict[str, float]) -> dict[str, float]:
    mean = m["sum"] / m["count"]
    return {
        "norm": np.sqrt(m["square_sum"]), "mean": mean, "std": np.sqrt(max(0.0, m["square_sum"] / m["count"] - mean**2)),
        "largest": m["largest"], "zeros": m["zeros"], "nonfinite": m["nonfinite"],
    }  # fmt: skip


def measured(compiled: bool, reading: Any, signature: Any = None) -> Any:
    """A function of tensors that measures their moments in a graph, and gives one dict for each."""
    keys: list[str] = []

    def inside(*tensors: Any) -> Any:
        columns = moments([reading(x) for x in tensors], compiled)
        keys[:] = columns.keys
        return columns.values

    function = tf.function(inside, signature, jit_compile=compiled)

    def call(*tensors: Any) -> list[dict[str, float]]:
        values = function(*tensors)  # traced first, which finds the keys
        return rows_of(Columns(tuple(keys), values))

    return call


def agree(row: dict[str, float], x: Any) -> None:
    got, want = computed(row), reference(x)
    rms = want["norm"] / np.sqrt(x.size)
    scales = {"norm": want["norm"], "mean": rms, "std": rms, "largest": np.abs(x).max()}
    for name, value in want.items():
        assert abs(got[name] - value) <= 1e-5 * scales.get(name, 0.0), f"{name}: {got[name]} instead of {value}"


@settings(deadline=None, max_examples=60)
@given(
    scale=st.integers(-30, 30),
    offset=st.sampled_from([0.0, 1.0, 1e3, 1e6]),
    zeros=st.sampled_from([0.0, 0.5, 1.0]),
    size=st.sampled_from([1, 2, 7, 500, FEW, FEW + 1, 20_000]),
    seed=st.integers(0, 1000),
)
def test_moments(scale: int, offset: float, zeros: float, size: int, seed: int) -> None:
    """Any scale from 1e-30 to 1e30, any offset, any share of zeros, small tensors and large."""
    random = np.random.default_rng(seed)
    x = (random.normal(size=size) + offset).astype(np.float32) * np.float32(10.0**scale)
    x[random.random(size) < zeros] = 0
    (row,) = rows_of(moments([Reading(tf.constant(x))]))
    agree(row, x)
    (squares,) = rows_of(square_sums([Reading(tf.constant(x))]))
    assert squares["count"] == size and squares["square_sum"] == pytest.approx(
        np.square(x.astype(np.float64)).sum(), rel=1e-5
    )


@pytest.mark.parametrize("compiled", [False, True])
def test_moments_in_a_graph_one_odd_tensor_among_others(compiled: bool) -> None:
    random = np.random.default_rng(0)
    usual = random.normal(size=(100, 100)).astype(np.float32)
    odd = [usual * np.float32(1e-25), usual * np.float32(1e25), usual + 1e5, np.full((100, 100), 0.1, np.float32)]
    function = measured(compiled, Reading)
    for tensors in ([usual], [usual, odd[0]], [odd[1], usual], [odd[2], odd[3], usual]):
        for row, x in zip(function(*map(tf.constant, tensors)), tensors, strict=True):
            agree(row, x.astype(np.float32))


def test_xla_takes_all_in_double_joined_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of one size in two lots, one too large to be joined, one masked."""
    random = np.random.default_rng(0)
    monkeypatch.setattr("kerasgrad.statistics.moments.JOINED", 20_000)
    arrays = [random.normal(size=(100, 100)).astype(np.float32) * np.float32(10.0**e) for e in (-25, 0, 25)]
    arrays += [random.normal(size=(600, 600)).astype(np.float32) * np.float32(1e-25), np.ones((6, 5, 4), np.float32)]
    mask = random.random((6, 5)) < 0.6

    @tf.function(jit_compile=True)
    def both(*tensors: Any) -> Any:
        readings = [Reading(t) for t in tensors[:-1]] + [Reading.of(tensors[-1], tf.constant(mask))]
        return [dict(zip(c.keys, tf.unstack(c.values, axis=1), strict=True)) for c in found(readings)]

    def found(readings: list[Reading]) -> list[Columns]:
        return [moments(readings, compiled=True), square_sums(readings, compiled=True)]

    rows, squares = both(*map(tf.constant, arrays))
    for i, x in enumerate([*arrays[:-1], arrays[-1][mask]]):
        agree({name: float(column[i]) for name, column in rows.items()}, x)
        assert squares["count"][i] == x.size
        assert squares["square_sum"][i].numpy() == pytest.approx(np.square(x.astype(np.float64)).sum(), rel=1e-9)


def test_nonfinite_entries_are_counted_exactly() -> None:
    for size in (100, 10_000):
        x = np.ones(size, np.float32)
        x[:3], x[5], x[7] = np.nan, np.inf, -np.inf
        (row,) = rows_of(moments([Reading(tf.constant(x))]))
        assert row["nonfinite"] == 5 and row["zeros"] == 0 and not np.isfinite(row["square_sum"])


def test_zeros_are_counted_exactly_beyond_float32() -> None:
    """float32 counts to 2^24 only."""
    x = tf.zeros([5, 2**22 + 1])
    assert moments([Reading.of(x)])["zeros"][0] == 5 * (2**22 + 1)


def test_masked_entries_count_in_nothing() -> None:
    random = np.random.default_rng(0)
    x, mask = random.normal(size=(6, 5, 40)).astype(np.float32), random.random((6, 5)) < 0.6
    x[~mask] = np.nan
    (row,) = rows_of(moments([Reading.of(tf.constant(x), tf.constant(mask))]))
    assert row["count"] == mask.sum() * 40
    assert row["square_sum"] == pytest.approx(np.square(x[mask].astype(np.float64)).sum(), rel=1e-6)
    assert row["zeros"] == 0


def test_half_precision_is_widened() -> None:
    x = tf.cast(tf.fill([100, 100], 300.0), tf.float16)  # the square of 300 overflows float16
    assert moments([Reading.of(x)])["square_sum"][0].numpy() == pytest.approx(9e4 * 1e4)


def test_histogram_counts_every_entry_once() -> None:
    values = np.array([0.0, 1e-20, 1e-16, 1.0, 3.0, 5.0, -1.0, 1e3, 1e9, np.inf, np.nan], np.float32)
    counted = histogram.counts([tf.constant(values), None], [len(values), 7], [0, 1], 2).numpy()
    finite = np.abs(values[~np.isnan(values)].astype(np.float64))
    assert counted[0].sum() == len(finite) and counted[1].sum() == 0
    assert counted[0, 0] == 2 and counted[0, -1] == 2  # below 1e-16; above 1e4
    where = np.clip(np.searchsorted(histogram.EDGES, finite, side="right") - 1, 0, histogram.BINS - 1)
    near_edge = np.isclose(np.log10(np.clip(finite, 1e-30, 1e30)) * 2 % 1, [0], atol=1e-5)
    assert np.abs(counted[0] - np.bincount(where, minlength=histogram.BINS)).sum() <= 2 * near_edge.sum()


def test_dormant() -> None:
    layers = UnitLayout(np.array([4, 3, 2]))
    values = np.array([[1.0, 1.0, 0.01, 0.0, 0.0, 0.0, 0.0, 1.0, np.nan]])
    shares = PerUnit(values, layers, np.array([0, 2, 3]), 4).share_below(0.025)
    assert shares[0, [0, 2]].tolist() == [0.5, 1.0] and np.isnan(shares[0, [1, 3]]).all()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=30), st.integers(1, 6))
def test_dead_is_silence_over_the_window(firing: list[list[bool]], window: int) -> None:
    """Two layers; the second one is not called in every third step."""
    units = {"a": Units.unseen(3), "b": Units.unseen(2)}
    history = UnitHistory(units, window)
    seen: dict[str, list[tuple[int, list[bool]]]] = {"a": [], "b": []}
    for i, fired in enumerate(firing):
        activity, steps = np.array(fired, float), {"a": fired[:3], "b": fired[3:]}
        if i % 3 == 2:
            activity[3:] = np.nan
            del steps["b"]
        shares = dict(zip("ab", history.silent(activity, step=10 * i) / [3, 2], strict=True))
        for path, row in steps.items():
            seen[path].append((10 * i, row))
            last = np.array([row for _, row in seen[path][-window:]])
            assert shares[path] == pytest.approx((~last.any(axis=0)).mean())
        assert ("b" in steps) != np.isnan(shares["b"])
    for path, rows in seen.items():
        last_fired = [max((s for s, row in rows if row[u]), default=-1) for u in range(len(units[path].last_fired))]
        assert units[path].last_fired.tolist() == last_fired and units[path].samples == len(rows)


def test_through_depth() -> None:
    signal = 1e-2 * 0.25 ** np.arange(20)[::-1]
    underflown = np.concatenate([np.zeros(5), signal[5:]])
    with_gaps = np.where(np.arange(20) % 3 == 1, np.nan, signal)
    found = through_depth(np.stack([signal, underflown, with_gaps, np.full(20, np.nan)]))
    assert found["decay_factor"][:2] == pytest.approx([0.25, 0.25])
    assert found["depth_ratio"][:2] == pytest.approx([0.25**15, 0.0], rel=1e-6)
    line = np.flatnonzero(~np.isnan(with_gaps))
    slope = np.polyfit(np.arange(len(line)), np.log(with_gaps[line]), 1)[0]
    assert found["decay_factor"][2] != pytest.approx(np.exp(-slope))  # depth counts the layers without a signal too
    assert found["decay_factor"][2] == pytest.approx(0.25)
    assert np.isnan([values[3] for values in found.values()]).all()
    assert np.isnan(through_depth(np.array([[1.0]]))["depth_ratio"]).all()


def through_depth(signal: Any) -> dict[str, Any]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return {f.__name__: f({"depth.signal_rms": signal}) for f in (depth_ratio, decay_factor)}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shape", [(None, 40), (None, 5, 8), (None, 3000)])
def test_batches_of_unknown_length(shape: tuple[Any, ...], compiled: bool) -> None:
    """Small examples are joined, though one batch be longer than another and one of them need float64."""
    random = np.random.default_rng(0)
    spec = tf.TensorSpec(shape, tf.float32)
    function = measured(compiled, Reading.of, [spec] * 3)
    for scales in ((1.0, 1.0, 1.0), (1.0, 1e-25, 1.0)):
        arrays = [
            (scale * random.normal(size=(length, *shape[1:]))).astype(np.float32)
            for length, scale in zip((7, 3, 20), scales, strict=True)
        ]
        arrays[2][random.random(arrays[2].shape) < 0.3] = 0
        for row, x in zip(function(*map(tf.constant, arrays)), arrays, strict=True):
            agree(row, x)
    broken = arrays[0].copy()
    broken[2, 3] = np.nan
    nonfinite = [row["nonfinite"] for row in function(*map(tf.constant, [broken, *arrays[1:]]))]
    assert nonfinite == [np.isnan(broken).sum(), 0, 0]


def test_what_is_at_hand_is_not_computed_again_and_gives_the_same() -> None:
    x = np.maximum(np.random.default_rng(0).normal(size=(6, 20, 50)), 0).astype(np.float32)
    tensor = tf.constant(x)
    helped = Reading(tensor, magnitude=tensor, total=tf.reduce_sum(tensor))
    for row in rows_of(moments([helped, Reading(tensor)])):
        agree(row, x)


def test_sums_of_units() -> None:
    random = np.random.default_rng(0)
    arrays = [random.normal(size=s).astype(np.float32) for s in ((6, 4), (3, 5, 4), (2, 3, 3, 7), (9, 4))]
    for sums, x in zip(unit_sums([Reading(tf.constant(x)) for x in arrays]), arrays, strict=True):
        assert np.allclose(sums, np.abs(x.astype(np.float64)).reshape(-1, x.shape[-1]).sum(axis=0), rtol=1e-6)


def test_packed_and_unpacked() -> None:
    """Replicas on the leading axis; a length that only the run knows."""
    packing = Packing()

    @tf.function(input_signature=[tf.TensorSpec([2, 3], tf.float64), tf.TensorSpec([None, 2], tf.float64)])
    def packed(a: Any, b: Any) -> Any:
        return packing.pack({"a": a, "b": b, "c": tf.constant(5.0, tf.float64), "d": tf.zeros([2, 0], tf.float64)})

    for length in (4, 0, 1):
        a, b = np.arange(6.0).reshape(2, 3), np.arange(2.0 * length).reshape(length, 2)
        vector = packed(a, b).numpy()
        found = packing.unpack(np.stack([vector, vector]))
        assert np.array_equal(found["a"], [a, a]) and np.array_equal(found["b"], [b, b])
        assert found["c"].tolist() == [5, 5] and found["d"].shape == (2, 2, 0)


@pytest.mark.parametrize(
    ("layer", "nonnegative"),
    [
        (keras.layers.Dense(3, activation="relu"), True),
        (keras.layers.ReLU(), True),
        (keras.layers.ReLU(negative_slope=0.1), False),
        (keras.layers.Dense(3, activation="tanh"), False),
        (keras.layers.Activation("sigmoid"), True),
        (keras.layers.Dense(3, activation=lambda x: keras.activations.relu(x) - 1), False),
        (keras.layers.TimeDistributed(keras.layers.Dense(3, activation="relu")), True),
    ],
)
def test_never_below_zero_only_where_it_is_certain(layer: Any, nonnegative: bool) -> None:
    assert activation_of(layer).nonnegative is nonnegative
