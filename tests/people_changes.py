"""Freezing, files, noise by Python, and data that is no array, under Keras' own step."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from people import Training, classifier, fitted, layered, line, program, table


@program
def backbone_frozen_then_tuned(seed: int) -> Training:
    """Transfer: only the head, then all of it, compiled anew with a lower rate."""
    x, y = table(seed)
    backbone = keras.Sequential([keras.Input((8,)), layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dense(8)])
    model = keras.Sequential([keras.Input((8,)), backbone, layers.Dense(3, "softmax")])

    def fit(callbacks: Any) -> None:
        for trainable, rate in ((False, 0.01), (True, 0.001)):
            backbone.trainable = trainable
            model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
            model.fit(x, y, batch_size=8, verbose=0, callbacks=callbacks)

    return Training(model, fit=fit)


@program
def frozen_without_compiling_anew(seed: int) -> Training:
    """A layer is frozen between two fits, and nothing is compiled again."""
    x, y = table(seed)
    model = classifier()

    def fit(callbacks: Any) -> None:
        for trainable in (True, False, True):
            model.layers[0].trainable = trainable
            model.fit(x, y, batch_size=8, verbose=0, callbacks=callbacks)

    return Training(model, fit=fit)


@program
def layer_frozen_by_a_callback(seed: int) -> Training:
    """A callback freezes a layer in the middle and makes the train function anew."""
    model = classifier(keras.optimizers.SGD(0.1))

    def freeze(epoch: int, logs: Any) -> None:
        model.layers[0].trainable = epoch != 1
        model.make_train_function(force=True)

    return fitted(model, *table(seed), epochs=3, callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=freeze)])


@program
def saved_and_loaded(seed: int) -> Training:
    """Half of the training, a copy through a file, the other half on the copy, with the optimizer's states."""
    x, y = line(seed)
    now = [layered(8, 1)]
    now[0].compile(keras.optimizers.Adam(0.01), "mse")

    def fit(callbacks: Any) -> None:
        now[0].fit(x, y, batch_size=8, verbose=0, callbacks=callbacks)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "half.keras"
            now[0].save(path)
            now.append(keras.models.load_model(path))
        now[-1].fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=callbacks)

    return Training(lambda: now[-1], fit=fit, held={"first half": now[0]}, moves_otherwise=True)


@program
def low_rank(seed: int) -> Training:
    """Fine-tuning by low-rank updates of a kernel that is frozen."""
    model = classifier()
    model.layers[0].enable_lora(2)
    model.compile("adam", "sparse_categorical_crossentropy")
    return fitted(model, *table(seed))


class Batches(keras.utils.PyDataset):
    """Batches drawn by NumPy, of different sizes."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random, (self.x, self.y) = np.random.default_rng(seed), table(seed)

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Any:
        chosen = self.random.permutation(len(self.x))[: 4 + index]
        return self.x[chosen], self.y[chosen]


@program
def batches_of_ones_own(seed: int) -> Training:
    """A `PyDataset` whose batches differ in size."""
    return fitted(classifier(), Batches(seed))


@program
def endless_generator(seed: int) -> Training:
    """A generator that never ends, with a number of steps."""
    x, y = table(seed)
    noise = np.random.default_rng(seed)

    def batches() -> Any:
        while True:
            chosen = noise.integers(0, len(x), 8)
            yield x[chosen] + noise.normal(size=(8, 8)).astype("float32") * 0.1, y[chosen]

    model = classifier()
    fit = {"epochs": 2, "steps_per_epoch": 5, "shuffle": False, "verbose": 0}
    return Training(model, fit=lambda callbacks: model.fit(batches(), callbacks=list(callbacks), **fit))


@program
def shuffled_tf_data_with_augmentation(seed: int) -> Training:
    """`tf.data` with its own shuffling and noise, without seeds: only the global one."""
    data = tf.data.Dataset.from_tensor_slices(table(seed)).shuffle(44)
    data = data.map(lambda x, y: (x + tf.random.normal((8,), stddev=0.1), y)).batch(8).repeat().prefetch(2)
    return fitted(classifier(), data, steps_per_epoch=5)


class Noisy(layers.Layer):
    """Noise whose strength is a number in Python, drawn by a generator of its own."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale, self.seed_generator, self.calls = scale, keras.random.SeedGenerator(3), 0

    def call(self, x: Any, training: bool = False) -> Any:
        """Counts its calls too."""
        self.calls += 1
        return x + self.scale * keras.random.normal(ops.shape(x), seed=self.seed_generator) if training else x


@program
def noise_is_turned_down(seed: int) -> Training:
    """A callback changes a Python float of a layer, and makes the train function anew so that it counts."""
    noisy = Noisy(1.0)
    model = keras.Sequential([keras.Input((8,)), noisy, layers.Dense(8, activation="relu"), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")

    def quieter(epoch: int, logs: Any) -> None:
        noisy.scale *= 0.5
        model.make_train_function(force=True)

    turned = keras.callbacks.LambdaCallback(on_epoch_begin=quieter)
    return fitted(model, *table(seed), epochs=3, callbacks=[turned], held={"scale": lambda: noisy.scale})


@program
def noise_changes_unseen(seed: int) -> Training:
    """A callback changes a Python float of a layer, eagerly, so that it counts at once."""
    noisy = Noisy(1.0)
    model = keras.Sequential([keras.Input((8,)), noisy, layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    turned = keras.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: setattr(noisy, "scale", noisy.scale * 0.9))
    return fitted(model, *table(seed), callbacks=[turned], held={"scale": lambda: noisy.scale, "calls": lambda: noisy.calls})


@program
def noise_changes_but_is_baked_in(seed: int) -> Training:
    """A callback changes a Python float after the step was traced: people believe that it counts, and it does not."""
    noisy = Noisy(1.0)
    model = keras.Sequential([keras.Input((8,)), noisy, layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    turned = keras.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: setattr(noisy, "scale", noisy.scale * 0.5))
    return fitted(model, *table(seed), callbacks=[turned], held={"scale": lambda: noisy.scale})


class NumpyNoise(layers.Layer):
    """Noise by NumPy and Python's random, which in a graph is drawn once, when it is traced."""

    def call(self, x: Any) -> Any:
        """The same noise for ever after."""
        return x * random.uniform(0.5, 1.5) + np.random.normal(size=(8,)).astype("float32")


@program
def numpy_noise_in_a_layer(seed: int) -> Training:
    """Randomness of Python inside `call`."""
    model = keras.Sequential([keras.Input((8,)), NumpyNoise(), layers.Dense(8, "relu"), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return fitted(model, *table(seed))


@program
def numpy_noise_in_a_layer_eagerly(seed: int) -> Training:
    """The same, where it is drawn anew at each step."""
    model = keras.Sequential([keras.Input((8,)), NumpyNoise(), layers.Dense(8, "relu"), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    return fitted(model, *table(seed))
