"""`through_time` against a loop of its own equations, unrolled and differentiated as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasgrad

EXAMPLES, STEPS, WIDTH = 6, 9, 3
TOLERANCE = 1e-5
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def data(steps: int = STEPS) -> tuple[Any, Any]:
    random = np.random.default_rng(3)
    return random.normal(size=(EXAMPLES, steps, WIDTH)).astype(np.float32), random.integers(0, 3, EXAMPLES)


def simple(x: Any, states: list[Any], weights: list[Any]) -> list[Any]:
    kernel, recurrent, bias = weights
    return [tf.tanh(x @ kernel + states[0] @ recurrent + bias)]


def lstm(x: Any, states: list[Any], weights: list[Any]) -> list[Any]:
    """Hochreiter & Schmidhuber 1997 with the forget gate of Gers 2000; Keras' order is i, f, c, o."""
    kernel, recurrent, bias = weights
    i, f, c, o = tf.split(x @ kernel + states[0] @ recurrent + bias, 4, axis=1)
    cell = tf.sigmoid(f) * states[1] + tf.sigmoid(i) * tf.tanh(c)
    return [tf.sigmoid(o) * tf.tanh(cell), cell]


def gru(x: Any, states: list[Any], weights: list[Any]) -> list[Any]:
    """Cho et al. 2014, with the reset after the product, as Keras has it; its order is z, r, h."""
    kernel, recurrent, bias = weights
    xz, xr, xh = tf.split(x @ kernel + bias[0], 3, axis=1)
    hz, hr, hh = tf.split(states[0] @ recurrent + bias[1], 3, axis=1)
    z = tf.sigmoid(xz + hz)
    return [z * states[0] + (1 - z) * tf.tanh(xh + tf.sigmoid(xr + hr) * hh)]


def leaky(x: Any, states: list[Any], weights: list[Any]) -> list[Any]:
    return [0.5 * states[0] + tf.tanh(x @ weights[0] + states[0] @ weights[1])]


class LeakyCell(layers.Layer):
    """A cell of one's own: its output is not its state, and it takes the recurrence inside a product."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = self.state_size = units

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform")
        self.recurrent = self.add_weight(shape=(self.units, self.units), initializer="orthogonal")

    def call(self, x: Any, states: Any) -> Any:
        h = 0.5 * states[0] + tf.tanh(x @ self.kernel + states[0] @ self.recurrent)
        return 2.0 * h, [h]


Equation = Callable[[Any, list[Any], list[Any]], list[Any]]


def unrolled(equation: Equation, weights: list[Any], inputs: list[Any], units: int) -> list[Any]:
    """The hidden state after each step."""
    zeros = tf.zeros([EXAMPLES, units], inputs[0].dtype)
    states, found = [zeros, zeros], []
    for x in inputs:
        states = equation(x, states, weights)
        found.append(states[0])
    return found


def built(*stack: Any, steps: int = STEPS) -> keras.Model:
    model = keras.Sequential([layers.Input((steps, WIDTH)), *stack, layers.Dense(3)])
    model.compile("sgd", CROSS_ENTROPY)
    return model


def reference(model: keras.Model, y: Any, forward: Callable[[], tuple[list[list[Any]], Any]]) -> list[Any]:
    """dL/dh of each list of states, `[examples, steps, units]`; `forward` gives them and what the head is applied to."""
    head = model.layers[-1]
    with tf.GradientTape() as tape:
        states, last = forward()
        loss = CROSS_ENTROPY(y, last @ head.kernel + head.bias)
    return [np.stack([g.numpy() for g in of], axis=1) for of in tape.gradient(loss, states)]


def close(found: Any, wanted: Any) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


ONES = {
    "simple": (lambda **kw: layers.SimpleRNN(4, **kw), simple, 4),
    "lstm": (lambda **kw: layers.LSTM(4, **kw), lstm, 4),
    "gru": (lambda **kw: layers.GRU(4, **kw), gru, 4),
    "own": (lambda **kw: layers.RNN(LeakyCell(4), **kw), leaky, 4),
}


@pytest.mark.parametrize("name", ONES)
@pytest.mark.parametrize("backwards", [False, True])
def test_one_layer(name: str, backwards: bool) -> None:
    make, equation, units = ONES[name]
    model, (x, y) = built(make(go_backwards=backwards)), data()
    weights, scale = [tf.Variable(w) for w in model.layers[0].get_weights()], 2.0 if name == "own" else 1.0
    steps = list(tf.unstack(x, axis=1))[:: -1 if backwards else 1]

    def forward() -> Any:
        states = unrolled(equation, weights, steps, units)
        return [states], scale * states[-1]

    memory = kerasgrad.through_time(model, model.layers[0], x, y)
    (found,) = memory.gradients.values()
    close(found, reference(model, y, forward)[0])
    signal = np.sqrt(np.mean(np.square(found.astype(np.float64)), axis=(0, 2)))
    assert np.allclose(next(iter(memory.signal.values())), signal, rtol=1e-6) and not memory.gives_all_steps


def test_layers_and_cells_in_a_stack() -> None:
    inner = layers.RNN([layers.GRUCell(4), layers.SimpleRNNCell(3)])
    model, (x, y) = built(layers.LSTM(5, return_sequences=True), inner), data()
    below, cells = (
        [tf.Variable(w) for w in model.layers[0].get_weights()],
        [[tf.Variable(w) for w in c.get_weights()] for c in inner.cell.cells],
    )

    def forward() -> Any:
        first = unrolled(lstm, below, list(tf.unstack(x, axis=1)), 5)
        second = unrolled(gru, cells[0], first, 4)
        third = unrolled(simple, cells[1], second, 3)
        return [first, second, third], third[-1]

    wanted = reference(model, y, forward)
    found = [*kerasgrad.through_time(model, "lstm", x, y).gradients.values()]
    found += kerasgrad.through_time(model, "rnn", x, y).gradients.values()
    assert len(found) == 3
    for one, other in zip(found, wanted, strict=True):
        close(one, other)
    assert "past the recurrence" in repr(kerasgrad.through_time(model, "lstm", x, y))


def test_both_directions() -> None:
    model, (x, y) = built(layers.Bidirectional(layers.LSTM(4))), data()
    both = model.layers[0]
    ahead, back = ([tf.Variable(w) for w in one.get_weights()] for one in (both.forward_layer, both.backward_layer))
    steps = list(tf.unstack(x, axis=1))

    def forward() -> Any:
        states = unrolled(lstm, ahead, steps, 4), unrolled(lstm, back, steps[::-1], 4)
        return list(states), tf.concat([states[0][-1], states[1][-1]], axis=1)

    memory = kerasgrad.through_time(model, None, x, y)
    for one, other in zip(memory.gradients.values(), reference(model, y, forward), strict=True):
        close(one, other)
    assert ["forward" in name for name in memory.gradients] == [True, False]


@pytest.mark.parametrize("unroll", [False, True])
def test_masked_steps_have_none(unroll: bool) -> None:
    x, y = data()
    x[:, 6:], x[1, 3:] = 0.0, 0.0
    model = built(layers.Masking(), layers.GRU(4, unroll=unroll))
    weights = [tf.Variable(w) for w in model.layers[1].get_weights()]
    lengths = np.where(np.arange(EXAMPLES) == 1, 3, 6)

    def forward() -> Any:
        states = unrolled(gru, weights, list(tf.unstack(x, axis=1)), 4)
        return [states[:6]], tf.gather_nd(tf.stack(states, axis=1), np.stack([np.arange(EXAMPLES), lengths - 1], axis=1))

    memory = kerasgrad.through_time(model, "gru", x, y)
    (found,) = memory.gradients.values()
    masked = np.arange(STEPS)[None] >= lengths[:, None]
    assert np.isnan(found[masked]).all() and not np.isnan(found[~masked]).any()
    wanted = reference(model, y, forward)[0]
    close(np.where(masked[:, :6, None], 0, found[:, :6]), np.where(masked[:, :6, None], 0, wanted))
    # Whichever side is padded, the last real steps stand at the end.
    ends = np.stack([found[row, length - 3 : length] for row, length in enumerate(lengths)]).astype(np.float64)
    (signal,) = memory.signal.values()
    assert np.allclose(signal[-3:], np.sqrt(np.square(ends).mean(axis=(0, 2)))) and np.isnan(signal[:3]).all()
    assert "39% of the steps are masked" in repr(memory) and "NaN" not in repr(memory)


@pytest.mark.parametrize("backwards", [False, True])
def test_padding_does_not_lengthen_the_memory(backwards: bool) -> None:
    """Of a known recurrence, with sequences whose gradients differ in size: padded before, behind, or not at all."""
    gru = layers.SimpleRNN(4, activation="linear", go_backwards=backwards)
    model = built(layers.Masking(), gru, steps=30)
    kernel, _, bias = gru.get_weights()
    gru.set_weights([kernel, 0.8 * np.eye(4, dtype=np.float32), bias])
    x, y = data(30)
    behind, before = np.zeros_like(x), np.zeros_like(x)
    for row, length in enumerate((30, 4, 11, 23, 7, 16)):
        behind[row, :length], before[row, 30 - length :] = x[row, :length], x[row, :length]
    one, other, plain = (kerasgrad.through_time(model, None, given, y) for given in (behind, before, x))
    (a,), (b,), (c,) = one.half_life.values(), other.half_life.values(), plain.half_life.values()
    assert a == pytest.approx(b, rel=1e-4) and a == pytest.approx(c, rel=0.1)
    assert ("step 0 is the end of the sequence" in repr(plain)) is backwards and "masked" not in repr(plain)


def test_gradients_that_are_no_number_are_told() -> None:
    x, y = data()
    x[2, 4, 0] = np.nan
    memory = kerasgrad.through_time(built(layers.GRU(4)), "gru", x, y)
    assert "the gradient of 1 of 6 examples has NaN" in repr(memory) and "masked" not in repr(memory)


def test_the_half_life_of_a_known_recurrence() -> None:
    """h_t = a h_{t-1} + x: one step back leaves exactly a."""
    model = built(layers.SimpleRNN(4, activation="linear"), steps=30)
    kernel, _, bias = model.layers[0].get_weights()
    x, y = data(30)
    for factor in (0.8, 1.1):
        model.layers[0].set_weights([kernel, factor * np.eye(4, dtype=np.float32), bias])
        memory = kerasgrad.through_time(model, "simple_rnn", x, y)
        (name,) = memory.factor
        assert memory.factor[name] == pytest.approx(factor, rel=1e-5)
        assert memory.half_life[name] == pytest.approx(np.log(0.5) / np.log(0.8) if factor < 1 else np.inf, rel=1e-4)
    assert "never gone" in repr(memory) and "30 steps, 6 examples" in repr(memory)
    axes = kerasgrad.views.memory(memory).axes[0]
    assert np.array_equal(axes.lines[0].get_ydata(), memory.signal[name]) and axes.get_yscale() == "log"


def test_a_layer_that_is_called_twice() -> None:
    x, y = data()
    shared, inputs = layers.GRU(4), layers.Input((STEPS, WIDTH))
    outputs = layers.Dense(3)(layers.Add()([shared(inputs), shared(layers.Lambda(lambda t: 2 * t)(inputs))]))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", CROSS_ENTROPY)
    memory = kerasgrad.through_time(model, "gru", x, y)
    assert [name.endswith("#2") for name in memory.gradients] == [False, True]


def test_a_scaled_loss_is_unscaled_and_the_model_is_left_as_it_is() -> None:
    x, y = data()
    model = built(layers.Dropout(0.5), layers.LSTM(4))
    plain = kerasgrad.through_time(model, "lstm", x, y)
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0**15), CROSS_ENTROPY)
    before = [np.array(v) for v in model.variables]
    scaled = kerasgrad.through_time(model, "lstm", x, y)
    (one,), (other,) = plain.gradients.values(), scaled.gradients.values()
    close(other, one)  # the same dropout too: seeds are put back
    assert all(np.array_equal(a, np.array(b)) for a, b in zip(before, model.variables, strict=True))
    assert model.layers[1].use_cudnn == "auto" and not model.optimizer.built


def test_what_has_no_steps_is_told() -> None:
    x, y = data()
    model = built(layers.GRU(4))
    with pytest.raises(ValueError, match=r"one of \['gru'\]. Received: layer='dense'"):
        kerasgrad.through_time(model, "dense", x, y)
    with pytest.raises(ValueError, match=r"model\.compile"):
        kerasgrad.through_time(keras.Sequential([layers.GRU(4)]), "gru", x, y)

    class Compiled(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.gru, self.head = layers.GRU(4), layers.Dense(3)

        @tf.function
        def call(self, x: Any) -> Any:
            return self.head(self.gru(x))

    hidden = Compiled()
    hidden.compile("sgd", CROSS_ENTROPY)
    with pytest.raises(ValueError, match="not eagerly"):
        kerasgrad.through_time(hidden, None, x, y)
    model = keras.Sequential(
        [layers.Input((2, STEPS, WIDTH)), layers.TimeDistributed(layers.GRU(4, name="inner")), layers.GRU(4)]
    )
    model.compile("sgd", CROSS_ENTROPY)
    with pytest.raises(ValueError, match=r"TimeDistributed\) runs it in a map") as told:
        kerasgrad.through_time(model, "inner", np.stack([x, x], axis=1), y)
    assert "tf.function" not in str(told.value)
