"""Several nets in one model, under `fit`: generators and critics, students and teachers, encoders and code books."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from people import Training, fast_program, layered, line, program, table

BINARY = keras.losses.BinaryCrossentropy(from_logits=True)


def descend(tape: tf.GradientTape, loss: Any, variables: list[Any], optimizer: Any) -> None:
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))


def fits(model: keras.Model, seed: int, **options: Any) -> Training:
    x, _ = table(seed)
    fit = {"epochs": 2, "batch_size": 8, "verbose": 0, **options}
    held = {name: value for name, value in vars(model).items() if isinstance(value, keras.optimizers.Optimizer)}
    return Training(model, fit=lambda callbacks: model.fit(x, callbacks=callbacks, **fit), held=held)


class Gan(keras.Model):
    """The GAN of Keras' guide."""

    def __init__(self) -> None:
        super().__init__()
        self.critic, self.generator = layered(8, 1), layered(8, 8, inputs=4)
        self.d_loss, self.g_loss = keras.metrics.Mean(name="d_loss"), keras.metrics.Mean(name="g_loss")

    def compile(self, d_optimizer: Any, g_optimizer: Any) -> None:
        """Two optimizers."""
        super().compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer

    @property
    def metrics(self) -> list[Any]:
        """Two losses."""
        return [self.d_loss, self.g_loss]

    def train_step(self, x: Any) -> Any:
        """The critic on both, then the generator through the critic."""
        n = tf.shape(x)[0]
        noise = tf.random.normal((n, 4))
        both = tf.concat([self.generator(noise), x], axis=0)
        labels = tf.concat([tf.ones((n, 1)), tf.zeros((n, 1))], axis=0)
        labels += 0.05 * tf.random.uniform(tf.shape(labels))
        with tf.GradientTape() as tape:
            d_loss = BINARY(labels, self.critic(both))
        descend(tape, d_loss, self.critic.trainable_weights, self.d_optimizer)
        noise = tf.random.normal((n, 4))
        with tf.GradientTape() as tape:
            g_loss = BINARY(tf.zeros((n, 1)), self.critic(self.generator(noise)))
        descend(tape, g_loss, self.generator.trainable_weights, self.g_optimizer)
        self.d_loss.update_state(d_loss)
        self.g_loss.update_state(g_loss)
        return {m.name: m.result() for m in self.metrics}


@fast_program
def gan(seed: int) -> Training:
    """Noise by TensorFlow, two tapes, two optimizers."""
    model = Gan()
    model.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3, beta_1=0.5))
    return fits(model, seed)


class WGan(Gan):
    """Several critic steps in a Python loop, each with a gradient penalty."""

    def train_step(self, x: Any) -> Any:
        """Five and one."""
        n = tf.shape(x)[0]
        for _ in range(3):
            with tf.GradientTape() as tape:
                fake = self.generator(tf.random.normal((n, 4)), training=True)
                d_loss = tf.reduce_mean(self.critic(fake)) - tf.reduce_mean(self.critic(x)) + 10 * self._penalty(x, fake)
            descend(tape, d_loss, self.critic.trainable_variables, self.d_optimizer)
        with tf.GradientTape() as tape:
            g_loss = -tf.reduce_mean(self.critic(self.generator(tf.random.normal((n, 4)), training=True)))
        descend(tape, g_loss, self.generator.trainable_variables, self.g_optimizer)
        return {"d_loss": d_loss, "g_loss": g_loss}

    def _penalty(self, real: Any, fake: Any) -> Any:
        mixed = real + tf.random.uniform((tf.shape(real)[0], 1)) * (fake - real)
        with tf.GradientTape() as tape:
            tape.watch(mixed)
            score = self.critic(mixed, training=True)
        slope = tape.gradient(score, [mixed])[0]
        return tf.reduce_mean((tf.norm(slope, axis=1) - 1.0) ** 2)


@program
def wgan_gp(seed: int) -> Training:
    """Nested tapes inside a loop."""
    model = WGan()
    model.compile(keras.optimizers.RMSprop(1e-3), keras.optimizers.RMSprop(1e-3))
    return fits(model, seed)


class Cycle(keras.Model):
    """Four nets, four optimizers, one persistent tape."""

    def __init__(self) -> None:
        super().__init__()
        self.gen_g, self.gen_f, self.disc_x, self.disc_y = layered(8, 8), layered(8, 8), layered(6, 1), layered(6, 1)
        self.opt_g, self.opt_f, self.opt_x, self.opt_y = (keras.optimizers.Adam(1e-3, 0.5) for _ in range(4))

    def train_step(self, x: Any) -> Any:
        """CycleGAN's step."""
        y = tf.reverse(x, axis=[1]) * 2.0
        with tf.GradientTape(persistent=True) as tape:
            fake_y, fake_x = self.gen_g(x), self.gen_f(y)
            cycle = tf.reduce_mean(tf.abs(self.gen_f(fake_y) - x)) + tf.reduce_mean(tf.abs(self.gen_g(fake_x) - y))
            g = tf.reduce_mean((self.disc_y(fake_y) - 1) ** 2) + 10 * cycle
            f = tf.reduce_mean((self.disc_x(fake_x) - 1) ** 2) + 10 * cycle
            dx = tf.reduce_mean((self.disc_x(x) - 1) ** 2) + tf.reduce_mean(self.disc_x(fake_x) ** 2)
            dy = tf.reduce_mean((self.disc_y(y) - 1) ** 2) + tf.reduce_mean(self.disc_y(fake_y) ** 2)
        descend(tape, g, self.gen_g.trainable_variables, self.opt_g)
        descend(tape, f, self.gen_f.trainable_variables, self.opt_f)
        descend(tape, dx, self.disc_x.trainable_variables, self.opt_x)
        descend(tape, dy, self.disc_y.trainable_variables, self.opt_y)
        return {"g": g, "f": f, "dx": dx, "dy": dy}


@program
def cycle_gan(seed: int) -> Training:
    """Four nets."""
    model = Cycle()
    model.compile()
    return fits(model, seed)


class Teacher(keras.Model):
    """BYOL: the teacher is the moving average of the student, moved by `assign` in the step."""

    def __init__(self) -> None:
        super().__init__()
        self.online, self.predictor, self.target = layered(8, 6), layered(6, 6, inputs=6), layered(8, 6)
        self.target.set_weights(self.online.get_weights())

    def call(self, x: Any) -> Any:
        """The student."""
        return self.predictor(self.online(x))

    def train_step(self, x: Any) -> Any:
        """Two views, one loss, then the teacher follows."""
        a, b = (x + tf.random.normal(tf.shape(x), stddev=0.1) for _ in range(2))
        student = self.online.trainable_weights + self.predictor.trainable_weights
        with tf.GradientTape() as tape:
            wanted = tf.stop_gradient(tf.math.l2_normalize(self.target(b), axis=1))
            loss = 2 - 2 * tf.reduce_mean(tf.reduce_sum(tf.math.l2_normalize(self(a), axis=1) * wanted, axis=1))
        descend(tape, loss, student, self.optimizer)
        for slow, fast in zip(self.target.weights, self.online.weights, strict=True):
            slow.assign(0.9 * slow + 0.1 * fast)
        return {"loss": loss}


@program
def byol_whose_teacher_is_trainable(seed: int) -> Training:
    """Nobody has set `teacher.trainable = False`, and the tape leaves it out."""
    model = Teacher()
    model.compile("adam")
    training = fits(model, seed)
    training.moves_otherwise = True
    return training


@program
def byol(seed: int) -> Training:
    """The teacher is frozen."""
    model = Teacher()
    model.target.trainable = False
    model.compile("adam")
    return fits(model, seed)


@program
def teacher_moved_by_a_callback(seed: int) -> Training:
    """Mean teacher: a callback moves it after each batch."""
    x, y = line(seed)
    student, teacher = layered(8, 1), layered(8, 1)
    student.compile("adam", "mse")

    def follow(batch: int, logs: Any) -> None:
        for slow, fast in zip(teacher.weights, student.weights, strict=True):
            slow.assign(0.9 * slow + 0.1 * fast)

    after = keras.callbacks.LambdaCallback(on_train_batch_end=follow)
    fit = {"epochs": 2, "batch_size": 8, "verbose": 0}
    held = {"teacher": lambda: np.concatenate([w.ravel() for w in teacher.get_weights()])}
    return Training(student, fit=lambda callbacks: student.fit(x, y, callbacks=[after, *callbacks], **fit), held=held)


class SimSiam(keras.Model):
    """Both views through the same nets, with stopped gradients, and weights averaged over nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = keras.Sequential([keras.Input((8,)), layers.Dense(8), layers.BatchNormalization(), layers.Dense(6)])
        self.predictor = layered(4, 6, inputs=6)

    def train_step(self, x: Any) -> Any:
        """Symmetric loss."""
        a, b = x * tf.random.uniform(tf.shape(x), 0.8, 1.2), x + 0.1 * keras.random.normal(ops.shape(x))
        with tf.GradientTape() as tape:
            za, zb = self.encoder(a, training=True), self.encoder(b, training=True)
            loss = self._apart(self.predictor(za), zb) / 2 + self._apart(self.predictor(zb), za) / 2
        descend(tape, loss, self.trainable_variables, self.optimizer)
        return {"loss": loss}

    def _apart(self, p: Any, z: Any) -> Any:
        return -ops.mean(ops.sum(ops.normalize(p, axis=1) * ops.normalize(ops.stop_gradient(z), axis=1), axis=1))


@program
def simsiam(seed: int) -> Training:
    """One encoder called twice in a step, noise by both frameworks."""
    model = SimSiam()
    model.compile("sgd")
    return fits(model, seed)


class Distiller(keras.Model):
    """Keras' example: the teacher is an attribute, in the mode of inference."""

    def __init__(self) -> None:
        super().__init__()
        self.student, self.teacher = layered(6, 3), layered(12, 3)
        self.teacher.trainable = False

    def call(self, x: Any) -> Any:
        """The student."""
        return self.student(x)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **_: Any) -> Any:
        """Half of the labels, half of the teacher."""
        soft = ops.softmax(self.teacher(x, training=False) / 3.0)
        return 0.5 * super().compute_loss(x, y, y_pred) + 0.5 * ops.mean(
            keras.losses.kl_divergence(soft, ops.softmax(y_pred / 3.0))
        )


@program
def distillation(seed: int) -> Training:
    """A student and a teacher that has learnt before."""
    x, y = table(seed)
    model = Distiller()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def fit(callbacks: Any) -> None:
        model.teacher.trainable = True
        model.teacher.compile("adam", loss)
        model.teacher.fit(x, y, epochs=1, verbose=0)
        model.teacher.trainable = False
        model.compile("adam", loss, metrics=["accuracy"])
        model.fit(x, y, epochs=2, batch_size=8, verbose=0, callbacks=callbacks)

    return Training(model, fit=fit)
