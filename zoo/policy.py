"""Policies that learn from rewards alone, by REINFORCE, with and without a baseline."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from zoo.parts import answer, assemble, at_least


@keras.saving.register_keras_serializable(package="zoo")
class Reinforce(keras.Model):
    """A functional model that gives the probability of each arm, trained on the reward of the arm that it draws.

    The loss is `-(r - b) log pi(arm)`. On average its gradient is that of the expected reward, whatever b is, and b decides
    how much it scatters: here b is 0.

    References:
        Williams 1992, Simple statistical gradient-following algorithms, section 4 (REINFORCE) and 6 (baseline).
    """

    with_baseline = False

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **more: Any) -> None:
        # Keras loads a functional model of one's own if its signature is that of a functional model.
        super().__init__(inputs, outputs, name=name, **more)
        self.seeds = keras.random.SeedGenerator()

    def train_step(self, data: Any) -> dict[str, Any]:
        """Draws an arm for each context and learns from its reward alone."""
        import tensorflow as tf

        contexts, rewards = data
        with tf.GradientTape() as tape:
            loss, mean = self.surrogate(self(contexts, training=True), rewards)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss, "reward": mean}

    def surrogate(self, chances: Any, rewards: Any) -> tuple[Any, Any]:
        """The loss whose gradient is REINFORCE's, and the mean reward of the arms that were drawn.

        Args:
            chances: probability of each arm, `[contexts, arms]`.
            rewards: of each arm, of which only the drawn ones are looked at.
        """
        told = ops.log(chances + keras.config.epsilon())
        arms = keras.random.categorical(ops.stop_gradient(told), 1, seed=self.seeds)
        drawn = ops.one_hot(arms[:, 0], chances.shape[-1], dtype=told.dtype)
        reward = ops.sum(drawn * ops.cast(rewards, told.dtype), -1)
        advantage = reward - (ops.mean(reward) if self.with_baseline else 0.0)
        return -ops.mean(advantage * ops.sum(drawn * told, -1)), ops.mean(reward)

    def test_step(self, data: Any) -> dict[str, Any]:
        """The expected reward."""
        contexts, rewards = data
        chances = self(contexts)
        return {"reward": ops.mean(ops.sum(chances * ops.cast(rewards, chances.dtype), -1))}


@keras.saving.register_keras_serializable(package="zoo")
class ReinforceWithBaseline(Reinforce):
    """The same with the batch's mean reward as b."""

    with_baseline = True


def policy(
    *,
    depth: int = 3,
    width: int = 32,
    activation: str = "relu",
    baseline: bool = True,
    input_shape: tuple[int, ...] = (4,),
    arms: int = 4,
    name: str = "policy",
) -> keras.Model:
    """A policy for a contextual bandit: `depth` weight layers and a softmax over the arms.

    Args:
        depth: `Dense` layers, the last included, from 2.
        width: units of each hidden layer.
        activation: of the hidden layers.
        baseline: whether the mean reward of the batch is taken off, which leaves the expected gradient as it is.
        input_shape: of a context.
        arms: how many there are.
        name: name of the model.

    Returns:
        The model; its layers are called `hidden1` ... and `classes`.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Williams 1992; Langford & Zhang 2007, The epoch-greedy algorithm for contextual multi-armed bandits.
    """
    at_least(2, depth=depth, arms=arms)
    at_least(1, width=width)
    start = "he_normal" if activation == "relu" else "glorot_uniform"
    x = inputs = layers.Input(input_shape, name="input")
    for number in range(1, depth):
        x = layers.Dense(width, activation=activation, kernel_initializer=start, name=f"hidden{number}")(x)
    chosen = ReinforceWithBaseline if baseline else Reinforce
    return assemble(inputs, answer(arms)(x), name, kind=chosen)
