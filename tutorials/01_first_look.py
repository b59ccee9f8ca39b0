"""
Title: A first look at gradients
Description: Watch a net that cannot learn, read the report, and see which layer starves.
"""

"""
A deep net that does not learn says nothing about why: the loss stands still, and that is all. Here we train one under
`GradientMonitor`, read what each of its layers received, and compare it with a net of the same depth that learns.
It takes half a minute and needs no download.

## Setup
"""

import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import kerasgrad
import zoo

keras.utils.set_random_seed(0)
logs = tempfile.TemporaryDirectory()  # in your own work: "logs"

"""
## A net that cannot learn

The data are the handwritten digits that come with scikit-learn. The model is twelve `Dense` layers, all hidden ones with a
sigmoid. (`python -m zoo list` shows what else there is.)
"""

(x, y), (x_test, y_test) = zoo.tasks.digits()

model = zoo.build("plain.sigmoid", depth=12)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

"""
One callback is all that it takes. It looks at the gradients that train the model, so there is no second pass;
`update_freq=5` takes a sample at every fifth batch. Without it the monitor chooses by itself, and keeps its cost low.
"""

monitor = kerasgrad.GradientMonitor(f"{logs.name}/sigmoid", update_freq=5)
model.fit(x, y, epochs=3, callbacks=[monitor], verbose=2)

"""
## Reading the report

`monitor.run` is the record of the training, and its `repr` is the report: the layers in the order in which the data pass
through them, the input on top. The *signal* is the gradient of the loss with respect to a layer's output: what a layer is
told about how it should change.
"""

print(monitor.run)

"""
Read it from the bottom up, the way the gradient travels. The last layer is told something; each layer before it passes on a
fraction, and the first ones hear nothing. This is the vanishing gradient, and more training does not cure it. As a picture,
layer by step:
"""

kerasgrad.views.flow(monitor.run)

"""
## The numbers themselves

`run.layer` gives a statistic of every layer by its path, one number a sample. `run.overall` gives one of the whole
model: `depth_ratio` is the signal of the first quarter of the layers divided by that of the last. Three or four orders
of magnitude below 1 is vanishing.
"""

signal = monitor.run.layer("signal_rms")
for path in ("hidden01", "hidden06", "hidden11", "classes"):
    print(f"{path}: {signal[path][-1]:.1e}")

print(f"depth ratio: {monitor.run.overall('depth_ratio')[-1]:.1e}")

"""
Every statistic has its unit and formula in the catalogue.
"""

for name in ("signal_rms", "depth_ratio"):
    statistic = next(s for s in kerasgrad.catalogue.STATISTICS if s.name == name)
    print(f"{name}: {statistic.formula}")

"""
## The same depth, another activation

A sigmoid passes on a quarter of the signal at best. A ReLU passes on all of it or nothing, and He initialisation makes
good for the half that is lost: the same twelve layers, and the first of them hears as much as the last.
"""

healthy = zoo.build("plain.relu", depth=12)
healthy.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
watched = kerasgrad.GradientMonitor(f"{logs.name}/relu", update_freq=5)
healthy.fit(x, y, epochs=3, callbacks=[watched], verbose=2)

for name, trained, run in (("sigmoid", model, monitor.run), ("relu", healthy, watched.run)):
    accuracy = trained.evaluate(x_test, y_test, verbose=0)[1]
    print(f"{name}: depth ratio {run.overall('depth_ratio')[-1]:.1e}, accuracy on new digits {accuracy:.0%}")

"""
## Later, without the model

The run is on disk, in a file that TensorBoard reads: `tensorboard --logdir logs`. It loads back with the same numbers,
without TensorFlow, so that a laptop can look at what a cluster trained.
"""

run = kerasgrad.Run.load(f"{logs.name}/sigmoid")
print(f"{len(run)} samples, steps {run.steps[0]} to {run.steps[-1]}, depth ratio {run.overall('depth_ratio')[-1]:.1e}")

logs.cleanup()
