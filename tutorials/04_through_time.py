"""
Title: Recurrent nets through time
Description: Measure how many steps back a gradient reaches in a SimpleRNN and an LSTM, and open a gate to let it through.
"""

"""
A recurrent layer is as deep as its sequence is long: what the loss wants of step 5 has to come back through all steps behind
it. Here we measure how much of it arrives, before any training; then see what it means for learning, and what to change. It
takes half a minute and needs no download.

## Setup

The task: forty symbols, of which two count. One comes early, one in the second half, each is X or Y, and the class is their
order. Who answers has to remember the first one for about twenty steps.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kerasgrad
import zoo

(x, y), (x_test, y_test) = zoo.tasks.temporal_order(40, examples=2500)

NETS = {
    "simple_rnn.last": "SimpleRNN",
    "lstm.no_bias": "LSTM, forget gate half open",
    "lstm.last": "LSTM as Keras makes it",
    "lstm.chrono": "LSTM, chrono biases",
}


def built(name: str, **changes) -> keras.Model:
    """One recurrent layer of 24 units, from the same seed, with the same optimizer."""
    keras.utils.set_random_seed(0)
    model = zoo.build(name, input_shape=(40,), vocabulary=6, outputs=4, output_activation="softmax", units=24, **changes)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


"""
## How far back does the gradient reach?

`kerasgrad.through_time` takes one batch and gives the exact gradient of the loss at the layer's state after each step,
dL/dh_t. Its half-life is the number of steps back after which half of it is left.
"""

before = {name: kerasgrad.through_time(built(name), "rnn1", x[:32], y[:32]) for name in NETS}
for name, label in NETS.items():
    (cell,) = before[name].half_life
    print(f"{label:<28} half-life {before[name].half_life[cell]:.1f} steps")

"""
An LSTM is the cure for forgetting, and yet the second one here forgets within two steps, far worse than the SimpleRNN, whose
orthogonal weights pass on nearly all of a small signal. A gate is what decides: at bias 0 the forget gate is half open, and
keeps half of the memory at each step. Keras begins with bias 1, which keeps 73 %. Chrono biases are spread, so that some
units keep theirs for as long as the sequence is.

The whole answer, and its picture: a straight line falls by the same factor at each step.
"""

print(before["lstm.no_bias"])

kerasgrad.views.memory(before["lstm.no_bias"])

"""
This is the one with chrono biases. Its first steps hear something.
"""

kerasgrad.views.memory(before["lstm.chrono"])

"""
## What it is worth

The same few epochs for both.
"""


def trained(model: keras.Model) -> str:
    """Trains for three epochs, and says what came of it."""
    model.fit(x, y, batch_size=64, epochs=3, verbose=0)
    (life,) = kerasgrad.through_time(model, "rnn1", x[:32], y[:32]).half_life.values()
    return f"accuracy on new sequences {model.evaluate(x_test, y_test, verbose=0)[1]:.0%}, half-life now {life:.1f} steps"


forgetful = built("lstm.no_bias")
print(f"half open: {trained(forgetful)}")

"""
One in four is chance. It did not learn to remember, because the gradient that would have opened its gates never came that
far. The remedy `set_chrono_bias` writes the biases into a copy of the untrained net; all other weights are kept.
"""

remedied = kerasgrad.remedies.apply("set_chrono_bias", built("lstm.no_bias"))
print(remedied)
print(f"chrono: {trained(remedied.model)}")

"""
## While it trains

`through_time` is a question by hand. In a training the monitor records the gradient at the layer's *input* for each step,
which costs next to nothing and shows the same decay. `run.signal_over_time` has the numbers.
"""

model = built("lstm.last")
monitor = kerasgrad.GradientMonitor(update_freq=5, verbose=0)
model.fit(x, y, batch_size=64, epochs=1, callbacks=[monitor], verbose=0)
signal = monitor.run.signal_over_time("rnn1")
print(f"at first the first step gets {signal[0, 0] / signal[0, -1]:.1e} of what the last one gets")

kerasgrad.views.through_time(monitor.run, "rnn1")

"""
## The other way: too much

These recurrent weights stretch the state one and a half times a step. A ReLU lets about half of that through, and still the
gradient grows on its way back. Clipping bounds what one step of training can do.
"""

explosive = built("simple_rnn.large_recurrent")
(factor,) = kerasgrad.through_time(explosive, "rnn1", x[:32], y[:32]).factor.values()
clipped = kerasgrad.remedies.apply("clip_gradients", explosive)
row = kerasgrad.measure(clipped.model, x[:32], y[:32])
left = np.sqrt(sum(part[0] ** 2 for part in row.variable("gradient_norm_clipped").values()))
norm = row.overall("gradient_norm")[0]
print(f"one step back makes {factor:.2f} of the signal; gradient norm {norm:.0f}, clipped {left:.2f}")

"""
Clipping does nothing for a gradient that vanishes: what is not there cannot be bounded.
"""
