"""Steps of one's own that are odd in form: functions inside, raw variables, updates in turns, and no step at all."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops
from people import Driver, Training, fast_program, fitted, layered, line, program, table
from people_steps import CROSS_ENTROPY, of


class Traced(keras.Model):
    """`tf.function` on the step itself and on a helper in it."""

    @tf.function
    def train_step(self, data: Any) -> Any:
        """Traced by the author, and again by Keras."""
        x, y = data
        loss, gradients = self.gradients_of(x, y)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}

    @tf.function(reduce_retracing=True)
    def gradients_of(self, x: Any, y: Any) -> Any:
        """The tape is in here."""
        with tf.GradientTape() as tape:
            loss = CROSS_ENTROPY(y, self(x, training=True))
        return loss, tape.gradient(loss, self.trainable_variables)


@fast_program
def functions_inside(seed: int) -> Training:
    """Functions in functions."""
    return of(Traced, seed)


class Forward(keras.Model):
    """The tape outside, the forward pass in a `tf.function`, compiled by XLA."""

    @tf.function(jit_compile=True)
    def forward(self, x: Any) -> Any:
        """Logits."""
        return self(x, training=True)

    def train_step(self, data: Any) -> Any:
        """A tape around a function."""
        x, y = data
        with tf.GradientTape() as tape:
            loss = CROSS_ENTROPY(y, self.forward(x))
        self.optimizer.apply_gradients(
            zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables, strict=True)
        )
        return {"loss": loss}


@program
def forward_pass_under_xla(seed: int) -> Training:
    """A compiled function inside of a step that is not."""
    return of(Forward, seed)


class Raw(keras.Model):
    """Plain gradient descent on raw variables beside the layers; no optimizer at all."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.scale = tf.Variable(1.0, name="scale")
        self.shift = tf.Variable([0.0, 0.0, 0.0], name="shift")

    def train_step(self, data: Any) -> Any:
        """`assign_sub`."""
        x, y = data
        everything = [*self.trainable_variables, self.scale, self.shift]
        with tf.GradientTape() as tape:
            loss = CROSS_ENTROPY(y, self(x, training=True) * self.scale + self.shift)
        for v, gradient in zip(everything, tape.gradient(loss, everything), strict=True):
            v.assign_sub(0.1 * gradient)
        return {"loss": loss}


@program
def raw_variables_without_optimizer(seed: int) -> Training:
    """Updates by hand."""
    training = of(Raw, seed)
    model: Any = training.model
    training.held = {"scale": model.scale, "shift": model.shift}
    return training


class Alternating(keras.Model):
    """Three updates of the head for one of the body, chosen by a counter on the device, and several steps in one."""

    def train_step(self, data: Any) -> Any:
        """Splits the batch into halves and steps on each."""
        x, y = data
        half = ops.shape(x)[0] // 2
        for part in (slice(None, half), slice(half, None)):
            with tf.GradientTape() as tape:
                loss = CROSS_ENTROPY(y[part], self(x[part], training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            gate = tf.cast(self.optimizer.iterations % 3 == 0, tf.float32)
            gradients = [g * gate for g in gradients[:4]] + gradients[4:]
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


@program
def two_updates_in_a_step(seed: int) -> Training:
    """One optimizer, applied twice in one step."""
    return of(Alternating, seed, keras.optimizers.SGD(0.1))


@tf.custom_gradient
def reversed_gradient(x: Any) -> Any:
    """The gradient reversal of domain adaptation."""
    return tf.identity(x), lambda upstream: -0.5 * upstream


class Reverse(layers.Layer):
    """It as a layer."""

    def call(self, x: Any) -> Any:
        """Nothing on the way forth."""
        return reversed_gradient(x)


@program
def domain_adaptation(seed: int) -> Training:
    """A custom gradient, a straight-through rounding and a stopped gradient."""
    x, y = table(seed)
    inputs = keras.Input((8,))
    h = layers.Dense(8, activation="tanh")(inputs)
    h = layers.Lambda(lambda t: t + ops.stop_gradient(ops.round(t) - t))(h)
    kind, domain = layers.Dense(3, name="kind")(h), layers.Dense(1, name="domain")(Reverse()(h))
    model = keras.Model(inputs, [kind, domain])
    model.compile("adam", [CROSS_ENTROPY, keras.losses.BinaryCrossentropy(from_logits=True)])
    return fitted(model, x, [y, (x[:, :1] > 0).astype("float32")])


class Function(keras.Model):
    """`make_train_function` of one's own: each call trains twice on its batch."""

    def make_train_function(self, force: bool = False) -> Any:
        """Plain Python around a `tf.function`."""
        if self.train_function is not None and not force:
            return self.train_function
        step = tf.function(self.train_step)

        def twice(iterator: Any) -> Any:
            data = next(iterator)
            step(data)
            return step(data)

        self.train_function = twice
        return twice


@program
def own_train_function(seed: int) -> Training:
    """Rare, but allowed."""
    return of(Function, seed)


@program
def regression_in_batches(seed: int) -> Training:
    """`train_on_batch` in a loop of one's own; callbacks are called by hand, as people do."""
    x, y = line(seed)
    model = layered(8, 1)
    model.compile("adam", "mse")

    def fit(callbacks: Any) -> None:
        chain = keras.callbacks.CallbackList(callbacks, model=model, epochs=2, steps=5, verbose=0)
        chain.on_train_begin()
        for epoch in range(2):
            chain.on_epoch_begin(epoch)
            for batch in range(5):
                chain.on_train_batch_begin(batch)
                logs = model.train_on_batch(x[batch::5], y[batch::5], return_dict=True)
                chain.on_train_batch_end(batch, logs)
            chain.on_epoch_end(epoch, {})
        chain.on_train_end({})

    return Training(model, fit=fit)


@program
def two_steps_in_turns(seed: int) -> Training:
    """Warm-up with one step function and optimizer, then another one, with mixed precision scaled by hand."""
    model = layered(10, 3)
    warm, main = keras.optimizers.SGD(0.01), keras.optimizers.Adam(0.01)

    def make(optimizer: Any, scale: float) -> Any:
        @tf.function
        def train_step(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = CROSS_ENTROPY(y, model(x, training=True))
                scaled = loss * scale
            gradients = [g / scale for g in tape.gradient(scaled, model.trainable_variables)]
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        return train_step

    first, second = make(warm, 1.0), make(main, 1024.0)

    def loop(driver: Driver) -> None:
        rows = table(seed)
        for i in range(0, 40, 8):
            x, y = (tf.constant(part[i : i + 8]) for part in rows)
            driver.step(first, x, y)
            driver.step(second, x, y)

    return Training(model, loop=loop, held={"warm": warm, "main": main})
