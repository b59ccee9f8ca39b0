"""`prescribe` on a model that cannot learn, on one that can, on one that nothing helps, and on what it cannot treat."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasgrad
from kerasgrad.finding import Diagnosis, Finding, Severity
from kerasgrad.remedies import prescribing
from kerasgrad.remedies.prescription import Trial

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(600, 8)).astype("float32")
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype("int64")
GIVEN: dict[str, Any] = {"steps": 60, "verbose": 0}


def net(rate: float = 5e-3, **given: Any) -> Any:
    stack = [layers.Dense(16, activation="relu", name=f"hidden{i}", **given) for i in (1, 2)]
    model = keras.Sequential([keras.Input((8,)), *stack, layers.Dense(2, activation="softmax", name="end")], name="net")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def cured() -> Any:
    """A net whose biases begin far below zero, before and after, and what came of it."""
    keras.utils.set_random_seed(0)
    model = net(bias_initializer=keras.initializers.Constant(-50.0))
    return model, model.get_weights(), kerasgrad.prescribe(model, X, Y, **GIVEN)


@pytest.mark.xdist_group("cured")
def test_a_dead_net_is_cured_and_left_as_it_was(cured: Any) -> None:
    model, before, found = cured
    assert found and "reset" in found.best.name, found
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    untreated = found.trials[0]
    assert untreated.name == "as it is" and "dead_units" in [f.rule for f in untreated.warnings]
    assert found.best is found.trials[1] and not found.best.left
    assert found.best.loss < 0.8 * untreated.loss and found.best.scores["accuracy"] > untreated.scores["accuracy"] + 0.2
    assert not found.model.optimizer.iterations.numpy()
    found.model.fit(X, Y, epochs=12, verbose=0)
    assert found.model.evaluate(X, Y, verbose=0)[1] > 0.9


@pytest.mark.xdist_group("cured")
def test_the_table_says_what_was_tried(cured: Any) -> None:
    found = cured[2]
    said = repr(found)
    assert said.startswith(f"net: take {found.best.name}") and "as it is" in said and "held-out loss" in said
    assert all(trial.remedies[0] in said for trial in found.trials[1:])
    assert max(map(len, said.splitlines())) <= 118
    assert any(len(trial.remedies) == 2 for trial in found.trials)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert len(values["trials"]) == len(found.trials) and values["best"]["helps"] is True
    # Each remedy once; one that changes nothing says so.
    names = [trial.remedies for trial in found.trials]
    assert len(set(names)) == len(names)
    assert all(trial.reason or trial.scores for trial in found.trials)


@pytest.mark.xdist_group("cured")
def test_the_table_is_there_in_a_notebook_too(cured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = repr(cured[2])
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert repr(cured[2]) == said


def test_a_healthy_model_is_left_alone() -> None:
    model = net()
    found = kerasgrad.prescribe(model, X, Y, **GIVEN)
    assert not found and found.model is model and len(found.trials) == 1 and "left alone" in repr(found)


@pytest.mark.slow
def test_where_nothing_helps_it_says_so() -> None:
    model = net(rate=1e-3)
    noise = RANDOM.integers(0, 2, 600)
    found = kerasgrad.prescribe(model, X, noise, steps=200, verbose=0)
    if found.trials[0].warnings:
        assert "check_labels" in found.advice
    assert not found and found.model is model, found


def test_when_the_time_is_up_it_says_what_was_not_tried() -> None:
    model = net(bias_initializer=keras.initializers.Constant(-50.0))
    found = kerasgrad.prescribe(model, X, Y, seconds=0, **GIVEN)
    assert not found and len(found.trials) > 3 and found.reason == prescribing.UNTRIED and "Ranked by" not in repr(found)
    assert {trial.reason for trial in found.trials[1:]} == {prescribing.LATE}


def test_trials_are_ranked_by_what_is_left_and_then_by_loss() -> None:
    def trial(name: str, *ills: str, loss: float = 1.0, severity: Any = Severity.WARNING, **more: Any) -> Trial:
        return Trial(
            (name,) if name else (),
            tuple(Finding(rule=i, severity=severity, summary="") for i in ills),
            {"loss": loss},
            **more,
        )

    untreated = trial("", "plateau", "dead_units")
    trials = [
        untreated,
        trial("worse", "plateau", "dead_units", loss=2.0),
        trial("one_left", "plateau", loss=0.1),
        trial("cured_slow", loss=0.9),
        trial("cured", "overfitting", loss=0.2),
        trial("broken", "non_finite", loss=float("nan"), severity=Severity.ERROR),
        trial("hardly", "plateau", "dead_units", loss=0.97),
        trial("quiet_but_worse", loss=3.0),
        trial("other_loss", loss=5.0, loss_function="other"),
        Trial(("late",), reason="late"),
    ]
    ranked = prescribing._ranked(trials, untreated)
    assert [t.name for t in ranked] == [
        "cured", "cured_slow", "other_loss", "one_left", "quiet_but_worse", "broken", "hardly", "worse", "late"
    ]  # fmt: skip
    assert [t.name for t in ranked if t.helps] == ["cured", "cured_slow", "other_loss", "one_left"]


def test_a_smaller_loss_alone_is_no_cure_of_what_the_audit_reads_off_the_model() -> None:
    def of(samples: int) -> list[Trial]:
        ill = (Finding(rule="plateau", severity=Severity.WARNING, summary="", samples=samples),)
        trials = [Trial(names, ill, {"loss": loss}) for names, loss in (((), 1.0), (("lucky",), 0.9))]
        return prescribing._ranked(trials, trials[0])

    assert of(samples=20)[0].helps and not of(samples=0)[0].helps


class Hidden(keras.Layer):
    """A layer with state that is nowhere saved."""

    factor = 1.0

    def call(self, x: Any) -> Any:
        return x * self.factor


def test_a_model_whose_copy_is_another_one_is_refused() -> None:
    layer = Hidden()
    layer.factor = 50.0
    model = keras.Sequential([keras.Input((8,)), layer, layers.Dense(1)], name="net")
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"copy of the model predicts something else.*Received: model='net'"):
        kerasgrad.prescribe(model, X, Y, **GIVEN)


def test_lists_of_inputs_and_targets_and_an_adapted_layer() -> None:
    a, b = keras.Input((8,)), keras.Input((8,))
    norm = layers.Normalization()
    norm.adapt(X * 100)
    hidden = layers.Dense(16, "relu")(layers.Concatenate()([norm(a), b]))
    model = keras.Model([a, b], [layers.Dense(1, name="one")(hidden), layers.Dense(2, "softmax", name="two")(hidden)])
    model.compile("adam", ["mse", "sparse_categorical_crossentropy"])
    x, y = [X * 100, X], [X[:, :1], Y]
    found = [kerasgrad.prescribe(model, kind(x), kind(y), steps=20, verbose=0) for kind in (list, tuple)]
    assert found[0].trials[0].loss == found[1].trials[0].loss
    assert not found[0].trials[0].warnings, found[0]  # without what it was adapted to: unscaled_inputs


def test_what_several_findings_name_is_treated_in_the_layers_of_all_that_warn() -> None:
    def finding(severity: Severity, *layers: str) -> Finding:
        return Finding(
            rule="ill", severity=severity, summary="", layers=layers, remedies=("use_he_initializer", "check_labels")
        )

    error, warning, note = finding(Severity.ERROR, "a"), finding(Severity.WARNING, "a", "b"), finding(Severity.NOTE, "c")
    named = prescribing._named(Diagnosis((error, note)), Diagnosis((warning,)))
    assert list(named) == ["use_he_initializer"] and named["use_he_initializer"].layers == ("a", "b")
    # One that names no layer is about all of them.
    assert prescribing._named(Diagnosis((finding(Severity.ERROR), warning)), Diagnosis())["use_he_initializer"].layers == ()


def test_what_the_audit_warns_of_is_reason_enough() -> None:
    """Three sigmoids: nothing that a rule would warn of within these steps."""
    keras.utils.set_random_seed(0)
    stack = [layers.Dense(16, activation="sigmoid", name=f"hidden{i}") for i in range(3)]
    model = keras.Sequential([keras.Input((8,)), *stack, layers.Dense(2, activation="softmax", name="end")], name="net")
    model.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy")
    found = kerasgrad.prescribe(model, X, Y, steps=30, seconds=0, verbose=0)
    assert "saturating_activation" in [f.rule for f in found.trials[0].warnings] and len(found.trials) > 1


def test_two_trainings_of_the_same_copy_are_the_same() -> None:
    """So that what differs between trials is the remedy."""
    model = net()
    bench = prescribing._bench(X, Y, None, 20, 32, 0, 60)
    losses = [bench.train((), kerasgrad.remedies.plain_copy(model))[0].loss for _ in range(2)]
    assert losses[0] == losses[1]


def test_of_a_class_with_its_own_call_nothing_is_tried() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.stack = [layers.Dense(8, activation="sigmoid") for _ in range(4)]

        def call(self, x: Any) -> Any:
            for layer in self.stack:
                x = layer(x)
            return x

    model = Own()
    model.compile("adam", "mse")
    model(X[:1])
    found = kerasgrad.prescribe(model, X, Y, **GIVEN)
    assert not found and not found.trials and "nothing was tried" in repr(found) and "use_relu" in found.advice


def test_slips_of_the_pen() -> None:
    with pytest.raises(TypeError, match=r"takes a Keras model"):
        kerasgrad.prescribe("model", X, Y)
    with pytest.raises(TypeError, match=r"takes arrays.*Received: x of type generator"):
        kerasgrad.prescribe(net(), (row for row in X), Y)
    with pytest.raises(ValueError, match=r"build it and compile it first"):
        kerasgrad.prescribe(keras.Sequential([layers.Dense(1)]), X, Y)
    with pytest.raises(ValueError, match=r"`steps` is a number from 1. Received: steps=0"):
        kerasgrad.prescribe(net(), X, Y, steps=0)
    with pytest.raises(ValueError, match=r"it takes 39, or fewer with a smaller `batch_size`. Received: 10 examples"):
        kerasgrad.prescribe(net(), X[:10], Y[:10])
    with pytest.raises(TypeError, match=r"takes targets beside `x`.*Received: y=None"):
        kerasgrad.prescribe(net(), X, None)
    with pytest.raises(TypeError, match=r"Received: y of type list with int in it"):
        kerasgrad.prescribe(net(), X, Y.tolist())
    with pytest.raises(ValueError, match=r"as many targets as inputs. Received: x of 600, y of 50 examples"):
        kerasgrad.prescribe(net(), X, Y[:50])
    with pytest.raises(
        TypeError, match=r"`validation_data` is `\(x, y\)`, of arrays.*Received: validation_data of type _Batch"
    ):
        kerasgrad.prescribe(net(), X, Y, validation_data=tf.data.Dataset.from_tensor_slices((X, Y)).batch(32))
