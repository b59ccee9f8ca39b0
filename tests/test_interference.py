"""The monitor changes nothing: final weights to the bit, and no trace left on the model."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from grid import BATCH, GRID, Case, slow
from keras import layers

import kerasgrad
from kerasgrad.taps.seams import joints

SLOW = set(GRID) - {"mlp", "cnn", "lstm"}


GRAPH = [slow(n) if n in SLOW else n for n in GRID if n != "resnet50v2"]


def weights_after(name: str, update_freq: int | None, **kwargs: Any) -> list[Any]:
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(3)
    case = GRID[name](**kwargs)
    monitors = [kerasgrad.GradientMonitor(update_freq=update_freq, verbose=0)] if update_freq else []
    keras.utils.set_random_seed(4)
    case.model.fit(case.x, case.y, batch_size=BATCH, epochs=3, verbose=0, callbacks=monitors)
    for monitor in monitors:
        assert monitor.failure is None and len(monitor.run)
    return [np.array(w) for w in case.model.get_weights()]


@pytest.mark.parametrize("name", GRAPH)
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_graph_weights_are_identical(name: str) -> None:
    plain = weights_after(name, None)
    for update_freq in (1, 7):
        for a, b in zip(plain, weights_after(name, update_freq), strict=True):
            assert np.array_equal(a, b, equal_nan=True)


@pytest.mark.parametrize("name", ["mlp_dropout", *map(slow, ["mlp", "cnn", "lstm", "embedding", "transformer"])])
def test_eager_weights_are_identical(name: str) -> None:
    plain = weights_after(name, None, run_eagerly=True)
    for a, b in zip(plain, weights_after(name, 1, run_eagerly=True), strict=True):
        assert np.array_equal(a, b)


ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "gelu", "silu", "leaky_relu", "softplus")


@pytest.mark.parametrize("kind", ["dense", "convolution"])
@pytest.mark.parametrize("activation", [a if a in ("tanh", "elu") else slow(a) for a in ACTIVATIONS])
def test_a_layer_and_its_activation_are_merged_as_before(activation: str, kind: str) -> None:
    """The runtime merges a contraction with the activation layer that alone reads it; looking must not undo that."""

    def trained(update_freq: int | None) -> list[Any]:
        keras.backend.clear_session(free_memory=False)
        keras.utils.set_random_seed(3)
        stack: list[Any] = [layers.Input((12, 12, 3))] if kind == "convolution" else [layers.Input((12,))]
        for _ in range(2):
            stack += [layers.Conv2D(8, 3) if kind == "convolution" else layers.Dense(16), layers.Activation(activation)]
        model = keras.Sequential([*stack, layers.Flatten(), layers.Dense(3, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        random = np.random.default_rng(0)
        x, y = random.normal(size=(32, *model.input_shape[1:])).astype("float32"), random.integers(0, 3, 32)
        monitors = [kerasgrad.GradientMonitor(update_freq=update_freq, verbose=0)] if update_freq else []
        model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=monitors)
        return [np.array(w) for w in model.get_weights()]

    for a, b in zip(trained(None), trained(1), strict=True):
        assert np.array_equal(a, b)


def traces(model: keras.Model) -> dict[str, Any]:
    """All by which a model could show that it was watched."""
    return {
        "train_step": model.__dict__.get("train_step"),
        "train_function": type(model.train_function).__module__,
        "calls": [layer.__dict__.get("call") for layer in model._flatten_layers()],
        "apply": model.optimizer.__dict__.get("apply"),
        "variables": [v.path for v in [*model.variables, *model.optimizer.variables]],
        "classes": (
            keras.Layer.__call__.__module__,
            tf.GradientTape.gradient.__module__,
            keras.optimizers.Optimizer.apply.__module__,
        ),
        "installed": joints._installed,
    }


class _Raises(keras.callbacks.Callback):
    def __init__(self, error: BaseException, hook: str) -> None:
        super().__init__()
        self.error = error

        def raising(batch: int, logs: Any = None) -> None:
            if batch == 2:
                raise self.error

        setattr(self, hook, raising)


def _fit(case: Case, *callbacks: Any, **kwargs: Any) -> None:
    case.model.fit(case.x, case.y, batch_size=BATCH, verbose=0, callbacks=list(callbacks), **kwargs)


def test_no_trace_after_fit() -> None:
    case = GRID["mlp"]()
    _fit(case)
    before = traces(case.model)
    apply = keras.optimizers.Optimizer.__dict__.get("apply"), keras.optimizers.LossScaleOptimizer.__dict__.get("apply")
    _fit(case, kerasgrad.GradientMonitor(update_freq=1, verbose=0))
    assert traces(case.model) == before
    assert apply == (
        keras.optimizers.Optimizer.__dict__.get("apply"),
        keras.optimizers.LossScaleOptimizer.__dict__.get("apply"),
    )


@pytest.mark.parametrize("error", [ValueError("bad day"), KeyboardInterrupt()])
@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end"])
def test_no_trace_after_an_exception_in_fit(error: BaseException, hook: str) -> None:
    case = GRID["mlp"]()
    _fit(case)
    before = traces(case.model)
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    with pytest.raises(type(error)):  # the other callback comes first, so that the step is not yet armed when it raises
        _fit(case, _Raises(error, hook), monitor)
    assert traces(case.model) == before
    _fit(case, monitor)  # and both can go on
    assert monitor.failure is None and monitor.run.steps[-1] >= 4


def test_an_exception_between_arming_and_the_step_heals_itself() -> None:
    """A callback after ours raises when the watched step is already in place: the next step anyone runs takes it off."""
    case = GRID["mlp"]()
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    with pytest.raises(ValueError, match="bad day"):
        _fit(case, monitor, _Raises(ValueError("bad day"), "on_train_batch_begin"))
    samples = len(monitor.run)
    _fit(case)
    assert not type(case.model.train_function).__module__.startswith("kerasgrad")
    assert len(monitor.run) == samples, "a fit without the monitor is not recorded by it"


def test_an_error_of_the_users_own_is_seen() -> None:
    class Broken(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def train_step(self, data: Any) -> Any:
            raise KeyError("mine")

    model = Broken()
    model.compile("sgd", "mse")
    with pytest.raises(KeyError, match="mine"):
        model.fit(
            np.zeros((8, 2), "float32"),
            np.zeros((8, 3), "float32"),
            verbose=0,
            callbacks=[kerasgrad.GradientMonitor(verbose=0)],
        )


def test_saving_during_training(tmp_path: Path) -> None:
    case = GRID["cnn"]()
    saved = tmp_path / "model.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(saved, save_freq=2, verbose=0)
    _fit(case, kerasgrad.GradientMonitor(tmp_path / "logs", update_freq=1, verbose=0), checkpoint, epochs=2)
    loaded = keras.saving.load_model(saved)
    for a, b in zip(loaded.get_weights(), case.model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert "kerasgrad" not in str(loaded.get_config()) + str(loaded.get_compile_config())


def test_unsampled_steps_run_the_models_own_function() -> None:
    case = GRID["mlp"]()
    used = []

    class Spy(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            used.append(self.model.train_function)

    _fit(case)
    own = case.model.train_function
    _fit(case, kerasgrad.GradientMonitor(update_freq=3, verbose=0), Spy(), epochs=2)
    sampled = [function is not own for function in used]
    assert sampled == [True, False, False, True, False, False, True, False]


def test_the_model_can_be_forgotten() -> None:
    """A monitor that goes out of scope keeps nothing of the model alive but itself."""
    import weakref

    case = GRID["mlp"]()
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    _fit(case, monitor)
    alive = weakref.ref(monitor)
    del monitor
    case.model.history = None
    gc.collect()
    assert alive() is None
