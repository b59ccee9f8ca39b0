"""`watch`: the same run from a loop of one's own."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from grid import BATCH, GRID, Case, slow
from keras import layers
from test_modes import FIRST, NOISY, agree, fitted, made, mirrored

import kerasgrad
from kerasgrad.monitoring import instrument
from kerasgrad.monitoring.judge import FIRST as FIRST_JUDGEMENT
from kerasgrad.rules import Finding, Severity

STEPS = 4


def own_step(case: Case) -> Callable[[Any, Any], Any]:
    """A step as people write it; the optimizer and the loss are those of the compiled model, to compare with `fit`."""
    model = case.model
    loss_fn, optimizer = keras.losses.get(model.loss), model.optimizer

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(loss_fn(y, model(x, training=True)))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return step


def batches(case: Case, count: int = STEPS) -> list[tuple[Any, Any]]:
    return [(tf.constant(case.x[i : i + BATCH]), tf.constant(case.y[i : i + BATCH])) for i in range(0, count * BATCH, BATCH)]


def looped(case: Case, wrap: Callable[..., Any], log_dir: Any = None, **options: Any) -> kerasgrad.Run:
    step = wrap(own_step(case))
    keras.utils.set_random_seed(11)
    with kerasgrad.watch(case.model, log_dir, **({"update_freq": 1, "verbose": 0} | options)) as w:
        for x, y in batches(case):
            loss = w.step(step, x, y)
    assert w.failure is None and np.isfinite(float(loss))
    return w.run


WRAPS = {"eager": lambda step: step, "graph": tf.function, "xla": tf.function(jit_compile=True)}


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("mlp_dropout", "graph"),
        ("mlp", "eager"),
        slow("mlp", "xla"),
        *(slow(n, "graph") for n in ("cnn", "lstm", "embedding")),
    ],
)
def test_the_run_is_that_of_the_monitor(name: str, wrap: str) -> None:
    exact = wrap == "graph"
    samples, skip = (slice(None), frozenset[str]()) if exact else (FIRST, NOISY)
    agree(fitted(made(name)), looped(made(name), WRAPS[wrap]), 2e-5, samples, skip)


def test_a_graph_is_not_disturbed() -> None:
    results = []
    for update_freq in (None, 1, 3):
        case = made("cnn")
        step = tf.function(own_step(case))
        if update_freq is None:
            losses = [step(x, y) for x, y in batches(case)]
        else:
            with kerasgrad.watch(case.model, update_freq=update_freq, verbose=0) as w:
                losses = [w.step(step, x, y) for x, y in batches(case)]
            assert w.run.steps.tolist() == list(range(0, STEPS, update_freq))
        results.append([*map(np.array, losses), *(np.array(v) for v in case.model.variables)])
    assert all(np.array_equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


class Trainer:
    """A traced method, with a condition that only AutoGraph can put into a graph."""

    def __init__(self, case: Case) -> None:
        self.plain, self.late = own_step(case), tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 12]), tf.TensorSpec([None], tf.int64)])
    def step(self, x: Any, y: Any) -> Any:
        loss = self.plain(x, y)
        if loss > 1e6:
            self.late.assign_add(1.0)
        return loss


def test_a_traced_method_with_autograph(tmp_path: Path) -> None:
    case = made("mlp")
    trainer = Trainer(case)
    with kerasgrad.watch(case.model, tmp_path / "mine", update_freq=2, verbose=0) as w:
        for x, y in batches(case):
            w.step(trainer.step, x, y)
            assert float(trainer.late) == 0
        w.end_epoch(loss=1.0, val_loss=2.0)
    assert w.failure is None and w.run.steps.tolist() == [0, 2] and w.run.facts["batches"] == STEPS
    assert w.run.facts["history"] == {"step": [STEPS], "loss": [1.0], "val_loss": [2.0]}
    assert w.run.overall("examples").tolist() == [BATCH, BATCH], "which this step's signature leaves open"
    agree(w.run, kerasgrad.Run.load(tmp_path / "mine"), 0)


def test_a_model_that_is_not_compiled() -> None:
    case = made("mlp")
    model = keras.Sequential.from_config(case.model.get_config())
    optimizer = keras.optimizers.SGD(0.1, clipnorm=1e-3)

    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, model(x)))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    with kerasgrad.watch(model, update_freq="batch", verbose=0) as w:
        for x, y in batches(case):
            w.step(step, x, y)
    assert w.failure is None and len(w.run) == STEPS and w.run.facts["optimizer"] is None
    assert (w.run.overall("learning_rate") == np.float32(0.1)).all()
    assert (w.run.table("gradient_norm_clipped", "variable") < 1.1e-3).all() and "warning" not in repr(w.diagnosis)


def test_two_steps_of_one_model_share_its_rows() -> None:
    case = made("mlp")
    first, second = tf.function(own_step(case)), own_step(case)
    with kerasgrad.watch(case.model, update_freq=1, verbose=0) as w:
        for x, y in batches(case):
            w.step(first, x, y)
            w.step(second, x, y)
    assert len(w.run) == 2 * STEPS and not np.isnan(w.run.table("signal_rms", "layer")).any()


def test_it_asks_for_the_end() -> None:
    case = made("mlp")
    x, y = batches(case)[0]
    step = tf.function(own_step(case))
    with kerasgrad.watch(case.model, update_freq=1, verbose=0, stop_on="non_finite") as w:
        w.step(step, x, y)
        assert not w.should_stop
        w.step(step, x * np.inf, y)
        w.end_epoch()
        assert w.should_stop
    assert w.run.findings[0].rule == "non_finite"


def test_it_asks_as_soon_as_the_rules_can_tell() -> None:
    """Samples are recorded many at a time, but none waits that a judgement waits for."""

    @kerasgrad.rules.rule(least=5)
    def always(seen: Any) -> Any:
        return [Finding(severity=Severity.ERROR, summary="")]

    case = made("mlp")
    step, (x, y) = tf.function(own_step(case)), batches(case)[0]
    with kerasgrad.watch(case.model, update_freq=1, verbose=0, rules=(always,), stop_on="error") as w:
        steps = 0
        while not w.should_stop and steps < 100:
            w.step(step, x, y)
            steps += 1
    assert FIRST_JUDGEMENT < steps <= FIRST_JUDGEMENT + 2


def test_an_error_of_the_loop_comes_through_and_the_run_is_kept(tmp_path: Path) -> None:
    case = made("mlp")
    x, y = batches(case)[0]
    step = tf.function(own_step(case))
    with pytest.raises(tf.errors.InvalidArgumentError), kerasgrad.watch(case.model, tmp_path, update_freq=1, verbose=0) as w:
        w.step(step, x, y)
        w.step(step, x, y + 99)
    assert len(kerasgrad.Run.load(tmp_path)) == 1 and not kerasgrad.taps.seams.joints._undo
    with pytest.raises(ValueError, match="mine"), kerasgrad.watch(case.model, update_freq=1, verbose=0) as w:

        def failing(x: Any) -> Any:
            raise ValueError("mine")

        w.step(tf.function(failing), x)
    assert w.failure is None


@pytest.mark.parametrize("wrap", ["eager", "graph"])
def test_a_failure_of_the_taps_ends_the_watching_only(
    wrap: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("taps")

    monkeypatch.setattr(instrument, "take_moments", broken)
    case = made("mlp")
    step = WRAPS[wrap](own_step(case))
    with caplog.at_level(logging.WARNING, "kerasgrad"), kerasgrad.watch(case.model, update_freq=1, verbose=0) as w:
        for x, y in batches(case):
            w.step(step, x, y)
    assert int(case.model.optimizer.iterations) == STEPS
    assert [record.message for record in caplog.records if "watching stopped" in record.message and "taps" in record.message]


def test_an_operation_of_ours_that_fails_does_not_end_the_loop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(seen: Any, **options: Any) -> Any:
        tf.debugging.assert_less(tf.shape(seen.layers[0].parts[0].output)[0], 0)
        return measure(seen, **options)

    measure = instrument.take_moments
    monkeypatch.setattr(instrument, "take_moments", failing)
    case = made("mlp")
    step = tf.function(own_step(case))
    with caplog.at_level(logging.WARNING, "kerasgrad"), kerasgrad.watch(case.model, update_freq=1, verbose=0) as w:
        for x, y in batches(case):
            assert np.isfinite(float(w.step(step, x, y)))
    assert "assertion failed" in caplog.text and "Training goes on" in caplog.text


def shared_step(case: Case, strategy: Any, inner: Callable[..., Any] = lambda step: step) -> Callable[..., Any]:
    """A step on several replicas, as the guides of TensorFlow write it: each takes its share of the mean."""
    model, optimizer = case.model, case.model.optimizer
    with strategy.scope():
        optimizer.build(model.trainable_variables)

    def replica(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            each = keras.losses.sparse_categorical_crossentropy(y, model(x, training=True))
            loss = tf.reduce_sum(each) / BATCH
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    replica = inner(replica)

    def step(x: Any, y: Any) -> Any:
        return strategy.reduce("SUM", strategy.run(replica, args=(x, y)), axis=None)

    return step


def on_two_devices() -> Case:
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(5)
    with mirrored().scope():
        return GRID["mlp"]()


@pytest.mark.parametrize(
    ("outer", "inner"), [("graph", "eager"), slow("eager", "graph"), slow("eager", "eager")]
)  # where the graph is
def test_several_replicas(outer: str, inner: str) -> None:
    """Two devices see half a batch each; the row is that of one device with the whole batch."""
    single = fitted(made("mlp"))
    case = on_two_devices()
    step = WRAPS[outer](shared_step(case, mirrored(), WRAPS[inner]))
    data = tf.data.Dataset.from_tensor_slices((case.x, case.y)).batch(BATCH)
    with kerasgrad.watch(case.model, update_freq=1, verbose=0) as w:
        losses = [w.step(step, x, y) for x, y in mirrored().experimental_distribute_dataset(data)]
    assert w.failure is None and w.run.facts["replicas"] == 2
    assert np.allclose(losses, w.run.overall("loss"), rtol=1e-5)
    agree(single, w.run, 2e-5, FIRST, NOISY)


def test_a_step_that_the_replicas_do_not_share_is_said(caplog: pytest.LogCaptureFixture) -> None:
    case = on_two_devices()
    step = shared_step(case, mirrored())

    @tf.function
    def twice(x: Any, y: Any) -> Any:
        return step(x, y) + step(x, y)

    x, y = batches(case)[0]
    with caplog.at_level(logging.WARNING, "kerasgrad"), kerasgrad.watch(case.model, update_freq=1, verbose=0) as w:
        assert np.isfinite(float(w.step(twice, x, y)))
    iterations = int(tf.convert_to_tensor(case.model.optimizer.iterations))
    assert "strategy.run more than once" in caplog.text and iterations == 2


@pytest.mark.slow
def test_two_workers(tmp_path: Path) -> None:
    """Two processes on the loopback, half a batch each: the run is that of one, and the first one writes it."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(str(free.getsockname()[1]))
    here = Path(__file__).parent
    settings = os.environ | {"PYTHONPATH": f"{here}:{here.parent}"}
    command = [sys.executable, str(here / "worker.py")]
    said = {"cwd": tmp_path, "env": settings, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    workers = [subprocess.Popen([*command, str(i), *ports], **said) for i in range(2)]
    try:
        texts = [worker.communicate(timeout=600)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], "".join(texts)
    assert all("with 2 workers" in text for text in texts) and "worker0" in texts[0]
    single = fitted(made("mlp"))
    first, second = (np.load(tmp_path / f"worker{i}.npz") for i in range(2))
    assert all(np.array_equal(first[name], second[name], equal_nan=True) for name in first.files)
    assert first["stops"].tolist() == [False, True, True, True]
    recorded = kerasgrad.Run.load(tmp_path / "worker0")
    assert not (tmp_path / "worker1").exists() and np.array_equal(recorded.overall("loss"), first["loss"])
    agree(single, recorded, 2e-5, FIRST, NOISY)


def test_a_held_out_loss_alone_is_enough() -> None:
    """The loss of the training is in the samples: it falls, while the one that is told rises."""
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(64, 6)), tf.float32)
    model = keras.Sequential([layers.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
    optimizer = keras.optimizers.Adam(1e-2)

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=True) - x[:, :1]))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    with kerasgrad.watch(model, update_freq=1, verbose=0) as w:
        for epoch in range(4):
            for _ in range(10):
                w.step(step, x)
            w.end_epoch(val_loss=1.0 + epoch)
    assert "overfitting" in {finding.rule for finding in w.diagnosis}
    assert "epoch is over" not in repr(w.diagnosis)


def test_what_it_cannot_watch_it_says() -> None:
    with pytest.raises(TypeError, match="Received"):
        kerasgrad.watch("model")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="update_freq"):
        kerasgrad.watch(made("mlp").model, update_freq=0)
    with pytest.raises(TypeError, match=r"`watch` has no such option; did you mean `update_freq`\?"):
        kerasgrad.watch(made("mlp").model, update_frequency=2)
