"""Claims of recurrent nets: 5 and 8."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

import zoo
from literature.measure import Row, fresh, train

CELLS = ("simple_rnn.last", "gru.last", "gru.bias", "gru.chrono", "lstm.no_bias", "lstm.last", "lstm.chrono")
TRAINED = {
    "simple_rnn.last": "simple_rnn.adding", "gru.last": "gru.adding", "gru.chrono": "gru.chrono.adding",
    "lstm.no_bias": "lstm.no_bias.adding", "lstm.last": "lstm.adding", "lstm.chrono": "lstm.chrono.adding",
}  # fmt: skip
"""The recorded baselines whose weights are kept: trained on 100 steps."""

PASSES = 1e-6
"""What of the gradient at the last state must be left at the first one to call it within reach: float32 keeps 7 digits."""


def reach(model: keras.Model, x: Any, y: Any) -> dict[str, float]:
    """How much of the gradient with respect to the last hidden state is left at the first, and at the first cell state.

    Args:
        model: with one recurrent layer `rnn1` and then `answer`.
        x: float32 `[examples, steps, features]`.
        y: float32 `[examples, 1]`.

    Returns:
        `|dL/dh_0| / |dL/dh_T|`, for an LSTM also `|dL/dc_0| / |dL/dh_T|`; norms over examples and units.
    """
    layer, answer = model.get_layer("rnn1"), model.get_layer("answer")
    states = ["h", "c"] if isinstance(layer, keras.layers.LSTM) else ["h"]

    @tf.function
    def gradients() -> Any:
        start = [tf.zeros((len(x), layer.units)) for _ in states]
        with tf.GradientTape() as tape:
            tape.watch(start)
            last = layer(x, initial_state=start if len(start) > 1 else start[0])
            loss = tf.reduce_mean(tf.square(answer(last) - y))
        return [tf.norm(g) for g in tape.gradient(loss, [*start, last])]

    *first, last = (float(g) for g in gradients())
    return {f"d{state}": g / last for state, g in zip(states, first, strict=True)}


def claim_5(seeds: range) -> Iterator[Row]:
    for steps in (50, 200, 1000):
        measured: dict[str, list[float]] = {}
        for name in CELLS:
            for seed in seeds:
                fresh(seed)
                (x, y), _ = zoo.tasks.adding(steps, examples=40, seed=seed)
                for state, value in reach(zoo.build(name, input_shape=(steps, 2)), x, y).items():
                    measured.setdefault(f"{name}, {state}", []).append(value)
        yield from rows_at_first(steps, measured)
    yield _after_training(seeds)
    for steps in (50, 200):
        yield _learns(steps, seeds)


def rows_at_first(steps: int, measured: dict[str, list[float]]) -> list[Row]:
    chrono = min(min(measured[f"{name}.chrono, {state}"]) for name, state in (("gru", "dh"), ("lstm", "dc")))
    no_bias = max(max(measured[key]) for key in ("gru.last, dh", "lstm.no_bias, dh", "lstm.no_bias, dc"))
    setting = f"adding problem, {steps} steps, |dL/ds_0| / |dL/dh_T| at first"
    biases = {key: values for key, values in measured.items() if "simple_rnn" not in key}
    return [
        Row(5, "Gates whose bias is 0 pass less than a SimpleRNN at first", "Jozefowicz et al. 2015", setting,
            {key: measured[key] for key in ("simple_rnn.last, dh", "gru.last, dh", "lstm.no_bias, dh", "lstm.no_bias, dc")},
            no_bias < min(measured["simple_rnn.last, dh"])),
        Row(5, "It is the bias that gives reach: chrono biases pass the whole length", "Tallec & Ollivier 2018", setting,
            biases, chrono > PASSES and chrono > 10 * no_bias),
    ]  # fmt: skip


def _after_training(seeds: range) -> Row:
    """Of the recorded models, one training each; the seeds are those of the examples."""
    measured: dict[str, list[float]] = {}
    for name, recorded in TRAINED.items():
        for seed in seeds:
            fresh(seed)
            (x, y), _ = zoo.tasks.adding(100, examples=40, seed=100 + seed)
            for state, value in reach(zoo.load(recorded), x, y).items():
                measured.setdefault(f"{name}, {state}", []).append(value)
    return Row(
        5, "The same after training", "no direction claimed",
        "recorded baselines, 2,000 steps on 100 time steps; one training each, seeds of the examples", measured, None,
    )  # fmt: skip


def _learns(steps: int, seeds: range) -> Row:
    measured: dict[str, list[float]] = {}
    for name in ("simple_rnn.last", "gru.last", "gru.chrono", "lstm.no_bias", "lstm.last", "lstm.chrono"):
        for seed in seeds:
            fresh(seed)
            model = zoo.build(name, input_shape=(steps, 2))
            done = train(
                model, zoo.tasks.adding(steps, seed=seed), steps=1500, optimizer=keras.optimizers.Adam(3e-3), seed=seed,
                loss="mean_squared_error", compiled=True, watched=False,
            )  # fmt: skip
            measured.setdefault(name, []).append(done.score)
    learnt = [name for name, errors in measured.items() if max(errors) < 0.05]
    gated = {"gru.last", "gru.chrono", "lstm.last", "lstm.chrono"}
    return Row(
        5, "Gated nets learn the adding problem, a SimpleRNN does not", "Hochreiter & Schmidhuber 1997; Le et al. 2015",
        f"{steps} time steps, 1,500 steps of Adam 0.003, squared error on held-out sums (saying 1: 0.167)", measured,
        gated <= set(learnt) and "simple_rnn.last" not in learnt,
    )  # fmt: skip


def claim_8(seeds: range) -> list[Row]:
    measured: dict[str, list[float]] = {}
    steps = 50
    for name in ("simple_rnn.large_recurrent", "simple_rnn.last"):
        for clip in (None, 1.0):
            for seed in seeds:
                fresh(seed)
                optimizer = keras.optimizers.SGD(0.01, global_clipnorm=clip)
                done = train(
                    zoo.build(name, input_shape=(steps, 2)), zoo.tasks.adding(steps, seed=seed), steps=1500,
                    optimizer=optimizer, seed=seed, loss="mean_squared_error", compiled=True,
                )  # fmt: skip
                key = f"{name}, {'clipped' if clip else 'plain'}"
                measured.setdefault(f"{key}: error", []).append(done.score)
                measured.setdefault(f"{key}: largest gradient", []).append(float(done.run.overall("gradient_norm").max()))
    large, small = "simple_rnn.large_recurrent", "simple_rnn.last"
    setting = f"adding problem, {steps} time steps, 1,500 steps of SGD 0.01, global norm 1 (saying 1: 0.167)"
    source = "Pascanu et al. 2013"
    explodes = [not e < 1 for e in measured[f"{large}, plain: error"]]
    cured = [e < 0.15 for e in measured[f"{large}, clipped: error"]]
    same = [
        abs(a - b) < 0.02
        for a, b in zip(measured[f"{small}, plain: error"], measured[f"{small}, clipped: error"], strict=True)
    ]
    return [
        Row(8, "Clipping cures an exploding recurrent net", source, setting,
            {k: v for k, v in measured.items() if k.startswith(large)}, all(explodes) and all(cured)),
        Row(8, "Clipping does nothing for a vanishing one", source, setting,
            {k: v for k, v in measured.items() if k.startswith(small)}, all(same)),
    ]  # fmt: skip
