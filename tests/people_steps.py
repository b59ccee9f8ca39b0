"""Steps of one's own under `fit`: one net, and something particular about its loss, its gradients or its update."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from people import Training, fast_program, fitted, program, table

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def of(kind: type[keras.Model], seed: int, optimizer: Any = "adam", *, metrics: Any = None, **options: Any) -> Training:
    """A net for `table`, of a class whose step is its own."""
    inputs = keras.Input((8,))
    h = layers.Dense(10, activation="tanh")(inputs)
    model = kind(inputs, layers.Dense(3)(layers.Dense(10, activation="relu")(h)))
    model.compile(optimizer, CROSS_ENTROPY, metrics=metrics, **options)
    return fitted(model, *table(seed))


class Accumulated(keras.Model):
    """Gradients of three batches, kept in variables made when they are first needed, applied under `tf.cond`."""

    def compile(self, *args: Any, **options: Any) -> None:
        """The counter and the sums."""
        super().compile(*args, **options)
        self.count = tf.Variable(0, trainable=False, name="count")
        self.sums = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.trainable_variables]

    def train_step(self, data: Any) -> Any:
        """Adds up; applies at every third."""
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        for total, gradient in zip(self.sums, tape.gradient(loss, self.trainable_variables), strict=True):
            total.assign_add(gradient)
        self.count.assign_add(1)
        tf.cond(self.count % 3 == 0, self._apply, lambda: None)
        return {"loss": loss}

    def _apply(self) -> None:
        self.optimizer.apply_gradients(zip([s / 3.0 for s in self.sums], self.trainable_variables, strict=True))
        for total in self.sums:
            total.assign(tf.zeros_like(total))


@fast_program
def accumulated_by_hand(seed: int) -> Training:
    """Accumulation as in a hundred notebooks."""
    training = of(Accumulated, seed)
    model: Any = training.model
    training.held = {"count": model.count, "sums": lambda: np.concatenate([s.numpy().ravel() for s in model.sums])}
    return training


class Sharp(keras.Model):
    """SAM: two tapes, the second one at weights that were moved uphill, and moved back."""

    def train_step(self, data: Any) -> Any:
        """Both passes."""
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        norm = tf.linalg.global_norm(gradients)
        moves = [0.05 * g / (norm + 1e-12) for g in gradients]
        for v, move in zip(self.trainable_variables, moves, strict=True):
            v.assign_add(move)
        with tf.GradientTape() as tape:
            uphill = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(uphill, self.trainable_variables)
        for v, move in zip(self.trainable_variables, moves, strict=True):
            v.assign_sub(move)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss, "uphill": uphill}


@program
def sam(seed: int) -> Training:
    """Sharpness-aware minimisation."""
    return of(Sharp, seed, keras.optimizers.SGD(0.1, momentum=0.9))


class Centralized(keras.Model):
    """Gradient centralisation and adaptive clipping by hand, and a term of the weights."""

    def train_step(self, data: Any) -> Any:
        """Gradients are changed between tape and optimizer."""
        x, y = data
        with tf.GradientTape() as tape:
            logits = self(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
            loss += 1e-3 * tf.add_n([tf.nn.l2_loss(v) for v in self.trainable_weights if "kernel" in v.name])
        gradients = tape.gradient(loss, self.trainable_weights)
        gradients = [g - tf.reduce_mean(g, axis=0, keepdims=True) if len(g.shape) > 1 else g for g in gradients]
        gradients, norm = tf.clip_by_global_norm(gradients, 0.5)
        self.optimizer.apply(gradients, self.trainable_weights)
        for metric in self.metrics:
            metric.update_state(loss) if metric.name == "loss" else metric.update_state(y, logits)
        return {**{m.name: m.result() for m in self.metrics}, "norm": norm}


@program
def centralized_and_clipped_by_hand(seed: int) -> Training:
    """Gradients that somebody works on before they are applied."""
    return of(Centralized, seed, metrics=["accuracy"])


class Smooth(keras.Model):
    """A penalty on the gradient of the outputs by the inputs: one tape inside the other."""

    def train_step(self, data: Any) -> Any:
        """Double backpropagation."""
        x, y = data
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                logits = self(x, training=True)
            slope = inner.gradient(logits, x)
            loss = self.compute_loss(x, y, logits) + 0.1 * tf.reduce_mean(tf.square(slope))
        self.optimizer.apply_gradients(
            zip(outer.gradient(loss, self.trainable_variables), self.trainable_variables, strict=True)
        )
        return self.compute_metrics(x, y, logits)


@program
def gradient_penalty(seed: int) -> Training:
    """Nested tapes."""
    return of(Smooth, seed, metrics=["accuracy"])


class Adversarial(keras.Model):
    """Fast gradient sign: the first tape watches the inputs, the second trains on what it made."""

    def train_step(self, data: Any) -> Any:
        """Trains on the worse examples."""
        x, y = data
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = CROSS_ENTROPY(y, self(x, training=False))
        worse = x + 0.1 * tf.sign(tape.gradient(loss, x))
        return super().train_step((tf.stop_gradient(worse), y))


@program
def adversarial_examples(seed: int) -> Training:
    """A step of one's own that ends in Keras' own."""
    return of(Adversarial, seed, metrics=["accuracy"])


class TwoRates(keras.Model):
    """One persistent tape, two optimizers, each with its part of the weights."""

    def compile(self, *args: Any, **options: Any) -> None:
        """The second optimizer."""
        super().compile(*args, **options)
        self.slow = keras.optimizers.SGD(0.01)

    def train_step(self, data: Any) -> Any:
        """Body slowly, head fast."""
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            logits = self(x, training=True)
            loss = CROSS_ENTROPY(y, logits)
        body, head = self.trainable_variables[:4], self.trainable_variables[4:]
        self.slow.apply_gradients(zip(tape.gradient(loss, body), body, strict=True))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, head), head, strict=True))
        del tape
        return {"loss": loss}


@fast_program
def two_optimizers_one_persistent_tape(seed: int) -> Training:
    """Different rates for different layers."""
    training = of(TwoRates, seed)
    model: Any = training.model
    training.held = {"slow": model.slow}
    return training


class Counting(keras.Model):
    """State in Python: a list, a counter, random numbers, and a branch on them."""

    seen: tuple[Any, ...] = ()
    calls = 0

    def train_step(self, data: Any) -> Any:
        """Scales the loss by numbers that Python draws, which in a graph happens when it is traced."""
        x, y = data
        self.calls += 1
        scale = random.random() + np.random.rand()
        with tf.GradientTape() as tape:
            loss = CROSS_ENTROPY(y, self(x, training=True)) * scale
        gradients = tape.gradient(loss, self.trainable_variables)
        if self.calls % 2:
            gradients = [g * 0.1 for g in gradients]
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


@program
def python_counts_while_tracing(seed: int) -> Training:
    """What Python does in the step happens once, when the step is traced: odd, and common."""
    return of(Counting, seed)


@program
def python_counts_at_each_step(seed: int) -> Training:
    """The same, eagerly."""
    training = of(Counting, seed, run_eagerly=True)
    model: Any = training.model
    training.held = {"calls": lambda: model.calls}
    return training


class OwnLoss(keras.Model):
    """`compute_loss` and `compute_metrics` of one's own, with a weight of one's own that learns."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.temperature = self.add_weight(shape=(), initializer="ones", name="temperature")
        self.tracker = keras.metrics.Mean(name="sharpness")

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: Any = True
    ) -> Any:
        """Cross-entropy at a learned temperature."""
        self.tracker.update_state(self.temperature)
        return CROSS_ENTROPY(y, y_pred / self.temperature) + sum(self.losses)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """One number more."""
        return {**super().compute_metrics(x, y, y_pred, sample_weight), "sharpness": self.tracker.result()}


@program
def own_loss_and_metrics(seed: int) -> Training:
    """Keras' own step with a loss of one's own."""
    return of(OwnLoss, seed, metrics=["accuracy"])
