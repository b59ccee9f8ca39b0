"""Loops of one's own: no `fit`, the step goes through a driver."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from people import Driver, Training, fast_program, layered, line, program, table

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _batches(seed: int, size: int = 8) -> Any:
    x, y = table(seed)
    return [(tf.constant(x[i : i + size]), tf.constant(y[i : i + size])) for i in range(0, 40, size)]


@fast_program
def the_loop_of_the_guide(seed: int) -> Training:
    """TensorFlow's guide: a `tf.function`, a metric, two epochs, an odd last batch left out."""
    model, optimizer = layered(10, 3), keras.optimizers.Adam(0.01)
    accuracy = keras.metrics.SparseCategoricalAccuracy()

    @tf.function
    def train_step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = CROSS_ENTROPY(y, logits)
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights, strict=True))
        accuracy.update_state(y, logits)
        return loss

    def loop(driver: Driver) -> None:
        for _ in range(2):
            losses = [float(driver.step(train_step, x, y)) for x, y in _batches(seed)]
            driver.end_epoch(loss=float(np.mean(losses)), accuracy=float(accuracy.result()))
            accuracy.reset_state()

    return Training(model, loop=loop, held={"adam": optimizer, "accuracy": accuracy})


@program
def an_eager_loop(seed: int) -> Training:
    """A plain function, with noise by NumPy, a list of losses and a rate set by hand."""
    model, optimizer, losses = layered(10, 3), keras.optimizers.SGD(0.1, momentum=0.9), []
    noise = np.random.default_rng(seed)

    def train_step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = CROSS_ENTROPY(y, model(x + noise.normal(size=(8, 8)).astype("float32") * 0.1, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        losses.append(float(loss))
        return loss

    def loop(driver: Driver) -> None:
        for epoch in range(2):
            for x, y in _batches(seed):
                driver.step(train_step, x, y)
            optimizer.learning_rate = 0.1 / (epoch + 2)

    return Training(model, loop=loop, held={"sgd": optimizer, "losses": lambda: losses, "noise": lambda: noise.normal()})


@program
def a_gan_of_two_models(seed: int) -> Training:
    """Two models that nothing holds together; the generator is the one that is watched."""
    generator, critic = layered(8, 8, inputs=4), layered(8, 1)
    g_optimizer, d_optimizer = keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3)
    binary = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def train_step(real: Any) -> Any:
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake = generator(tf.random.normal((8, 4)), training=True)
            said_real, said_fake = critic(real, training=True), critic(fake, training=True)
            g_loss = binary(tf.ones_like(said_fake), said_fake)
            d_loss = binary(tf.ones_like(said_real), said_real) + binary(tf.zeros_like(said_fake), said_fake)
        g_gradients = g_tape.gradient(g_loss, generator.trainable_variables)
        d_gradients = d_tape.gradient(d_loss, critic.trainable_variables)
        g_optimizer.apply_gradients(zip(g_gradients, generator.trainable_variables, strict=True))
        d_optimizer.apply_gradients(zip(d_gradients, critic.trainable_variables, strict=True))
        return g_loss, d_loss

    def loop(driver: Driver) -> None:
        for _ in range(2):
            for x, _ in _batches(seed):
                driver.step(train_step, x)

    return Training(generator, loop=loop, held={"critic": critic, "g": g_optimizer, "d": d_optimizer})


@program
def actor_and_critic(seed: int) -> Training:
    """Policy gradient: an episode is played in Python inside the tape, of a length that differs."""
    inputs = keras.Input((4,))
    h = layers.Dense(12, activation="relu")(inputs)
    model = keras.Model(inputs, [layers.Dense(2, activation="softmax")(h), layers.Dense(1)(h)])
    optimizer, random, lengths = keras.optimizers.Adam(0.01), np.random.RandomState(seed), []

    def episode() -> Any:
        state, chances, values, rewards = random.normal(size=4).astype("float32"), [], [], []
        with tf.GradientTape() as tape:
            for _ in range(random.randint(3, 8)):
                actions, value = model(state[None])
                action = random.choice(2, p=np.squeeze(actions) / np.sum(actions))
                chances.append(tf.math.log(actions[0, action]))
                values.append(value[0, 0])
                rewards.append(float(state[action]))
                state = random.normal(size=4).astype("float32")
            returns = np.cumsum(rewards[::-1])[::-1].astype("float32")
            gains = [(-c * (r - v)) + (v - r) ** 2 for c, v, r in zip(chances, values, returns, strict=True)]
            loss = sum(gains)
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )
        lengths.append(len(rewards))
        return loss

    def loop(driver: Driver) -> None:
        for _ in range(6):
            driver.step(episode)

    return Training(model, loop=loop, held={"adam": optimizer, "lengths": lambda: lengths, "random": lambda: random.rand()})


@program
def q_learning(seed: int) -> Training:
    """A replay buffer, a target net copied at every third step, masks of actions."""
    net, target = layered(10, 2, inputs=4), layered(10, 2, inputs=4)
    target.set_weights(net.get_weights())
    optimizer, random, huber = keras.optimizers.Adam(0.01, clipnorm=1.0), np.random.RandomState(seed), keras.losses.Huber()

    @tf.function
    def train_step(states: Any, actions: Any, wanted: Any) -> Any:
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(net(states) * tf.one_hot(actions, 2), axis=1)
            loss = huber(wanted, value)
        optimizer.apply_gradients(zip(tape.gradient(loss, net.trainable_variables), net.trainable_variables, strict=True))
        return loss

    def loop(driver: Driver) -> None:
        for count in range(9):
            states = random.normal(size=(8, 4)).astype("float32")
            wanted = states[:, 0] + 0.9 * target.predict(states, verbose=0).max(axis=1)
            driver.step(train_step, tf.constant(states), tf.constant(random.randint(0, 2, 8)), tf.constant(wanted))
            if count % 3 == 0:
                target.set_weights(net.get_weights())

    return Training(net, loop=loop, held={"adam": optimizer, "target": lambda: target.get_weights()[0]})


@program
def physics_with_an_unknown(seed: int) -> Training:
    """A PINN: derivatives of the net by nested tapes, and a raw variable for the unknown constant."""
    net, unknown = layered(10, 10, 1, activation="tanh", inputs=1), tf.Variable(0.5, name="unknown")
    optimizer = keras.optimizers.Adam(0.01)
    t = tf.constant(np.linspace(0, 1, 16, dtype="float32")[:, None])

    @tf.function
    def train_step() -> Any:
        variables = [*net.trainable_variables, unknown]
        with tf.GradientTape() as tape:
            with tf.GradientTape() as second:
                second.watch(t)
                with tf.GradientTape() as first:
                    first.watch(t)
                    u = net(t)
                velocity = first.gradient(u, t)
            acceleration = second.gradient(velocity, t)
            loss = tf.reduce_mean((acceleration + unknown * u) ** 2) + tf.reduce_mean((u[0] - 1.0) ** 2)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def loop(driver: Driver) -> None:
        for _ in range(7):
            driver.step(train_step)

    return Training(net, loop=loop, held={"adam": optimizer, "unknown": unknown})


@program
def meta_learning(seed: int) -> Training:
    """Reptile: steps on a task, then the weights move part of the way; the step is called many times for one move."""
    model, inner = layered(10, 1), keras.optimizers.SGD(0.05)

    @tf.function
    def train_step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        inner.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True))
        return loss

    def loop(driver: Driver) -> None:
        for task in range(3):
            before = [w.copy() for w in model.get_weights()]
            x, y = line(seed + task, rows=8)
            for _ in range(3):
                driver.step(train_step, tf.constant(x), tf.constant(y))
            model.set_weights([b + 0.5 * (a - b) for a, b in zip(model.get_weights(), before, strict=True)])

    return Training(model, loop=loop, held={"inner": inner}, moves_otherwise=True)


@program
def accumulated_in_a_loop(seed: int) -> Training:
    """Gradients of several batches are added up in Python; the update is in the same step as the last of them."""
    model, optimizer = layered(10, 3), keras.optimizers.Adam(0.01)

    def train_step(batches: Any) -> Any:
        total = [tf.zeros_like(v) for v in model.trainable_variables]
        for x, y in batches:
            with tf.GradientTape() as tape:
                loss = CROSS_ENTROPY(y, model(x, training=True)) / len(batches)
            total = [t + g for t, g in zip(total, tape.gradient(loss, model.trainable_variables), strict=True)]
        optimizer.apply_gradients(zip(total, model.trainable_variables, strict=True))
        return loss

    def loop(driver: Driver) -> None:
        for _ in range(3):
            driver.step(train_step, _batches(seed)[:3])

    return Training(model, loop=loop, held={"adam": optimizer})


@program
def raw_tensors_and_one_layer(seed: int) -> Training:
    """Weights as raw variables, matrix products by hand, a Keras layer in the middle, SGD by hand."""
    x, y = line(seed)
    middle = keras.Sequential([keras.Input((6,)), layers.Dense(6, activation="relu")])
    first = tf.Variable(tf.random.stateless_normal((8, 6), (seed, 1)) * 0.3, name="first")
    last = tf.Variable(tf.zeros((6, 1)), name="last")

    @tf.function
    def train_step() -> Any:
        variables = [first, last, *middle.trainable_variables]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((middle(tf.constant(x) @ first) @ last - y) ** 2)
        for v, g in zip(variables, tape.gradient(loss, variables), strict=True):
            v.assign_sub(0.1 * g)
        return loss

    def loop(driver: Driver) -> None:
        for _ in range(8):
            driver.step(train_step)

    return Training(middle, loop=loop, held={"first": first, "last": last})


@program
def steps_of_a_truncated_text(seed: int) -> Training:
    """Truncated backpropagation: the state of an LSTM goes from step to step, and out of the step again."""
    x = np.random.default_rng(seed).normal(size=(8, 20, 2)).astype("float32")
    inputs, states = keras.Input((5, 2)), [keras.Input((6,)), keras.Input((6,))]
    h, *after = layers.LSTM(6, return_sequences=True, return_state=True)(inputs, initial_state=states)
    model = keras.Model([inputs, *states], [layers.Dense(2)(h), *after])
    optimizer = keras.optimizers.RMSprop(0.01, clipvalue=1.0)

    @tf.function
    def train_step(part: Any, wanted: Any, memory: Any) -> Any:
        with tf.GradientTape() as tape:
            guess, *after = model([part, *memory], training=True)
            loss = ops.mean(ops.square(guess - wanted))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )
        return loss, after

    def loop(driver: Driver) -> None:
        memory = [tf.zeros((8, 6)), tf.zeros((8, 6))]
        for start in (0, 5, 10, 14):
            part, wanted = x[:, start : start + 5], x[:, start + 1 : start + 6]
            _, memory = driver.step(train_step, tf.constant(part), tf.constant(wanted), memory)

    return Training(model, loop=loop, held={"rmsprop": optimizer})
