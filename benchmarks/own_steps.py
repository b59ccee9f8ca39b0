"""Models with a training step of their own, as Keras' guides write them: a VAE, a DCGAN, and a trainer around a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from harness import Case
from keras import layers

LATENT = 16


class Sampling(layers.Layer):
    """A draw from the normal distribution of these means and logarithms of variances."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, given: Any) -> Any:
        """See the class."""
        mean, log_variance = given
        return mean + keras.ops.exp(0.5 * log_variance) * keras.random.normal(keras.ops.shape(mean), seed=self.seeds)


class Vae(keras.Model):
    """A convolutional variational autoencoder of images of 28 x 28."""

    def __init__(self) -> None:
        super().__init__()
        inputs = keras.Input((28, 28, 1))
        x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(inputs)
        x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(x)
        x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
        mean, log_variance = layers.Dense(LATENT)(x), layers.Dense(LATENT)(x)
        self.encoder = keras.Model(inputs, [mean, log_variance, Sampling()([mean, log_variance])])
        self.decoder = keras.Sequential(
            [keras.Input((LATENT,)), layers.Dense(7 * 7 * 64, activation="relu"), layers.Reshape((7, 7, 64)),
             layers.Conv2DTranspose(64, 3, strides=2, padding="same", activation="relu"),
             layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu"),
             layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")]
        )  # fmt: skip
        self.trackers = [keras.metrics.Mean(name=name) for name in ("loss", "reconstruction", "divergence")]

    def train_step(self, data: Any) -> Any:
        """Reconstruction and Kullback-Leibler divergence."""
        x, _ = data
        with tf.GradientTape() as tape:
            mean, log_variance, z = self.encoder(x)
            error = keras.ops.sum(keras.losses.binary_crossentropy(x, self.decoder(z)), axis=(1, 2))
            divergence = -0.5 * (1 + log_variance - keras.ops.square(mean) - keras.ops.exp(log_variance))
            parts = keras.ops.mean(error), keras.ops.mean(keras.ops.sum(divergence, axis=1))
            loss = parts[0] + parts[1]
        variables = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for tracker, value in zip(self.trackers, (loss, *parts), strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}


class Dcgan(keras.Model):
    """A generator and a discriminator of images of 28 x 28, each with an optimizer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = keras.Sequential(
            [keras.Input((LATENT,)), layers.Dense(7 * 7 * 32), layers.Reshape((7, 7, 32)),
             layers.Conv2DTranspose(32, 4, strides=2, padding="same"), layers.LeakyReLU(0.2),
             layers.Conv2DTranspose(64, 4, strides=2, padding="same"), layers.LeakyReLU(0.2),
             layers.Conv2D(1, 5, padding="same", activation="sigmoid")]
        )  # fmt: skip
        self.discriminator = keras.Sequential(
            [keras.Input((28, 28, 1)), layers.Conv2D(32, 4, strides=2, padding="same"), layers.LeakyReLU(0.2),
             layers.Conv2D(64, 4, strides=2, padding="same"), layers.LeakyReLU(0.2), layers.Flatten(), layers.Dropout(0.2),
             layers.Dense(1)]
        )  # fmt: skip
        self.seeds = keras.random.SeedGenerator(2)
        self.optimizers = keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4)
        self.judged = keras.losses.BinaryCrossentropy(from_logits=True)
        self.trackers = [keras.metrics.Mean(name=name) for name in ("d_loss", "g_loss")]

    def train_step(self, data: Any) -> Any:
        """The discriminator first, then the generator."""
        real, _ = data
        count = keras.ops.shape(real)[0]
        fake = self.generator(keras.random.normal((count, LATENT), seed=self.seeds))
        images = keras.ops.concatenate([fake, real], axis=0)
        labels = keras.ops.concatenate([keras.ops.ones((count, 1)), keras.ops.zeros((count, 1))], axis=0)
        with tf.GradientTape() as tape:
            d_loss = self.judged(labels, self.discriminator(images))
        self._update(0, self.discriminator, tape, d_loss)
        noise = keras.random.normal((count, LATENT), seed=self.seeds)
        with tf.GradientTape() as tape:
            g_loss = self.judged(keras.ops.zeros((count, 1)), self.discriminator(self.generator(noise)))
        self._update(1, self.generator, tape, g_loss)
        for tracker, value in zip(self.trackers, (d_loss, g_loss), strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def _update(self, number: int, net: keras.Model, tape: tf.GradientTape, loss: Any) -> None:
        gradients = tape.gradient(loss, net.trainable_weights)
        self.optimizers[number].apply_gradients(zip(gradients, net.trainable_weights, strict=True))


class Trainer(keras.Model):
    """A model around a model, with a step, a loss and metrics of its own."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.model = model
        self.loss_metric = keras.metrics.Mean(name="loss")
        self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        self.loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def call(self, x: Any) -> Any:
        """What the model gives."""
        return self.model(x)

    def train_step(self, data: Any) -> Any:
        """The usual one, by hand."""
        x, y = data
        with tf.GradientTape() as tape:
            logits = self.model(x, training=True)
            loss = self.loss_function(y, logits)
        variables = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.loss_metric.update_state(loss)
        self.accuracy.update_state(y, logits)
        return {metric.name: metric.result() for metric in (self.loss_metric, self.accuracy)}


def _around() -> keras.Model:
    stack = [layers.Conv2D(n, 3, strides=2, padding="same", activation="relu") for n in (32, 64, 64)]
    return Trainer(keras.Sequential([keras.Input((28, 28, 1)), *stack, layers.Flatten(), layers.Dense(10)]))


MODELS: dict[str, Callable[[], keras.Model]] = {"VAE": Vae, "DCGAN": Dcgan, "Trainer": _around}


def compiled(name: str, jit_compile: bool = False) -> Case:
    """One of the models, compiled with Adam, from a fixed seed, with images of noise in batches of 32."""
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    model.compile("adam", jit_compile=jit_compile)
    random = np.random.default_rng(0)
    return Case(model, random.uniform(size=(40 * 32, 28, 28, 1)).astype("float32"), random.integers(0, 10, 40 * 32), 32)
