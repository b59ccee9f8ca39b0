"""
Title: Training loops of your own
Description: Watch a loop with a GradientTape, measure one batch by hand, and stop when a rule says so.
"""

"""
Not every training is a `fit`. `kerasgrad.watch` records a loop of your own, with the same numbers and the same rules. What
you change in your loop is one line. It takes half a minute and needs no download.

## Setup
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import kerasgrad
import zoo

cpu = tf.config.list_physical_devices("CPU")[0]  # as two devices, for the end of this tutorial
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

keras.utils.set_random_seed(0)
(x, y), (x_test, y_test) = zoo.tasks.digits()
batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=0).batch(32)

"""
## A loop

This is a training step as the guides of Keras write it. The model is not compiled; the step has its tape, its loss and its
optimizer.
"""

loss_of = keras.losses.SparseCategoricalCrossentropy()


def step_of(model: keras.Model, optimizer: keras.optimizers.Optimizer):
    """A training step of the model, as a graph."""

    @tf.function
    def train_step(images, labels):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(images, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return train_step


"""
`w.step(train_step, images, labels)` stands where `train_step(images, labels)` stood, and gives what that gives. Steps that
are not sampled run your function as it is; of the others a watched twin is traced. `w.end_epoch` tells the rules what you
know of an epoch, by the names that Keras uses.
"""

model = zoo.build("plain.relu", depth=6)
train_step = step_of(model, keras.optimizers.Adam())

with kerasgrad.watch(model, update_freq=5, verbose=0) as w:
    for epoch in range(2):
        losses = [float(w.step(train_step, images, labels)) for images, labels in batches]
        val_loss = float(loss_of(y_test, model(x_test)))
        w.end_epoch(loss=float(np.mean(losses)), val_loss=val_loss)
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, on new digits {val_loss:.3f}")

print(w.run)

kerasgrad.views.update_ratios(w.run)

"""
The report is that of `fit`. *update/w* is the size of a step beside the size of the weights: it was measured around your
optimizer, and is about a thousandth, as it should be.

## One batch by hand

`kerasgrad.measure` asks the same of one batch and trains nothing. It runs the model's own training step and holds the update
back, so it wants a compiled model. Here it looks at the same net before it was trained.
"""

keras.utils.set_random_seed(0)
untrained = zoo.build("plain.relu", depth=6)
untrained.compile("adam", "sparse_categorical_crossentropy")
before = [np.array(weight) for weight in untrained.get_weights()]

row = kerasgrad.measure(untrained, x[:256], y[:256])
for path, signal in row.layer("signal_rms").items():
    print(f"{path}: {signal[0]:.1e}")

same = all(np.array_equal(old, new) for old, new in zip(before, untrained.get_weights(), strict=True))
print(f"the weights are what they were, to the bit: {same}")

"""
## Stop when a rule says so

The rules judge while the loop runs. `stop_on` names findings that should end it, and `w.should_stop` says that one stands.
Here are twelve sigmoids, which will not learn. The rule waits until there is no doubt that the loss stands still.
"""

keras.utils.set_random_seed(0)
deep = zoo.build("plain.sigmoid", depth=12)
deep_step = step_of(deep, keras.optimizers.Adam())

with kerasgrad.watch(deep, update_freq=2, stop_on="vanishing_gradient", verbose=0) as w:
    count = 0
    for images, labels in batches.repeat():
        w.step(deep_step, images, labels)
        count += 1
        if w.should_stop or count == 200:
            break

print(f"stopped after {count} steps")
for finding in w.diagnosis:
    print(f"{finding.severity} {finding.rule}: {finding.summary}")

"""
## Several devices

Under a strategy of TensorFlow, make the model and its optimizer in the strategy's scope, and hand `w.step` the function that
calls `strategy.run`. The run is that of all replicas together: the gradient is their sum, which is what trains the model.
"""

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    shared = zoo.build("plain.relu", depth=4)
    optimizer = keras.optimizers.Adam()
    optimizer.build(shared.trainable_variables)


def on_each_replica(images, labels):
    """Its share of the mean over a batch of 32."""
    with tf.GradientTape() as tape:
        each = keras.losses.sparse_categorical_crossentropy(labels, shared(images, training=True))
        loss = tf.reduce_sum(each) / 32
    optimizer.apply(tape.gradient(loss, shared.trainable_variables), shared.trainable_variables)
    return loss


@tf.function
def shared_step(images, labels):
    """The step of all of them."""
    return strategy.reduce("SUM", strategy.run(on_each_replica, args=(images, labels)), axis=None)


with kerasgrad.watch(shared, update_freq=5, verbose=0) as w:
    for images, labels in strategy.experimental_distribute_dataset(batches):
        loss = w.step(shared_step, images, labels)

print(f"{w.run.facts['replicas']} replicas, {len(w.run)} samples, loss {w.run.overall('loss')[0]:.2f} -> {float(loss):.2f}")

"""
The same loop serves `MultiWorkerMirroredStrategy`, for which Keras 3 has no `fit` (keras#20585). Each process watches, and
the first one writes. Give `update_freq` a number there, since all of them have to sample the same steps.
"""
