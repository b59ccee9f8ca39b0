"""
Title: Residual nets and transformers
Description: Take shortcuts and normalisation out of a ResNet and a transformer, one at a time, and see who needs them.
"""

"""
Shortcuts and normalisation are in every large net of today, and they work together. Here we take out one or the other, look
at what the layers receive before the first step, and put a shortcut back. It takes half a minute and needs no download.

## Setup
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kerasgrad
import zoo

(x, y), (x_test, y_test) = zoo.tasks.digits()
x, x_test = x.reshape(-1, 8, 8, 1), x_test.reshape(-1, 8, 8, 1)

RESNETS = {
    "resnet.no_shortcut_no_norm": "convolutions alone",
    "resnet.no_shortcut": "normalised",
    "resnet.no_norm": "with shortcuts",
    "resnet.cifar": "both",
}


def residual(name: str, depth: int) -> keras.Model:
    """A narrow net for small images, from the same seed."""
    keras.utils.set_random_seed(0)
    model = zoo.build(name, depth=depth, width=8, input_shape=(8, 8, 1))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


"""
## What twenty layers leave

`kerasgrad.measure` looks at one batch and trains nothing. `depth_ratio` is what the first quarter of the layers gets of what
the last quarter gets.
"""

rows = {name: kerasgrad.measure(residual(name, 20), x[:64], y[:64]) for name in RESNETS}
for name, label in RESNETS.items():
    ratio, loss = rows[name].overall("depth_ratio")[0], rows[name].overall("loss")[0]
    print(f"{label:<20} depth ratio {ratio:.1e}, loss {loss:.1f}")

"""
Without either, a hundredth is left, although the weights are He's. Normalisation keeps the signal, and so do shortcuts. But
look at the loss: with shortcuts alone each block adds to what came before, the activations grow, and the untrained net is
sure of what it does not know. (Guessing among ten digits costs 2.3.)
"""

for name, label in RESNETS.items():
    path, largest = max(rows[name].layer("activation_max").items(), key=lambda entry: entry[1][0])
    print(f"{label:<20} largest activation {largest[0]:.1f}, at {path}")

kerasgrad.views.depth_profile(rows["resnet.no_shortcut_no_norm"], baseline=rows["resnet.cifar"])

"""
## Shortcuts, put back

`add_shortcuts` adds them to a copy of the model, with a 1x1 projection where the shape changes. The convolutions keep their
weights. So we can ask with the same batch again: the gradient comes past the very weights that lost it.
"""

plain = residual("resnet.no_shortcut_no_norm", 20)
remedied = kerasgrad.remedies.apply("add_shortcuts", plain)
print(remedied)

row = kerasgrad.measure(remedied.model, x[:64], y[:64])
print(f"depth ratio {row.overall('depth_ratio')[0]:.1e}, loss {row.overall('loss')[0]:.1f}")

"""
The first layers get nine times as much as they did, and the loss tells of the growth that comes with shortcuts alone. Would
normalisation be worth it, too? `kerasgrad.prescribe` tries remedies one by one, and the best two together, and says so in
figures.

## Transformers

A transformer normalises before each sublayer, and leaves the shortcut free from end to end; or after each sum, as the first
one did. Here is the gradient of each block's second dense layer, six blocks, before the first step.
"""

(x, y), _ = zoo.tasks.sentences(examples=500)

TRANSFORMERS = {
    "transformer.classifier": "normalised before",
    "transformer.post_norm": "normalised after",
    "transformer.no_norm": "not normalised",
    "transformer.no_shortcut": "no shortcuts",
}
DEPTH = 6


def attending(name: str) -> keras.Model:
    """Six blocks, 16 wide, from the same seed."""
    keras.utils.set_random_seed(0)
    model = zoo.build(name, depth=DEPTH, width=16, heads=2, input_shape=(16,), classes=2)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


for name, label in TRANSFORMERS.items():
    gradient = kerasgrad.measure(attending(name), x[:64], y[:64]).layer("gradient_norm")
    norms = [f"{gradient[f'block{number}.dense2'][0]:.2f}" for number in range(1, DEPTH + 1)]
    print(f"{label:<18} {'  '.join(norms)}")

"""
All of them are of one size: at six blocks nobody starves. That is worth knowing before one looks for a cure.

What shortcuts are for shows elsewhere. Attention mixes places; attention upon attention makes them all alike (Dong et al.
2021). This is the share of what each block's attention gives that differs between the places of a sentence.
"""


def differing(outputs: np.ndarray) -> float:
    """Norm of what differs between places, of the norm of all; `outputs` are `[examples, places, width]`."""
    return float(np.linalg.norm(outputs - outputs.mean(axis=1, keepdims=True)) / np.linalg.norm(outputs))


for name, label in {"transformer.classifier": "normalised before", "transformer.attention_only": "attention alone"}.items():
    model = attending(name)
    ends = [model.get_layer(f"block{number}.attention").output for number in range(1, DEPTH + 1)]
    shares = [f"{differing(outputs):.0e}" for outputs in keras.Model(model.inputs, ends).predict(x[:64], verbose=0)]
    print(f"{label:<18} {'  '.join(shares)}")

"""
Without shortcuts, after a few layers all places say the same, and what was said at which place is lost.

## A remedy for post-norm

Deep post-norm transformers want their learning rate warmed up (Xiong et al. 2020). `use_pre_norm` moves each normalisation
in front of its sublayer, in a copy that keeps the weights; `warm_up` changes the rate instead.
"""

print(kerasgrad.remedies.apply("use_pre_norm", attending("transformer.post_norm")))
