"""The watched step is traced in the state in which Keras traced its own; nothing of a step is lost, or called bad unseen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasgrad
from kerasgrad.taps import trace_state, train_step

X = np.random.default_rng(0).standard_normal((64, 4)).astype("float32")
Y = X[:, :1] - X[:, 1:2]


def stack(*names: str) -> keras.Sequential:
    hidden = [layers.Dense(6, activation="relu", name=name) for name in names]
    return keras.Sequential([layers.Input((4,)), *hidden, layers.Dense(1, name="head")])


def fitted(model: keras.Model, *callbacks: Any, **options: Any) -> Any:
    return model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, callbacks=list(callbacks), **options)


def values(model: keras.Model) -> list[Any]:
    return [np.array(v) for v in [*model.variables, *model.optimizer.variables]]


def same_with_and_without(program: Callable[[list[Any]], keras.Model], update_freq: int = 1) -> kerasgrad.GradientMonitor:
    """Runs it twice from one seed; the monitor of the second time, after all values were compared to the bit."""
    left = []
    monitor = kerasgrad.GradientMonitor(update_freq=update_freq, verbose=0)
    for callbacks in ([], [monitor]):
        keras.backend.clear_session(free_memory=False)
        keras.utils.set_random_seed(3)
        left.append(values(program(callbacks)))
    assert all(np.array_equal(a, b) for a, b in zip(*left, strict=True))
    return monitor


def test_frozen_without_compiling_again_it_is_trained_on_and_the_user_is_told() -> None:
    def program(callbacks: list[Any]) -> keras.Model:
        model = stack("base")
        model.compile("adam", "mse")
        fitted(model)
        model.get_layer("base").trainable = False
        fitted(model, *callbacks)
        return model

    monitor = same_with_and_without(program)
    assert "base/kernel" in monitor.run.variables and monitor.run.facts["stale_trainable"] == {"trained": ["base"]}
    (found,) = [f for f in monitor.diagnosis if f.rule == "stale_trainable"]
    assert found.layers == ("base",)
    assert found.summary == "`base` is trained although `trainable` is False: compile again."


@pytest.mark.parametrize("watched_before", [False, True])
def test_unfrozen_without_compiling_again_it_stays_as_it_is(watched_before: bool) -> None:
    def program(callbacks: list[Any]) -> keras.Model:
        model = stack("base")
        model.get_layer("base").trainable = False
        model.compile("adam", "mse")
        fitted(model, *(callbacks if watched_before else []))
        model.get_layer("base").trainable = True
        fitted(model, *callbacks)
        return model

    monitor = same_with_and_without(program)
    assert monitor.failure is None and monitor.run.facts["stale_trainable"] == {"untrained": ["base"]}
    (found,) = [f for f in monitor.diagnosis if f.rule == "stale_trainable"]
    assert "compile again" in found.summary


def test_what_is_trained_in_truth_is_read_off_the_graph() -> None:
    """The GAN idiom of old: the discriminator was traced before it was frozen for the combined model."""
    model = stack("base")
    model.compile("adam", "mse")
    assert not trace_state.trained_in_truth(model)
    model.train_on_batch(X, Y)
    model.trainable = False
    assert trace_state.trained_in_truth(model) == {id(v) for v in model.variables} and not model.trainable_variables


def test_compiled_again_nothing_is_stale() -> None:
    model = stack("base")
    model.compile("adam", "mse")
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    fitted(model, monitor)
    model.get_layer("base").trainable = False
    model.compile("adam", "mse")
    fitted(model, monitor)
    assert not monitor.run.facts["stale_trainable"] and "base/kernel" not in monitor.run.variables


class Turns(keras.Model):
    """Trains one part or the other, by a number in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = [layers.Dense(1), layers.Dense(1)]
        self.count = 0

    def call(self, x: Any) -> Any:
        return self.parts[0](x) + self.parts[1](x)

    def train_step(self, data: Any) -> Any:
        x, y = data
        part = self.parts[self.count % 2]
        self.count += 1
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x) - y) ** 2)
        self.optimizer.apply_gradients(
            zip(tape.gradient(loss, part.trainable_variables), part.trainable_variables, strict=True)
        )
        return {"loss": loss}


def test_a_counter_in_python_is_baked_in_as_keras_would() -> None:
    def program(callbacks: list[Any]) -> keras.Model:
        model = Turns()
        model.compile(keras.optimizers.SGD(0.01))
        model(X[:1])
        fitted(model, *callbacks)
        return model

    assert len(same_with_and_without(program).run) == 8


def test_what_was_traced_in_a_state_that_is_gone_is_not_watched(caplog: pytest.LogCaptureFixture) -> None:
    def program(callbacks: list[Any]) -> keras.Model:
        model = Turns()
        model.compile(keras.optimizers.SGD(0.01))
        model(X[:1])
        fitted(model)
        fitted(model, *callbacks)
        return model

    monitor = same_with_and_without(program)
    assert not len(monitor.run) and "not watched" in caplog.text and "compile the model again" in caplog.text


def test_noise_drawn_by_numpy_is_baked_in_as_keras_would() -> None:
    class Noise(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.own = np.random.default_rng(5)

        def call(self, x: Any) -> Any:
            return x + np.random.standard_normal((1, 4)).astype("float32") * self.own.uniform()

    def program(callbacks: list[Any]) -> keras.Model:
        model = keras.Sequential([layers.Input((4,)), Noise(), layers.Dense(1)])
        model.compile("sgd", "mse")
        fitted(model, *callbacks)
        return model

    same_with_and_without(program, 3)


@pytest.mark.parametrize("update_freq", [1, 100])
def test_an_optimizer_that_assigns_while_it_is_built(update_freq: int) -> None:
    def program(callbacks: list[Any]) -> keras.Model:
        model = stack("base")
        model.compile(keras.optimizers.ScheduleFreeAdamW(1e-2), "mse")
        fitted(model, *callbacks)
        return model

    same_with_and_without(program, update_freq)


class ByHelper(keras.Model):
    """Gradients by a helper under tf.function, applied outside."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = [layers.Dense(6, activation="relu", name="hidden"), layers.Dense(1, name="last")]

    def call(self, x: Any) -> Any:
        return self.parts[1](self.parts[0](x))

    @tf.function
    def helped(self, x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x + 0.01 * tf.random.normal(tf.shape(x))) - y) ** 2)
        return loss, tape.gradient(loss, self.trainable_variables)

    def train_step(self, data: Any) -> Any:
        loss, gradients = self.helped(*data)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def by_helper(callbacks: list[Any], **options: Any) -> keras.Model:
    model = ByHelper()
    model.compile("adam", **options)
    fitted(model, *callbacks)
    return model


def test_a_helper_under_tf_function_is_looked_into() -> None:
    run = same_with_and_without(by_helper).run
    assert run.layers == ("hidden", "last") and not run.not_examined
    assert np.isfinite(run.overall("loss")).all() and np.isfinite(run.table("signal_rms", "layer")).all()


def test_what_was_not_measured_is_never_bad() -> None:
    """An eager step runs its helper as a graph of its own, which nobody can look into."""
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0, stop_on="error")
    by_helper([monitor], run_eagerly=True)
    assert len(monitor.run) == 8 and not [f for f in monitor.diagnosis if f.rule == "non_finite"]
    assert "tf.function around the whole step" in monitor.run.not_examined["loss"]


def test_train_on_batch_has_a_documented_way() -> None:
    left = []
    for watched in (False, True):
        keras.utils.set_random_seed(3)
        model = stack("base")
        model.compile("adam", "mse")
        with kerasgrad.watch(model, update_freq=2, verbose=0) as w:
            for _ in range(6):
                if watched:
                    w.step(model.train_on_batch, X, Y)
                else:
                    model.train_on_batch(X, Y)
        left.append(values(model))
    assert all(np.array_equal(a, b) for a, b in zip(*left, strict=True))
    assert w.run.steps.tolist() == [0, 2, 4] and np.isfinite(w.run.overall("loss")).all()


class Own(keras.optimizers.SGD):
    """An optimizer with an `apply` of its own."""

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        for gradient, variable in zip(grads, trainable_variables or self._trainable_variables, strict=True):
            variable.assign(variable - 0.1 * gradient)


def test_an_optimizer_with_an_apply_of_its_own() -> None:
    model = stack("base")
    model.compile(Own(0.1), "mse")
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    fitted(model, monitor)
    run = monitor.run
    assert not run.not_examined and np.isfinite(run.table("gradient_norm", "variable")).all()
    assert np.allclose(run.table("update_norm", "variable"), 0.1 * run.table("gradient_norm", "variable"), rtol=1e-4)


class UnderACondition(ByHelper):
    """Updates at every second step."""

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x) - y) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.build(self.trainable_variables)
        self.moved.assign_add(1)

        def apply() -> None:
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))

        tf.cond(self.moved % 2 == 0, apply, lambda: None)
        return {"loss": loss}


def test_an_update_in_a_condition() -> None:
    model = UnderACondition()
    model.moved = tf.Variable(0, trainable=False)
    model.compile("sgd")
    model(X[:1])
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    fitted(model, monitor)
    updates = monitor.run.table("update_norm", "variable")
    assert np.isfinite(monitor.run.table("gradient_norm", "variable")).all()
    assert (updates[::2] == 0).all() and (updates[1::2] > 0).any(axis=1).all()


class Raw(keras.Model):
    """A variable of TensorFlow's own, which the tape watches and the optimizer moves."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.last = layers.Dense(4), tf.Variable(tf.ones((4, 1)))

    def call(self, x: Any) -> Any:
        return tf.matmul(self.hidden(x), self.last)

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x) - y) ** 2)
        moved = list(tape.watched_variables())
        self.optimizer.apply_gradients(zip(tape.gradient(loss, moved), moved, strict=True))
        return {"loss": loss}


def test_a_raw_variable_that_moves_has_a_row() -> None:
    def program(callbacks: list[Any]) -> keras.Model:
        model = Raw()
        model.compile(keras.optimizers.SGD(0.1))
        fitted(model, *callbacks)
        return model

    run = same_with_and_without(program).run
    assert "last" in run.variables and (run.variable("update_norm")["last"] > 0).all()


def test_a_raw_variable_in_a_layer_is_never_trained_and_that_is_said() -> None:
    class Gain(layers.Layer):
        def build(self, shape: Any) -> None:
            self.gain = tf.Variable(tf.ones((4,)))

        def call(self, x: Any) -> Any:
            return x * self.gain

    model = keras.Sequential([layers.Input((4,)), Gain(name="gain"), layers.Dense(1)])
    model.compile("sgd", "mse")
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    fitted(model, monitor)
    assert "add_weight" in monitor.run.not_examined["gain/gain"]


def test_a_second_trace_whose_taps_fail_ends_the_watching_and_not_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(train_step.Collector):
        made = 0

        def __init__(self, *args: Any) -> None:
            Fails.made += 1
            if Fails.made > 1:
                raise LookupError("no taps for this shape")
            super().__init__(*args)

    monkeypatch.setattr(train_step, "Collector", Fails)
    model = keras.Sequential([layers.Input((None, 1)), layers.GlobalAveragePooling1D(), layers.Dense(1)])
    model.compile("sgd", "mse")
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    for width in (4, 3):
        model.fit(X[:, :width, None], Y, batch_size=8, verbose=0, callbacks=[monitor])
    assert isinstance(monitor.failure, LookupError) and int(model.optimizer.iterations) == 16


def test_what_is_no_model_is_not_watched() -> None:
    trainer = next(k for k in keras.Model.__mro__ if k.__module__.endswith("tensorflow.trainer"))

    class Trains(trainer, layers.Layer):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            layers.Layer.__init__(self)
            trainer.__init__(self)
            self.last = layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.last(x)

    model = Trains()
    model.compile("sgd", "mse")
    monitor = kerasgrad.GradientMonitor(verbose=0)
    fitted(model, monitor)
    assert "not watched" in repr(monitor.run) and int(model.optimizer.iterations) == 8
