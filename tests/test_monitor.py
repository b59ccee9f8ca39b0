"""What a user does with the callback, then the corners."""

from __future__ import annotations

import copy
import errno
import logging
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grid
import keras
import numpy as np
import pytest
import tensorflow as tf
from grid import BATCH, GRID, Case

import kerasgrad
from kerasgrad import run as run_module
from kerasgrad.monitoring.overhead import Overhead
from kerasgrad.monitoring.schedule import Auto, EachEpoch, Every, Logarithmic, schedule
from kerasgrad.run import Run

STEPS = grid.N // BATCH


def fit(case: Case, *callbacks: Any, **kwargs: Any) -> Any:
    return case.model.fit(case.x, case.y, batch_size=BATCH, verbose=0, callbacks=list(callbacks), **kwargs)


def watch(log_dir: Any = None, **kwargs: Any) -> kerasgrad.GradientMonitor:
    return kerasgrad.GradientMonitor(log_dir, **{"update_freq": 1, "verbose": 0, **kwargs})


def same(one: Run, other: Run) -> bool:
    """Equal numbers in all statistics, and the same rows and steps."""
    tables = [(s.name, s.of) for s in kerasgrad.catalogue.STATISTICS]
    return (
        one.schema == other.schema
        and np.array_equal(one.steps, other.steps)
        and all(np.array_equal(one.table(*t), other.table(*t), equal_nan=True) for t in tables)
        and all(np.array_equal(one.units[p].last_fired, other.units[p].last_fired) for p in one.units)
    )


def test_from_fit_to_disk_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = GRID["mlp"]()
    monitor = watch(tmp_path / "mine", verbose=1)
    fit(case, monitor, epochs=2)
    run = monitor.run
    assert run.steps.tolist() == list(range(2 * STEPS))
    assert "dense" in run.layers and "dense/kernel" in run.variables
    assert run.layer("signal_rms")["dense"].dtype == np.float32
    assert (run.overall("examples") == BATCH).all() and f"batches of {BATCH}; loss" in repr(run)
    assert "4 layers" in capsys.readouterr().out
    loaded = Run.load(tmp_path / "mine")
    assert same(run, loaded)
    assert {k: v for k, v in run.facts.items()} == {k: v for k, v in loaded.facts.items()}
    assert repr(loaded).splitlines()[1:] == repr(run).splitlines()[1:]


def test_a_second_fit_goes_on(tmp_path: Path) -> None:
    case, monitor = GRID["mlp"](), watch(tmp_path)
    fit(case, monitor)
    fit(case, monitor, epochs=3, initial_epoch=2)
    assert monitor.run.steps.tolist() == list(range(2 * STEPS))
    assert same(monitor.run, Run.load(tmp_path))


def test_resuming_from_a_checkpoint_goes_on_in_the_same_run(tmp_path: Path) -> None:
    case, first = GRID["mlp"](), watch(tmp_path / "logs")
    fit(case, first, epochs=2)
    case.model.save(tmp_path / "model.keras")
    keras.backend.clear_session(free_memory=False)
    model = keras.saving.load_model(tmp_path / "model.keras")
    second = watch(tmp_path / "logs")
    fit(Case(model, case.x, case.y), second, epochs=3, initial_epoch=2)
    assert second.run.steps.tolist() == list(range(3 * STEPS))
    assert same(second.run, Run.load(tmp_path / "logs"))
    assert not (tmp_path / "logs" / "2").exists()


def test_a_fresh_script_in_the_same_directory_gets_a_numbered_run(tmp_path: Path) -> None:
    for _ in range(3):
        keras.backend.clear_session(free_memory=False)
        fit(GRID["mlp"](), watch(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2", "3", "gradients"]
    assert Run.load(tmp_path).facts["directory"] == str(tmp_path / "3" / "gradients")
    assert len(Run.load(tmp_path / "2")) == len(Run.load(tmp_path / "gradients")) == STEPS


def test_another_model_gets_a_run_of_its_own(tmp_path: Path) -> None:
    monitor = watch(tmp_path)
    fit(GRID["mlp"](), monitor)
    fit(GRID["lstm"](), monitor)
    assert len(monitor.run) == STEPS and "lstm" in " ".join(monitor.run.layers)
    assert same(monitor.run, Run.load(tmp_path / "2"))
    assert len(Run.load(tmp_path / "gradients").layers) == 4


def test_two_monitors_on_one_model() -> None:
    one, other = watch(), watch(update_freq=2, layers="*dense_1")
    case = GRID["mlp"]()
    fit(case, one, other, epochs=2)
    assert one.failure is None and other.failure is None
    assert one.run.steps.tolist() == list(range(8)) and other.run.steps.tolist() == [0, 2, 4, 6]
    a, b = (run.layer("gradient_norm")["dense_1"] for run in (one.run, other.run))
    assert np.array_equal(a[::2], b)


def test_choice_of_layers() -> None:
    choices: list[Any] = ["*dense_1", ["dense_1", "nothing"], lambda layer: layer.name == "dense_1"]
    for choice in choices:
        keras.backend.clear_session(free_memory=False)
        monitor = watch(layers=choice)
        fit(GRID["mlp"](), monitor)
        assert monitor.run.layers == ("dense_1",)
        assert monitor.run.variables == ("dense_1/kernel", "dense_1/bias")
        assert monitor.run.facts["output_layer"] == ""
        assert "no row" in kerasgrad.diagnose(monitor.run).not_examined["last_activation"]
    whole = watch()
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    case = GRID["mlp"]()
    fit(case, whole)
    assert whole.run.facts["output_layer"] == whole.run.layers[-1]
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    part = watch(layers="*dense_1")
    fit(GRID["mlp"](), part)
    assert np.allclose(part.run.overall("gradient_norm")[0], whole.run.overall("gradient_norm")[0])


def test_metrics_in_the_logs(tmp_path: Path) -> None:
    monitor = watch(update_freq=2, log_metrics=True)
    seen = []

    class Reader(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(logs["gradient_norm"])

    history = fit(GRID["mlp"](), monitor, Reader(), keras.callbacks.CSVLogger(tmp_path / "log.csv"), epochs=2)
    assert {"gradient_norm", "dead_fraction", "depth_ratio"} <= set(history.history)
    assert seen[0] == seen[1] == monitor.run.overall("gradient_norm")[0], "repeated between samples"
    assert history.history["depth_ratio"][-1] == monitor.run.overall("depth_ratio")[-1]
    assert "depth_ratio" in (tmp_path / "log.csv").read_text()


def test_it_does_not_make_keras_wait() -> None:
    monitor = watch()
    assert monitor.async_safe
    if keras.src.backend.IS_THREAD_SAFE:
        assert keras.callbacks.CallbackList([monitor], model=GRID["mlp"]().model)._async_train
    assert not watch(log_metrics=True).async_safe


def test_deep_copy_is_a_fresh_monitor() -> None:
    monitor = watch(window=7, layers="*dense*")
    fit(GRID["mlp"](), monitor)
    twin = copy.deepcopy(monitor)
    assert not len(twin.run) and twin.settings.window == 7
    assert pickle.loads(pickle.dumps(monitor)).settings.window == 7
    fit(GRID["mlp"](), twin)
    assert len(twin.run) == STEPS


def test_histograms(tmp_path: Path) -> None:
    monitor = watch(tmp_path, histograms=True)
    fit(GRID["embedding"](), monitor)
    run = monitor.run
    for path in run.layers:
        sizes = [s for s, owner in zip(run.schema.sizes, run.schema.owners, strict=True) if run.layers[owner] == path]
        assert run.histogram(path).sum(axis=1).tolist() == [sum(sizes)] * STEPS
    assert np.array_equal(Run.load(tmp_path).histogram(run.layers[1]), run.histogram(run.layers[1]))
    with pytest.raises(KeyError, match="histograms=True"):
        Run(run_module.Schema((), (), (), (), (), {})).histogram("dense")


def test_signal_over_time(tmp_path: Path) -> None:
    monitor = watch(tmp_path)
    fit(GRID["lstm"](), monitor)
    run = monitor.run
    assert run.schema.recurrent == ("lstm_1",)
    assert run.signal_over_time("lstm_1").shape == (STEPS, 7)
    per_step = run.signal_over_time("lstm_1")[0]
    assert np.sqrt(np.mean(np.square(per_step))) == pytest.approx(run.layer("signal_rms")["lstm"][0], rel=1e-5)
    assert "raw data" in run.not_examined["lstm: signal_over_time"]
    with pytest.raises(KeyError, match="raw data"):
        run.signal_over_time("lstm")
    assert np.array_equal(Run.load(tmp_path).signal_over_time("lstm_1"), run.signal_over_time("lstm_1"))


def test_dead_units_are_followed_one_by_one() -> None:
    model = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(6, activation="relu", name="hidden"), keras.layers.Dense(2)]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    case = Case(model, np.ones((32, 4), "float32"), np.zeros((32, 2), "float32"))

    def set_bias(*values: float) -> None:
        kernel = np.zeros((4, 6), "float32")
        model.get_layer("hidden").set_weights([kernel, np.array(values, "float32")])

    monitor = watch(window=3)
    set_bias(1, 1, 1, 1, -1, -1)
    fit(case, monitor)  # steps 0 to 3: the last two units never fire
    set_bias(1, 1, 1, -1, -1, -1)
    fit(case, monitor)  # steps 4 to 7: one more has stopped
    set_bias(1, 1, 1, 1, 1, -1)
    fit(case, monitor)  # steps 8 to 11: both come back
    units = monitor.run.units["hidden"]
    assert units.last_fired.tolist() == [11, 11, 11, 11, 11, -1]
    assert units.revivals.tolist() == [0, 0, 0, 1, 1, 0]
    dead = np.round(monitor.run.layer("dead_fraction")["hidden"] * 6).astype(int).tolist()
    assert dead == [2] * 4 + [2, 2, 3, 3] + [1] * 4


def test_memory_is_bounded_by_thinning_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "MEMORY_BYTES", 20_000)
    monitor = watch(tmp_path)
    fit(GRID["mlp"](), monitor, epochs=10)
    run = monitor.run
    assert run.kept_every > 1 and set(np.diff(run.steps)) == {run.kept_every}
    assert f"every {run.kept_every}th sample" in repr(run)
    monkeypatch.undo()
    assert len(Run.load(tmp_path)) == 10 * STEPS


def test_training_other_layers_begins_another_run(tmp_path: Path) -> None:
    """Fine-tuning: unfrozen and compiled again, the rows are others and never mixed; the step goes on."""
    case, monitor = GRID["mlp"](), watch(tmp_path)
    case.model.layers[0].trainable = False
    case.model.compile("adam", "sparse_categorical_crossentropy")
    fit(case, monitor)
    frozen = monitor.run
    case.model.layers[0].trainable = True
    case.model.compile("adam", "sparse_categorical_crossentropy")
    fit(case, monitor)
    assert monitor.failure is None
    assert (len(frozen.variables), len(monitor.run.variables)) == (6, 8)
    assert same(frozen, Run.load(tmp_path / "gradients")) and same(monitor.run, Run.load(tmp_path / "2"))
    assert monitor.run.steps.tolist() == [4, 5, 6, 7]
    case.model.compile("sgd", "sparse_categorical_crossentropy")
    fit(case, monitor)
    assert monitor.run.steps.tolist() == list(range(4, 12)), "compiled again with nothing changed in the rows"


def test_a_trained_model_of_other_shape_begins_at_0_in_a_used_directory(tmp_path: Path) -> None:
    fit(GRID["mlp"](), watch(tmp_path))
    case, monitor = GRID["lstm"](), watch(tmp_path)
    fit(case)
    fit(case, monitor)
    assert monitor.run.steps.tolist() == [0, 1, 2, 3] and monitor.step == STEPS


def test_layers_without_variables_can_be_chosen() -> None:
    case, monitor = GRID["cnn"](), watch(layers="re_lu*")
    fit(case, monitor)
    run = monitor.run
    assert run.layers == ("re_lu",) and not run.not_examined
    assert np.isfinite(run.overall("loss")).all() and np.isfinite(run.layer("signal_rms")["re_lu"]).all()


@pytest.mark.parametrize("eagerly", [False, True])
def test_layers_made_in_call(eagerly: bool) -> None:
    """Another object in every trace and step, and yet one row."""

    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.last = keras.layers.Dense(8), keras.layers.Dense(3, activation="softmax")

        def call(self, x: Any) -> Any:
            return self.last(keras.layers.ReLU()(self.inner(x)))

    model, monitor = Model(), watch()
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eagerly)
    mlp = GRID["mlp"]()
    fit(Case(model, mlp.x, mlp.y), monitor)
    run = monitor.run
    assert len(run.layers) == 3 and not run.not_examined
    assert np.isfinite(run.table("signal_rms", "layer")).all() and np.isfinite(run.overall("dead_fraction")).all()


def test_nan_is_shown_and_not_passed_over() -> None:
    case, monitor = GRID["mlp_sigmoid"](), watch()
    fit(case, monitor)
    case.x[:] = np.nan
    fit(case, monitor)
    run = monitor.run
    assert np.isnan(run.overall("gradient_norm")[4:]).all() and np.isnan(run.overall("loss")[4:]).all()
    report = repr(run)
    assert "-> nan; gradient norm nan" in report
    assert "NaN or infinity in the gradient of 4 layers since step 4" in report


@pytest.mark.filterwarnings("ignore:Layer 'flatten:UserWarning")  # that it destroys the mask, as is meant here
def test_a_mask_that_does_not_fit_is_left_alone() -> None:
    """A layer that pools time away may hand the mask of its input on; lengths are known only when the step runs."""
    import tensorflow as tf

    class Passing(keras.layers.Layer):
        def __init__(self, function: Any) -> None:
            super().__init__()
            self.function, self.supports_masking = function, True

        def call(self, x: Any, mask: Any = None) -> Any:
            return self.function(x)

    for size in (5, 7):  # as long as the sequence, or not
        stack = [Passing(lambda x: x[:, 1:]), Passing(lambda x: keras.ops.mean(x, axis=1)), keras.layers.Flatten()]
        embedding = keras.layers.Embedding(20, size, mask_zero=True)
        model = keras.Sequential([keras.layers.Input((None,), dtype="int32"), embedding, *stack, keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        tokens = np.array([[1, 2, 3, 0, 0, 0, 0], [4, 5, 6, 7, 0, 0, 0]], np.int32)
        data = tf.data.Dataset.from_tensor_slices((tokens, np.ones((2, 1), "float32"))).padded_batch(2, ([None], [1]))
        monitor = watch()
        model.fit(data, verbose=0, callbacks=[monitor], shuffle=False)
        assert monitor.failure is None and len(monitor.run) == 1
        assert monitor.run.layer("activation_zeros")["passing_1" if size == 5 else "passing_3"][0] == 0


class TestBadUse:
    """A clear error before training, that names what was received and the way out."""

    @pytest.mark.parametrize("value", [0, -3, "always", 1.5, None, True])
    def test_update_freq(self, value: Any) -> None:
        with pytest.raises(ValueError, match="Received: update_freq="):
            kerasgrad.GradientMonitor(update_freq=value)

    def test_window_and_layers(self) -> None:
        with pytest.raises(ValueError, match="Received: window=0"):
            kerasgrad.GradientMonitor(window=0)
        with pytest.raises(TypeError, match="Received: layers=3"):
            kerasgrad.GradientMonitor(layers=3)  # type: ignore[arg-type]

    def test_pattern_that_matches_nothing(self) -> None:
        with pytest.raises(ValueError, match=r"matches no layer.*dense.*Received: layers='dence\*'"):
            fit(GRID["mlp"](), watch(layers="dence*"))

    def test_directory_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match=r"log_dir=None.*Received: log_dir="):
            fit(GRID["mlp"](), watch(tmp_path / "file" / "logs"))

    def test_model_of_another_library(self) -> None:
        class Model:
            pass

        with pytest.raises(TypeError, match="models of Keras 3"):
            watch().set_model(Model())

    def test_another_backend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        code = "import kerasgrad\ntry: kerasgrad.GradientMonitor()\nexcept ValueError as e: print(e)"
        try:  # no other backend is installed with us; this one Keras brings itself, but newer versions ask for JAX besides
            said = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                env=os.environ | {"KERAS_BACKEND": "numpy"},
                check=True,
            ).stdout
        except subprocess.CalledProcessError as error:
            assert "No module named 'jax'" in error.stderr
            monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
            with pytest.raises(ValueError, match=r"KERAS_BACKEND=tensorflow.*Received: backend='jax'"):
                kerasgrad.GradientMonitor()
        else:
            assert "KERAS_BACKEND=tensorflow" in said and "Received: backend='numpy'" in said

    def test_unknown_statistic(self) -> None:
        monitor = watch()
        fit(GRID["mlp"](), monitor)
        with pytest.raises(KeyError, match=r"signal_rms.*Received: name='signal'"):
            monitor.run.layer("signal")

    def test_nothing_recorded(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="No run of kerasgrad"):
            Run.load(tmp_path)
        assert "No sample yet" in repr(watch().run)


class TestBadDays:
    """A failure of the monitor never costs a training, is said once, and leaves the model as it was."""

    def test_disk_full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("kerasgrad.events.records.write", full)
        monitor = watch(tmp_path)
        with caplog.at_level(logging.WARNING, "kerasgrad"):
            history = fit(GRID["mlp"](), monitor, epochs=2)
        assert len(history.history["loss"]) == 2 and len(monitor.run) == 2 * STEPS
        assert len([record for record in caplog.records if record.name == "kerasgrad"]) == 1  # said once
        assert "No space left" in caplog.text and "No space left" in " ".join(repr(monitor.run).split())

    @pytest.mark.parametrize(
        "where",
        [
            "kerasgrad.monitoring.instrument.take_moments",
            "kerasgrad.monitoring.recorder.tabulate",
            "kerasgrad.taps.gradients._tensors",
            *(
                pytest.param(f"kerasgrad.taps.{where}", marks=pytest.mark.slow)
                for where in (
                    "collector.activation_of",
                    "layers.ForwardPass._note",
                    "layers.ForwardPass._enter",
                    "gradients._scalars",
                )
            ),
        ],
    )
    def test_a_bug_of_ours(self, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a bug")

        keras.utils.set_random_seed(1)
        plain = GRID["mlp"]()
        keras.utils.set_random_seed(2)
        fit(plain, epochs=2)
        monkeypatch.setattr(where, broken)
        keras.backend.clear_session(free_memory=False)
        keras.utils.set_random_seed(1)
        case, monitor = GRID["mlp"](), watch()
        keras.utils.set_random_seed(2)
        with caplog.at_level(logging.WARNING, "kerasgrad"):
            fit(case, monitor, epochs=2)
        assert "a bug" in caplog.text and "Training is not affected" in caplog.text and len(caplog.records) == 1
        for a, b in zip(plain.model.get_weights(), case.model.get_weights(), strict=True):
            assert np.array_equal(a, b)

    def test_an_operation_of_ours_that_fails_while_the_step_runs(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def failing(seen: Any, **options: Any) -> Any:
            tf.debugging.assert_less(tf.shape(seen.layers[0].parts[0].output)[0], 0)
            return measure(seen, **options)

        measure = kerasgrad.monitoring.instrument.take_moments
        monkeypatch.setattr("kerasgrad.monitoring.instrument.take_moments", failing)
        case = GRID["mlp"]()
        with caplog.at_level(logging.WARNING, "kerasgrad"):
            fit(case, watch(update_freq=lambda step: step == 2), epochs=2)
        assert int(case.model.optimizer.iterations) >= 2 * STEPS - 1, "only the step in which it failed may be missing"
        said = caplog.records[0].message
        assert len(caplog.records) == 1 and "assertion failed" in said and "Training goes on" in said and "File" not in said

    def test_an_error_of_the_users_own_is_not_reported_as_ours(self, caplog: pytest.LogCaptureFixture) -> None:
        def loss(*_: Any) -> Any:
            raise RuntimeError("the user's")

        case = GRID["mlp"]()
        case.model.compile("sgd", loss)
        with caplog.at_level(logging.WARNING, "kerasgrad"), pytest.raises(RuntimeError, match="the user's"):
            fit(case, watch())
        assert not caplog.records

    def test_a_failure_is_what_the_run_says(self) -> None:
        monitor = watch(update_freq=lambda step: 1 // 0)
        fit(GRID["mlp"](), monitor)
        assert "ZeroDivisionError" in repr(monitor.run)

    def test_ordinary_oddities(self) -> None:
        """No gradient, batches of one, nothing to train, no epoch."""
        case, monitor = GRID["mlp"](), watch()
        fit(case, monitor, epochs=0)
        assert not len(monitor.run)
        case.model.fit(case.x[:3], case.y[:3], batch_size=1, verbose=0, callbacks=[monitor])
        assert monitor.run.steps.tolist() == [0, 1, 2]
        case.model.trainable = False
        case.model.compile("sgd", "sparse_categorical_crossentropy")
        nothing = watch()
        with pytest.warns(UserWarning, match="does not have any trainable weights"):
            fit(case, nothing)
        assert nothing.failure is None
        assert not nothing.run.variables and np.isfinite(nothing.run.table("activation_mean", "layer")).all()

    @pytest.mark.filterwarnings("ignore:Gradients do not exist")
    def test_what_is_not_examined_says_why(self) -> None:
        monitor = watch()
        fit(GRID["subclassed"](), monitor)
        reasons = monitor.run.not_examined
        assert any("not called" in why or "no layer that holds it" in why for why in reasons.values())
        assert "subclassed" in monitor.run.layers, "the weight that the model itself holds has a row"
        monitor = watch()
        fit(GRID["bidirectional"](), monitor)
        text = repr(monitor.run)
        assert "once per time step inside" in text and "kerasgrad.through_time" in text

    def test_an_old_run_that_cannot_be_read_does_not_stop_a_new_one(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "gradients").mkdir()
        (tmp_path / "gradients" / "events.out.tfevents.1.x").write_bytes(b"")
        monitor = watch(tmp_path)
        with caplog.at_level(logging.WARNING, "kerasgrad"):
            fit(GRID["mlp"](), monitor, initial_epoch=1, epochs=2)
        assert "starting a new run" in caplog.text
        assert len(Run.load(tmp_path / "2")) == STEPS

    def test_full_batch_training(self, tmp_path: Path) -> None:
        """One step an epoch: costs are measured all the same, and the disk is not written to at each."""
        case, monitor = GRID["mlp"](), watch(tmp_path, update_freq="auto")
        validation = (case.x, case.y)
        case.model.fit(case.x, case.y, batch_size=64, epochs=60, verbose=0, validation_data=validation, callbacks=[monitor])
        assert monitor.run.facts["overhead"] is not None
        assert monitor.run.steps[:10].tolist() == list(range(10)) and monitor.run.steps[-1] == 59
        assert sum(p.stat().st_size for p in (tmp_path / "gradients").iterdir()) < 400_000


class TestGan:
    """Two optimizers; the generator's loss passes through the discriminator without training it."""

    def test_rows(self) -> None:
        monitor = watch()
        case = GRID["gan"]()
        fit(case, monitor)
        assert monitor.failure is None
        run = monitor.run
        assert len(run.variables) == 8 and len(run.layers) == 5
        assert (run.table("update_norm", "variable") > 0).all()
        assert np.isfinite(run.table("signal_rms", "layer")).all()

    def test_equals_a_plain_tape(self) -> None:
        import tensorflow as tf

        case, monitor = GRID["gan"](), watch()
        model, real, noise = case.model, tf.constant(case.x[:BATCH]), tf.constant(case.y[:BATCH])
        with tf.GradientTape() as tape:
            judged = model.discriminator(tf.concat([real, model.generator(noise)], 0))
            labels = tf.concat([tf.ones([BATCH, 1]), tf.zeros([BATCH, 1])], 0)
            loss = model.loss_fn(labels, judged)
        wanted, signal = tape.gradient(loss, [model.discriminator.trainable_weights, judged])
        case.model.fit(case.x[:BATCH], case.y[:BATCH], batch_size=BATCH, verbose=0, callbacks=[monitor])
        run = monitor.run
        for variable, gradient in zip(model.discriminator.trainable_weights, wanted, strict=True):
            assert run.variable("gradient_norm")[variable.path.removeprefix(f"{model.name}/")][0] == pytest.approx(
                np.linalg.norm(gradient), rel=1e-5
            )
        last = model.discriminator.layers[-1].path.removeprefix(f"{model.name}/")
        assert run.layer("signal_rms")[last][0] == pytest.approx(float(np.sqrt(np.mean(np.square(signal)))), rel=1e-5)


class TestSchedules:
    def test_kinds(self) -> None:
        assert schedule("batch") == Every(1) and schedule(4) == Every(4) and schedule("epoch") == EachEpoch()
        assert schedule(lambda step: step in (1, 5)).due(5, 0)
        assert [step for step in range(1000) if Logarithmic(10).due(step, 0)][-1] > 500
        assert 20 < sum(Logarithmic(10).due(step, 0) for step in range(1000)) < 60

    def test_epoch_and_function(self) -> None:
        for update_freq, steps in (("epoch", [0, 4, 8]), (lambda step: step % 5 == 1, [1, 6, 11])):
            monitor = watch(update_freq=update_freq)
            fit(GRID["mlp"](), monitor, epochs=3)
            assert monitor.run.steps.tolist() == steps

    @pytest.mark.parametrize("factor", [0.1, 1.0, 10.0])
    def test_auto_keeps_its_budget(self, factor: float) -> None:
        """With known costs, also when steps become quicker or slower midway: under 1 % before and after, and it is used."""
        auto, overhead, samples = Auto(), Overhead(), []
        usual, spent, elapsed = 0.010, [0.0, 0.0], [0.0, 0.0]
        overhead.step(3.0, True)
        overhead.step(2.0, False)
        for step in range(60_000):
            half = step // 30_000
            if step == 30_000:
                usual *= factor
            due = auto.due(step, step, overhead, 60_000)
            samples += [step] if due else []
            overhead.step(usual + 0.006 * due, due)
            spent[half] += 0.006 * due
            elapsed[half] += usual + 0.006 * due
        assert samples[:9] == list(range(9)) and sum(step < 100 for step in samples) >= 49, "most at the start"
        assert all(0.009 < s / e <= 0.0101 for s, e in zip(spent, elapsed, strict=True))
        assert overhead.share == pytest.approx(sum(spent) / sum(elapsed), rel=0.02)
        assert overhead.tracing == 3.0

    def test_auto_on_a_machine_that_changes_its_pace(self) -> None:
        """A machine that becomes quicker does not pay for samples."""
        auto, overhead, spent, elapsed = Auto(), Overhead(), 0.0, 0.0
        for step in range(20_000):
            pace = 0.5 if step // 500 % 2 else 1.0
            due = auto.due(step, step, overhead, 20_000)
            overhead.step(pace * (0.1 + 0.014 * due), due)
            spent += pace * 0.014 * due
            elapsed += pace * (0.1 + 0.014 * due)
        assert 0.005 < spent / elapsed <= 0.0115

    def test_auto_in_a_short_training(self) -> None:
        """Fewer samples where each is dear, but never none."""
        overhead, auto = Overhead(), Auto()
        samples = []
        for step in range(60):
            due = auto.due(step, step, overhead, 60)
            samples += [step] if due else []
            overhead.step(0.001 + 0.002 * due, due)
        assert samples[:10] == list(range(10)) and len(samples) == 10

    def test_auto_on_a_model_whose_cost_changes_midway(self) -> None:
        """A real fit, whose steps become twenty times as quick after a third of it; timed by the callback itself."""
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
        pause = [0.004]

        class Slow(keras.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                time.sleep(pause[0])

        def quicken(epoch: int, logs: Any) -> None:
            pause[0] = 0.004 if epoch < 1 else 0.0002

        model.compile("sgd", "mse")
        monitor = watch(update_freq="auto")
        x = np.ones((2000, 4), "float32")
        callbacks = [monitor, Slow(), keras.callbacks.LambdaCallback(on_epoch_begin=quicken)]
        model.fit(x, x, batch_size=4, epochs=3, verbose=0, callbacks=callbacks)
        # Judged at the end: how soon the share of the first samples is worked off depends on what else the machine does.
        assert 0 <= monitor.run.facts["overhead"] < 0.05
        assert monitor.run.steps[:10].tolist() == list(range(10)) and 10 < len(monitor.run) < 1000

    def test_auto_samples_the_last_epoch(self) -> None:
        monitor = watch(update_freq="auto")
        fit(GRID["mlp"](), monitor, epochs=20)
        assert monitor.run.steps[:10].tolist() == list(range(10))
        assert 19 * STEPS in monitor.run.steps
        assert 0 <= monitor.run.facts["overhead"] < 50


def test_without_activations() -> None:
    """Gradients, weights and updates are the same numbers; the rest is said to be left out."""
    runs = {}
    for activations in (True, False):
        keras.backend.clear_session(free_memory=False)
        keras.utils.set_random_seed(1)
        case, monitor = GRID["mlp"](), watch(activations=activations)
        keras.utils.set_random_seed(2)
        fit(case, monitor)
        runs[activations] = monitor.run
    full, light = runs[True], runs[False]
    assert light.layers == full.layers and not light.schema.units
    for name in ("gradient_norm", "gradient_zeros", "weight_norm", "update_norm"):
        assert np.array_equal(light.table(name, "layer"), full.table(name, "layer"), equal_nan=True)
        assert np.array_equal(light.table(name, "variable"), full.table(name, "variable"), equal_nan=True)
    assert np.isnan(light.table("activation_mean", "layer")).all() and np.isnan(light.table("signal_rms", "layer")).all()
    assert all(f"{path}: activation" in light.facts["not_examined"] for path in light.layers)
    assert "activations=False" in repr(light)
