"""Nets that learn what data look like, under `fit`: codes, noise, distances, experts, and speech by CTC."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from people import Training, layered, program, table
from people_nets import descend, fits


class Sampling(layers.Layer):
    """Keras' own example, seed generator and all."""

    def __init__(self) -> None:
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs: Any) -> Any:
        """Mean and logarithm of the variance -> a sample."""
        mean, log_var = inputs
        return mean + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean), seed=self.seed_generator)


class Vae(keras.Model):
    """Encoder with three outputs, decoder, three trackers."""

    def __init__(self) -> None:
        super().__init__()
        x = keras.Input((8,))
        h = layers.Dense(8, activation="relu")(x)
        mean, log_var = layers.Dense(2)(h), layers.Dense(2)(h)
        self.encoder = keras.Model(x, [mean, log_var, Sampling()([mean, log_var])])
        self.decoder = layered(8, 8, inputs=2)
        self.trackers = [keras.metrics.Mean(name=name) for name in ("total", "reconstruction", "kl")]

    def train_step(self, x: Any) -> Any:
        """Reconstruction and KL."""
        with tf.GradientTape() as tape:
            mean, log_var, z = self.encoder(x)
            reconstruction = ops.mean(ops.sum(ops.square(x - self.decoder(z)), axis=1))
            kl = ops.mean(ops.sum(-0.5 * (1 + log_var - ops.square(mean) - ops.exp(log_var)), axis=1))
            total = reconstruction + kl
        grads = tape.gradient(total, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights, strict=True))
        for tracker, value in zip(self.trackers, (total, reconstruction, kl), strict=True):
            tracker.update_state(value)
        return {t.name: t.result() for t in self.trackers}


@program
def vae(seed: int) -> Training:
    """Keras' example."""
    model = Vae()
    model.compile("adam")
    return fits(model, seed)


class Quantizer(layers.Layer):
    """A code book that learns by `add_loss`, through which gradients pass straight."""

    def build(self, shape: Any) -> None:
        """Codes as columns."""
        self.codes = self.add_weight(shape=(shape[-1], 7), initializer="uniform", name="codes")

    def call(self, x: Any) -> Any:
        """The nearest code."""
        apart = ops.sum(x**2, axis=1, keepdims=True) + ops.sum(self.codes**2, axis=0) - 2 * ops.matmul(x, self.codes)
        nearest = ops.matmul(ops.one_hot(ops.argmin(apart, axis=1), 7), ops.transpose(self.codes))
        self.add_loss(0.25 * ops.mean((ops.stop_gradient(nearest) - x) ** 2))
        self.add_loss(ops.mean((nearest - ops.stop_gradient(x)) ** 2))
        return x + ops.stop_gradient(nearest - x)


@program
def vq_vae(seed: int) -> Training:
    """Encoder, code book, decoder, by Keras' own step."""
    x, _ = table(seed)
    model = keras.Sequential([keras.Input((8,)), layered(8, 4), Quantizer(), layered(8, 8, inputs=4)])
    model.compile("adam", "mse")
    return Training(model, fit=lambda callbacks: model.fit(x, x, epochs=2, verbose=0, batch_size=8, callbacks=callbacks))


class Diffusion(keras.Model):
    """Denoising with random times, an averaged net, and a normalizer adapted before."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source, self.seeds = source, keras.random.SeedGenerator(5)
        self.normalizer = layers.Normalization()
        self.network = layered(12, 8, activation="swish", inputs=9)
        self.ema_network = keras.models.clone_model(self.network)

    def draw(self, shape: Any) -> Any:
        """Noise by one source or the other."""
        return tf.random.normal(shape) if self.source == "tf" else keras.random.normal(shape, seed=self.seeds)

    def train_step(self, x: Any) -> Any:
        """Predicts the noise."""
        x = self.normalizer(x, training=True)
        noise, time = self.draw(ops.shape(x)), ops.abs(ops.sin(self.draw((ops.shape(x)[0], 1))))
        with tf.GradientTape() as tape:
            guess = self.network(
                ops.concatenate([ops.sqrt(1 - time) * x + ops.sqrt(time) * noise, time], axis=1), training=True
            )
            loss = ops.mean(ops.abs(guess - noise))
        descend(tape, loss, self.network.trainable_weights, self.optimizer)
        for weight, ema in zip(self.network.weights, self.ema_network.weights, strict=True):
            ema.assign(0.99 * ema + 0.01 * weight)
        return {"loss": loss}


def _diffusion(source: str, seed: int) -> Training:
    model = Diffusion(source)
    model.normalizer.adapt(table(seed)[0])
    model.compile(keras.optimizers.AdamW(1e-3))
    training = fits(model, seed)
    training.moves_otherwise = True
    return training


@program
def diffusion_with_keras_noise(seed: int) -> Training:
    """A seed generator whose state moves with each step."""
    return _diffusion("keras", seed)


@program
def diffusion_with_tf_noise(seed: int) -> Training:
    """Stateful random operations under the global seed."""
    return _diffusion("tf", seed)


class Experts(keras.Model):
    """A mixture of experts: the gate decides, `tf.cond` leaves one of them out, and so does the balance loss."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = layers.Dense(2, activation="softmax")
        self.experts = [layers.Dense(3, activation="tanh"), layers.Dense(3)]

    def build(self, shape: Any) -> None:
        """All at once: variables may not be made in a branch."""
        for layer in (self.gate, *self.experts):
            layer.build(shape)
        self.built = True

    def call(self, x: Any) -> Any:
        """One expert for the whole batch, weighted by its gate."""
        share = self.gate(x)
        first = tf.reduce_mean(share[:, 0]) > tf.reduce_mean(share[:, 1])
        self.add_loss(0.1 * tf.reduce_sum(tf.reduce_mean(share, axis=0) ** 2))
        return tf.cond(first, lambda: self.experts[0](x) * share[:, :1], lambda: self.experts[1](x) * share[:, 1:])


@program
def experts_under_a_condition(seed: int) -> Training:
    """Gradients that come from a branch."""
    x, y = table(seed)
    model = Experts()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return Training(model, fit=lambda callbacks: model.fit(x, y, epochs=2, verbose=0, batch_size=8, callbacks=callbacks))


class Triplets(keras.Model):
    """Anchors, positives and negatives through one embedding, mined in the step."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = layered(8, 4)
        self.temperature = self.add_weight(shape=(), initializer="ones", name="temperature")

    def train_step(self, data: Any) -> Any:
        """The hardest of the batch, and a contrastive term at a learned temperature."""
        x, y = data
        with tf.GradientTape() as tape:
            e = tf.math.l2_normalize(self.embedding(x, training=True), axis=1)
            apart = 2.0 - 2.0 * tf.matmul(e, e, transpose_b=True)
            same = tf.cast(y[:, None] == y[None], tf.float32)
            hardest = tf.reduce_max(apart * same, axis=1) - tf.reduce_min(apart + 4 * same, axis=1)
            contrast = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.range(tf.shape(x)[0]), -apart / self.temperature)
            loss = tf.reduce_mean(tf.nn.relu(hardest + 0.2)) + 0.1 * tf.reduce_mean(contrast)
        descend(tape, loss, self.trainable_variables, self.optimizer)
        return {"loss": loss}


@program
def triplets_and_contrast(seed: int) -> Training:
    """Metric learning."""
    x, y = table(seed)
    model = Triplets()
    model.compile("adam")
    return Training(model, fit=lambda callbacks: model.fit(x, y, epochs=2, verbose=0, batch_size=8, callbacks=callbacks))


@program
def ctc(seed: int) -> Training:
    """Speech as Keras trains it: recurrent, with the CTC loss."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(16, 12, 4)).astype("float32")
    y = random.integers(1, 5, size=(16, 3))
    model = keras.Sequential(
        [keras.Input((12, 4)), layers.Bidirectional(layers.GRU(4, return_sequences=True)), layers.Dense(5)]
    )
    model.compile("adam", keras.losses.CTC())
    return Training(model, fit=lambda callbacks: model.fit(x, y, epochs=2, verbose=0, batch_size=8, callbacks=callbacks))
