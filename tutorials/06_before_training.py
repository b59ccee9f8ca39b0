"""
Title: Before training
Description: Ask a model whether it can learn before it is trained, with a checklist, its Jacobians and a rate sweep.
"""

"""
Much of what goes wrong in a training can be seen before it begins. Here are three questions to a model that nobody has
trained yet. Each of them leaves it as it was, to the bit. It takes half a minute and needs no download.

## Setup
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import kerasgrad
import zoo

keras.utils.set_random_seed(0)
(x, y), _ = zoo.tasks.digits()

"""
## The checklist

`audit` reads the model and looks at no data: a last activation that does not fit the loss, a rate out of all proportion, a
batch that is too small for its normalisation. This model was put together in a hurry.
"""

hasty = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(64, activation="relu", name="first"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dense(64, activation="sigmoid", name="second"),
        keras.layers.Dense(10, name="classes"),
    ],
    name="hasty",
)
hasty.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
print(kerasgrad.audit(hasty, batch_size=4))

"""
## What a layer leaves of a gradient

`jacobian` measures how each layer stretches or shrinks what passes through it. For plain nets there is a theory of it: the
mean field of a very wide net. Here are both, of three nets with sixteen layers and random weights; `layers` leaves
out the last one, whose softmax the theory does not cover.
"""

for name in ("plain.sigmoid", "plain.tanh", "plain.relu"):
    keras.utils.set_random_seed(0)
    answer = kerasgrad.jacobian(zoo.build(name, depth=16), x[:32], layers="hidden*", inputs=0)
    lost = f"lost at {answer.lost_at}" if answer.lost_at else "it reaches the first layer"
    print(f"{name}: a layer leaves {answer.factor:.3f} of a gradient (theory: {answer.predicted_factor:.3f}); {lost}")

"""
A factor of 1 keeps a gradient as large as it is. The sigmoid's is less than a fourth, and a fourth of a fourth of a fourth
is soon nothing. The theory is of layers that are infinitely wide, and it holds for these, which have 64 units, almost to the
last digit. The whole answer goes layer by layer.
"""

keras.utils.set_random_seed(0)
sigmoid = zoo.build("plain.sigmoid", depth=16)
answer = kerasgrad.jacobian(sigmoid, x[:32], layers="hidden*", inputs=0)
print(answer)

kerasgrad.views.singular_values(answer)

"""
## Which rate

`lr_range` raises the learning rate from step to step and watches the loss: it falls, and at some rate it explodes. The
suggestion is where it falls most steeply. Weights and optimizer are put back afterwards.
"""

keras.utils.set_random_seed(0)
relu = zoo.build("plain.relu", depth=6)
relu.compile("adam", "sparse_categorical_crossentropy")
swept = kerasgrad.lr_range(relu, x, y, batch_size=128)
print(swept)

kerasgrad.views.lr_range(swept)

"""
And where the rate is not the problem, it says so. This is the sigmoid net again.
"""

sigmoid.compile("adam", "sparse_categorical_crossentropy")
print(kerasgrad.lr_range(sigmoid, x, y, steps=60).warning)
