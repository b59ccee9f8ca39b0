"""
Title: Deep plain nets, and what each cure is worth
Description: Change one thing at a time in a net of twelve layers, measure what it gives, and let prescribe try for you.
"""

"""
Activation, initialisation, normalisation, shortcuts: each of them was proposed to make deep nets learn. Here we change one
at a time, with all the rest the same, and measure what it is worth. It takes half a minute and needs no download.

## Setup
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import kerasgrad
import zoo

(x, y), (x_test, y_test) = zoo.tasks.digits()

CURES = {
    "plain.sigmoid": "sigmoids",
    "plain.relu_glorot": "ReLU instead",
    "plain.relu": "... with He weights",
    "plain.sigmoid_batch_norm": "sigmoids, normalised",
    "plain.residual": "ReLU, shortcuts, normalised",
}

"""
## Before the first step

`kerasgrad.measure` looks at one batch and trains nothing. `decay_factor` is what a layer leaves of the signal on its way to
the input, `depth_ratio` what the first quarter of the layers gets of what the last gets.
"""


def built(name: str) -> keras.Model:
    """Twelve layers, 32 wide, from the same seed, compiled with plain SGD, which hides nothing."""
    keras.utils.set_random_seed(0)
    model = zoo.build(name, depth=12, width=32)
    model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


for name, label in CURES.items():
    row = kerasgrad.measure(built(name), x[:256], y[:256])
    decay, ratio = row.overall("decay_factor")[0], row.overall("depth_ratio")[0]
    print(f"{label:<28} a layer leaves {decay:.2f}, depth ratio {ratio:.1e}")

"""
A sigmoid's derivative is at most a fourth, and there are eleven of them in a row. A ReLU with Glorot weights, which were
made for tanh, loses about a quarter in each layer; He weights make good for that. Normalisation helps the sigmoids, too.

## After two epochs

A signal that arrives is a condition for learning, and not yet the learning itself.
"""

trained = {}
for name, label in CURES.items():
    model = trained[name] = built(name)
    model.fit(x, y, epochs=2, verbose=0)
    print(f"{label:<28} accuracy on new digits {model.evaluate(x_test, y_test, verbose=0)[1]:.0%}")

"""
## Where two nets part

`kerasgrad.compare` puts two runs beside each other, aligned by relative depth, and says from which layer on they differ.
It takes runs of any kind: those of a training, or one batch each, as here.
"""

runs = {name: kerasgrad.measure(trained[name], x[:256], y[:256]) for name in ("plain.sigmoid", "plain.relu")}
for parting in kerasgrad.compare(runs["plain.sigmoid"], runs["plain.relu"]).partings:
    print(f"{parting.statistic} parts at {parting.layer}: {parting.mine:.1e} against {parting.other:.1e}")

kerasgrad.views.depth_profile(runs["plain.sigmoid"], baseline=runs["plain.relu"])

"""
## Let it be tried

`prescribe` trains a copy for a few steps, diagnoses it, and tries each remedy that the findings name: the same steps, the
same seed, the same batches. Its `repr` is the table: the model as it is, then the trials, the best first. `*` marks what it
takes, `+` what helps as well.
"""

keras.utils.set_random_seed(0)
sick = zoo.build("plain.sigmoid", depth=8, width=32)
sick.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
found = kerasgrad.prescribe(sick, x, y, steps=100, verbose=0)
print(found)

"""
Trials are ranked by the warnings that are left, then by the held-out loss; after so few steps the accuracy may put them in
another order. Neither He nor Glorot weights help by themselves here: the small derivative of the sigmoid is left as it is.

The model that was given is untouched. `found.model` is the best copy, ready to be trained.
"""

found.model.fit(x, y, epochs=3, verbose=0)
print(f"accuracy on new digits {found.model.evaluate(x_test, y_test, verbose=0)[1]:.0%}")
