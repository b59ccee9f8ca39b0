"""Each rule on a sick run and its healthy twin, and all of them on whatever a run may be."""

from __future__ import annotations

import ast
import dataclasses
import graphlib
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import LAYERS, healthy, made, stuck

import kerasgrad
import zoo.baselines
import zoo.recipes
from kerasgrad import catalogue, remedies, rules
from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.applicable import CHECKS, applicable
from kerasgrad.rules.evidence import Evidence, median
from kerasgrad.rules.initial import gates as gates_of
from kerasgrad.rules.rule import Rule
from kerasgrad.run import Run, Sample, Schema

FOLDER = Path(rules.__file__).parent
BY_NAME = {rule.name: rule for rule in rules.DEFAULT}


def warnings_of(run: Run) -> list[Finding]:
    diagnosis = kerasgrad.diagnose(run)
    assert not {name: why for name, why in diagnosis.not_examined.items() if "failed" in why}
    return list(diagnosis.of(Severity.WARNING))


def test_a_healthy_run_is_left_in_peace() -> None:
    for activation in ("relu", "tanh", "gelu"):
        assert not kerasgrad.diagnose(made(healthy(activation=activation), activation=activation)).findings


def test_a_converged_run_with_tiny_gradients_is_left_in_peace() -> None:
    tables = healthy()
    fading = np.geomspace(1, 1e-9, len(tables["overall", "loss"]))
    tables["overall", "loss"] = 2.3 * fading
    for of, name in tables:
        if name in ("signal_rms", "gradient_norm", "update_norm", "update_ratio"):
            values = tables[of, name]
            tables[of, name] = values * (fading if values.ndim == 1 else fading[:, None])
    assert not warnings_of(made(tables))


# Sick runs: what is changed in the healthy one, the rule that must see it, and the layer that starts it.


def vanishing(t: dict[Any, Any]) -> Run:
    t["layer", "signal_rms"] *= 10.0 ** -np.arange(LAYERS)[::-1]
    return made(stuck(t))


def frozen_after_tracing(t: dict[Any, Any]) -> Run:
    return made(t, {"stale_trainable": {"trained": ["layer0", "layer1"]}})


def vanishing_through_one(t: dict[Any, Any]) -> Run:
    t["layer", "signal_rms"][:, :3] *= 1e-6
    return made(stuck(t))


def exploding(t: dict[Any, Any]) -> Run:
    t["layer", "signal_rms"][:, :2] *= 1e6
    return made(stuck(t))


def nan_forward(t: dict[Any, Any]) -> Run:
    t["layer", "activation_nonfinite"][40:, 2:] = 1
    return made(t)


def nan_backward(t: dict[Any, Any]) -> Run:
    t["layer", "gradient_nonfinite"][40, :4] = 1
    t["layer", "activation_nonfinite"][41:] = 1
    return made(t)


def nan_hidden(t: dict[Any, Any]) -> Run:
    t["layer", "weight_norm"][30:, 1] = np.nan
    return made(t)


def nan_at_once(t: dict[Any, Any]) -> Run:
    t["layer", "activation_nonfinite"][:, 2:] = 1
    return made(t)


def nan_by_a_misfit(t: dict[Any, Any]) -> Run:
    t["overall", "loss"][:] = np.nan
    t["layer", "gradient_nonfinite"][:] = 1
    return made(t, {"loss_function": "categorical_crossentropy"}, last="relu")


def cut_off(t: dict[Any, Any]) -> Run:
    t["variable", "gradient_norm"][:, :4] = np.nan
    return made(t)


def frozen(t: dict[Any, Any]) -> Run:
    t["layer", "update_ratio"][:, 1] = 1e-9
    return made(stuck(t))


def unbalanced(t: dict[Any, Any]) -> Run:
    t["layer", "update_ratio"][:, 3] = 1.0
    return made(stuck(t))


def too_high(t: dict[Any, Any]) -> Run:
    t["layer", "update_ratio"] *= 2000
    return made(stuck(t))


def too_low(t: dict[Any, Any]) -> Run:
    t["layer", "update_ratio"] *= 1e-3
    return made(stuck(t))


def too_high_to_settle(t: dict[Any, Any]) -> Run:
    t["layer", "update_ratio"][:3] = 0.2
    t["overall", "loss"] = np.linspace(2.3, 1.2, 80)
    return made(t, {"history": {"step": [120, 240], "loss": [1.8, 1.2]}})


def few_examples(t: dict[Any, Any]) -> Run:
    t["overall", "examples"][:] = 2
    return made(stuck(t), {"batch_normalised": True})


def clipping(t: dict[Any, Any]) -> Run:
    t["layer", "gradient_norm_clipped"] = t["layer", "gradient_norm"] * 1e-3
    return made(stuck(t))


def dead(t: dict[Any, Any]) -> Run:
    t["layer", "activation_zeros"][:, 2] = 1.0
    return made(stuck(t))


def dying(t: dict[Any, Any]) -> Run:
    t["layer", "dead_fraction"][50:, 3] = 0.8
    return made(stuck(t))


def dormant(t: dict[Any, Any]) -> Run:
    t["layer", "dormant_fraction"][:, 1] = 0.95
    return made(stuck(t))


def saturated(t: dict[Any, Any]) -> Run:
    t["layer", "saturated_fraction"] = np.full_like(t["layer", "signal_rms"], 0.05)
    t["layer", "saturated_fraction"][:, 2:4] = 0.99
    return made(stuck(t), activation="tanh")


def blown_up(t: dict[Any, Any]) -> Run:
    t["variable", "weight_norm"][:, 4] *= 1000
    return made(stuck(t))


def jumping(t: dict[Any, Any]) -> Run:
    t["layer", "activation_std"][:, 3:] *= 500
    return made(stuck(t))


def all_ones(t: dict[Any, Any]) -> Run:
    t["variable", "weight_norm"][:, ::2] *= 5
    return made(stuck(t))


def shrunk(t: dict[Any, Any]) -> Run:
    t["variable", "weight_norm"][:, 4] *= 1e-3
    return made(stuck(t))


def zeroed(t: dict[Any, Any]) -> Run:
    t["variable", "weight_norm"][:, 0] = 0
    return made(stuck(t))


def unscaled(t: dict[Any, Any]) -> Run:
    t["variable", "gradient_norm"][:, 0] *= 255
    t["layer", "activation_std"][:, 0] *= 255
    t["layer", "activation_std"][:, 1:] *= 255
    return made(stuck(t))


def constant(t: dict[Any, Any]) -> Run:
    t["layer", "activation_std"][:, -1] = 0
    return made(t, {"loss_function": "binary_crossentropy"}, last="sigmoid", units=1)


def not_decreasing(t: dict[Any, Any]) -> Run:
    return made(stuck(t, 2.5))


def settled(t: dict[Any, Any]) -> Run:
    t["overall", "loss"] = np.concatenate([np.linspace(50, 2.3, 20), np.full(60, 2.3)])
    return made(t)


def oscillating(t: dict[Any, Any]) -> Run:
    epochs = np.array([2.3, 1.8, 1.2, 2.0, 1.1, 2.1, 1.2, 1.9, 1.1, 2.0])
    return made(t, {"history": {"step": list(range(8, 88, 8)), "loss": epochs.tolist()}})


def diverging(t: dict[Any, Any]) -> Run:
    t["overall", "loss"] = np.geomspace(2.3, 900, 80)
    return made(t)


def useless(t: dict[Any, Any]) -> Run:
    loss, val = np.linspace(2.0, 0.1, 10), np.linspace(2.3, 4.0, 10)
    return made(t, {"history": {"step": list(range(8, 88, 8)), "loss": loss.tolist(), "val_loss": val.tolist()}})


def misfit(t: dict[Any, Any]) -> Run:
    return made(t, {"loss_function": "binary_crossentropy"}, last="softmax", units=1)


def beyond_a_sigmoid(t: dict[Any, Any]) -> Run:
    t["overall", "loss"] = np.linspace(12.0, 11.5, 80)
    return made(t, {"loss_function": "mean_squared_error"}, last="sigmoid", units=1)


def decayed(t: dict[Any, Any]) -> Run:
    t["variable", "weight_norm"] *= np.geomspace(1, 1e-3, 80)[:, None]
    return made(stuck(t))


def fed_nan(t: dict[Any, Any]) -> Run:
    t["layer", "gradient_nonfinite"][40:, 0] = 1
    return made(t)


def over_too_soon(t: dict[Any, Any]) -> Run:
    t["overall", "learning_rate"] = 1e-3 * 0.5 ** np.arange(80)
    t["overall", "loss"] = np.geomspace(2.3, 1.5, 80)
    return made(t)


def below_zero(t: dict[Any, Any]) -> Run:
    t["overall", "loss"] = np.linspace(1.0, -900.0, 80)
    return made(t, {"loss_function": "binary_crossentropy"}, last="sigmoid", units=1)


def without_a_bound(t: dict[Any, Any]) -> Run:
    t["overall", "loss"], t["overall", "gradient_norm"] = -np.geomspace(1, 1e9, 80), np.geomspace(1, 1e6, 80)
    return made(t, {"loss_function": "of_my_own"})


def absolute_error_of_classes(t: dict[Any, Any]) -> Run:
    t["overall", "loss"] = np.linspace(0.14, 0.1, 80)
    history = {"step": [20, 40, 60, 80], "loss": [0.14, 0.12, 0.11, 0.1], "accuracy": [0.1, 0.2, 0.25, 0.28]}
    return made(t, {"loss_function": "mean_absolute_error", "history": history}, last="sigmoid")


def stuck_accuracy(t: dict[Any, Any]) -> Run:
    history = {"step": [20, 40, 60, 80], "loss": [0.7, 0.5, 0.4, 0.3], "accuracy": [0.4, 0.4, 0.4, 0.4]}
    return made(t, {"history": history})


SICK: list[tuple[Callable[[Any], Run], str, str, int | None]] = [
    (vanishing, "vanishing_gradient", "layer4", 0),
    (vanishing_through_one, "vanishing_gradient", "layer3", 0),
    (exploding, "exploding_gradient", "layer2", 0),
    (nan_forward, "non_finite", "layer2", 40),
    (nan_backward, "non_finite", "layer3", 40),
    (nan_hidden, "non_finite", "layer1", 30),
    (nan_at_once, "non_finite", "layer2", 0),
    (nan_by_a_misfit, "non_finite", "layer5", 0),
    (nan_by_a_misfit, "last_activation", "layer5", None),
    (cut_off, "disconnected", "layer1", 0),
    (frozen, "frozen_layer", "layer1", 0),
    (unbalanced, "unbalanced_layers", "layer3", 0),
    (too_high, "rate_too_high", "", 0),
    (too_high_to_settle, "rate_too_high", "", 0),
    (few_examples, "small_batch", "", 0),
    (too_low, "rate_too_low", "", 0),
    (clipping, "clipping_always", "", 0),
    (dead, "dead_units", "layer2", 0),
    (dying, "dead_units", "layer3", 50),
    (dormant, "dormant_units", "layer1", 0),
    (saturated, "saturated_units", "layer2", 0),
    (blown_up, "exploding_activation", "layer2", 0),
    (jumping, "exploding_activation", "layer3", 0),
    (all_ones, "exploding_activation", "layer0", 0),
    (shrunk, "collapsing_activation", "layer2", 0),
    (zeroed, "collapsing_activation", "layer0", 0),
    (unscaled, "unscaled_inputs", "layer0", 0),
    (constant, "constant_output", "layer5", 0),
    (not_decreasing, "loss_not_decreasing", "", 0),
    (settled, "plateau", "", 0),
    (oscillating, "oscillating_loss", "", 40),
    (diverging, "diverging_loss", "", 0),
    (useless, "overfitting", "", 8),
    (misfit, "last_activation", "layer5", None),
    (beyond_a_sigmoid, "last_activation", "layer5", None),
    (over_too_soon, "rate_too_low", "", 7),
    (decayed, "shrinking_weights", "", 15),
    (fed_nan, "non_finite", "layer0", 40),
    (below_zero, "last_activation", "layer5", None),
    (without_a_bound, "unbounded_loss", "", 0),
    (absolute_error_of_classes, "last_activation", "layer5", None),
    (stuck_accuracy, "stuck_metric", "", 20),
    (frozen_after_tracing, "stale_trainable", "layer0", None),
]


ALWAYS_NOTES = {"dormant_units"}


@pytest.mark.parametrize(("spoil", "rule", "layer", "since"), SICK, ids=lambda v: getattr(v, "__name__", ""))
def test_a_sick_run_is_found_with_layer_and_step(
    spoil: Callable[[Any], Run], rule: str, layer: str, since: int | None
) -> None:
    run = spoil(healthy())
    found = {f.rule: f for f in (kerasgrad.diagnose(run) if rule in ALWAYS_NOTES else warnings_of(run))}
    assert rule in found
    assert (found[rule].starts_at, found[rule].since) == (layer, since)
    alone = BY_NAME[rule](run)[0]
    assert found[rule].summary and alone.causes and alone.remedies
    assert bool(found[rule].remedies) is not bool(found[rule].follows_from), "remedies of the cause alone"
    assert found[rule].samples > 0 or since is None
    assert BY_NAME[rule](run), "a rule can be called by itself"


def test_no_rate_is_to_blame_for_a_nan_before_the_first_step() -> None:
    early, late = (
        next(f for f in warnings_of(spoil(healthy())) if f.rule == "non_finite") for spoil in (nan_at_once, nan_forward)
    )
    assert set(early.remedies) == set(late.remedies)
    assert early.remedies.index("guard_logarithms") < early.remedies.index("lower_learning_rate")
    assert late.remedies.index("guard_logarithms") > late.remedies.index("lower_learning_rate")


@pytest.mark.parametrize(
    ("activation", "weights", "dead", "cause", "remedy"),
    [
        ("sigmoid", 1.0, 0.0, "4 layers with a sigmoid, each of which leaves 0.25 at most", "use_relu"),
        ("tanh", 0.1, 0.0, "0.1 times the size that keeps a signal; those of 3 others", "use_glorot_initializer"),
        ("relu", 1.0, 0.0, "0.71 times the size that keeps a signal; those of 3 others", "use_he_initializer"),
        ("relu", 2.0, 0.9, "90 % of the units of layer2 are dead", "reset_dead_units"),
        ("tanh", 1.0, 0.0, "activations whose derivative is below 1", "use_relu"),
    ],
)
def test_why_a_signal_vanishes(activation: str, weights: float, dead: float, cause: str, remedy: str) -> None:
    tables = healthy(activation=activation)
    tables["layer", "signal_rms"] *= 10.0 ** -np.arange(LAYERS)[::-1]
    tables["variable", "weight_norm"][:, ::2] = weights * 8  # rms(w) sqrt(fan-in) is `weights`
    tables["layer", "dead_fraction"][:, 2] = dead
    (found,) = BY_NAME["vanishing_gradient"](made(stuck(tables), activation=activation))
    assert cause in found.causes[0] and found.remedies[0] == remedy


def test_why_a_signal_explodes() -> None:
    tables = healthy()
    tables["variable", "weight_norm"][:, ::2] = 8 * 2**0.5
    tables["variable", "weight_norm"][:, 4] *= 10
    found = BY_NAME["exploding_gradient"](exploding(tables))[0]
    assert found.causes == ("the weights of layer2 begin at 10 times the size that keeps a signal",)
    assert found.remedies[0] == "use_he_initializer"


@pytest.mark.parametrize(
    ("held_out", "severity"), [(0.62, Severity.NOTE), (0.72, Severity.WARNING), (None, Severity.WARNING)]
)
def test_little_that_holds_on_held_out_data_is_little_but_learnt(held_out: float | None, severity: Severity) -> None:
    tables = healthy()
    tables["overall", "loss"][:] = 0.62  # 0.66 is that of a constant prediction
    history: dict[str, Any] = {"step": [20, 40, 60, 80], "loss": [0.64, 0.62, 0.62, 0.62]}
    history |= {} if held_out is None else {"val_loss": [held_out] * 4}
    run = made(tables, {"loss_function": "binary_crossentropy", "history": history}, last="sigmoid", units=1)
    (found,) = BY_NAME["plateau"](run)
    assert found.severity is severity and "little better" in found.summary


def test_large_steps_down_a_loss_that_falls_steadily_are_a_note() -> None:
    (warning,) = BY_NAME["rate_too_high"](too_high(healthy()))
    losses = np.linspace(2.2, 1.2, 20)
    history = {"step": list(range(4, 84, 4)), "loss": losses.tolist()}
    tables = healthy()
    tables["layer", "update_ratio"] *= 2000
    tables["overall", "loss"] = np.linspace(2.3, 1.2, 80)
    (note,) = BY_NAME["rate_too_high"](made(tables, {"history": history}))
    assert (warning.severity, note.severity) == (Severity.WARNING, Severity.NOTE)


def test_a_stack_of_linear_layers_is_told_so() -> None:
    linear, other = (
        BY_NAME["plateau"](made(stuck(healthy()), activation=activation))[0] for activation in ("linear", "relu")
    )
    assert "linear" in linear.causes[0] and linear.remedies[0] == "use_relu"
    assert "linear" not in " ".join(other.causes) and other.remedies[0] != "use_relu"


def test_nan_in_the_gradient_of_the_first_layer_alone_came_with_the_inputs() -> None:
    (found,) = BY_NAME["non_finite"](fed_nan(healthy()))
    assert "inputs" in found.causes[0] and found.remedies[0] == "check_inputs"


def test_a_loss_that_is_nan_while_all_outputs_are_finite_is_to_blame() -> None:
    tables = healthy()
    tables["layer", "gradient_nonfinite"][40:] = 1
    tables["overall", "loss"][40:] = np.nan
    (found,) = BY_NAME["non_finite"](made(tables))
    assert found.causes[0] == "a logarithm of zero in the loss" and found.remedies[0] == "guard_logarithms"


def test_a_recurrent_layer_fed_by_raw_data_may_forget() -> None:
    run = made(stuck(healthy()), {"not_examined": {"layer0: signal_over_time": "fed by raw data"}})
    (found,) = BY_NAME["plateau"](run)
    assert "kerasgrad.through_time(model, 'layer0', x, y)" in found.causes[0]


def test_single_batches_do_not_oscillate() -> None:
    tables = healthy(samples=12)
    tables["overall", "loss"] = np.where(np.arange(12) % 2, 1.0, 2.0)
    assert "no epoch" in str(BY_NAME["oscillating_loss"].examine(Evidence(made(tables))))


def test_a_bump_in_a_falling_loss_is_no_oscillation() -> None:
    bump = [2.27, 2.02, 1.6, 1.48, 0.92, 1.36, 0.8, 0.61]  # of a net of the zoo that learns its task
    run = made(healthy(), {"history": {"step": list(range(10, 90, 10)), "loss": bump}})
    assert not BY_NAME["oscillating_loss"](run)
    again = made(healthy(), {"history": {"step": list(range(10, 90, 10)), "loss": [*bump[:7], 1.2]}})
    assert BY_NAME["oscillating_loss"](again)


def test_what_is_learnt_between_the_last_two_samples_counts() -> None:
    tables = healthy()
    tables["overall", "loss"] = np.tile([2.5, 2.2, 2.3, 2.4], 20)
    assert BY_NAME["plateau"](made(tables))
    tables["overall", "loss"][-1] = 0.05  # far apart as late samples are, it is the only one after a sudden fall
    assert not BY_NAME["plateau"](made(tables))


def test_a_symptom_names_what_brings_it_about() -> None:
    found = {f.rule: f for f in warnings_of(vanishing(healthy()))}
    assert found["plateau"].follows_from == "vanishing_gradient" and not found["plateau"].remedies
    assert found["vanishing_gradient"].remedies and not found["vanishing_gradient"].follows_from


def test_why_nothing_is_learnt() -> None:
    far = healthy()
    far["overall", "loss"] = np.full(80, 9e10)
    regression = made(far, {"loss_function": "mean_squared_error"}, last="linear", units=1)
    assert "targets of about 3e+05" in BY_NAME["plateau"](regression)[0].causes[0]
    assert BY_NAME["plateau"](regression)[0].remedies[0] == "scale_targets"
    dropped = made(stuck(healthy()))
    renamed = dataclasses.replace(dropped.schema, layers=("layer0", "layer1", "my_dropout", *dropped.schema.layers[3:]))
    tables = tables_of(dropped)
    tables["layer", "activation_zeros"][:, 2] = 0.97
    found = BY_NAME["plateau"](with_tables(renamed, tables))[0]
    assert "my_dropout sets 95 % of what it is given to zero" in found.causes[0] and found.remedies[0] == "lower_dropout"


def test_one_example_at_a_time_is_no_constant_output() -> None:
    tables = healthy()
    tables["layer", "activation_std"][:, -1] = 0
    tables["overall", "examples"] = np.ones(80)
    assert "one example" in str(BY_NAME["constant_output"].examine(Evidence(made(tables, last="linear", units=1))))


def test_several_losses_of_a_step_need_not_fall() -> None:
    found = kerasgrad.diagnose(made(stuck(healthy()), {"losses": 2}))
    assert {"loss_not_decreasing", "plateau", "diverging_loss"} <= found.not_examined.keys()


def test_tiny_inputs_are_told() -> None:
    tables = healthy()
    tables["variable", "gradient_norm"][:, 0] *= 1e-3
    tables["layer", "activation_mean"] *= 1e-3
    tables["layer", "activation_std"] *= 1e-3
    (found,) = BY_NAME["unscaled_inputs"](made(stuck(tables)))
    assert found.severity is Severity.WARNING and "scaled twice" in found.causes[0]


@pytest.mark.parametrize(("last", "falls"), [(80, True), (75, True), (30, False)])
def test_a_schedule_that_ends_with_the_training_is_no_fault(last: int, falls: bool) -> None:
    tables = healthy()
    tables["overall", "learning_rate"] = np.where(np.arange(80) < last, 1e-3, 1e-6)
    tables["overall", "loss"] = np.geomspace(2.3, 1.5, 80)
    assert bool(BY_NAME["rate_too_low"](made(tables))) is not falls


def test_a_rate_that_is_lowered_when_nothing_more_is_gained_is_no_fault() -> None:
    tables = healthy()
    tables["overall", "learning_rate"] = np.where(np.arange(80) < 30, 1e-3, 1e-6)
    tables["overall", "loss"] = np.concatenate([np.geomspace(2.3, 1.5, 12), np.full(68, 1.5)])
    assert not BY_NAME["rate_too_low"](made(tables))


def test_a_rate_that_has_vanished_between_two_samples_was_low_long_before() -> None:
    for last, found in ((1e-24, True), (1e-8, False)):
        tables = healthy(samples=11)
        tables["overall", "loss"] = np.geomspace(2.3, 1.5, 11)
        run = made(tables, {"history": {"step": list(range(100, 2200, 100)), "loss": [2.2, 1.6] + [1.5] * 19}})
        of = {kind: {n: run.table(n, kind)[-1] for n in catalogue.names(kind)} for kind in ("layer", "variable", "overall")}
        overall = {name: float(value) for name, value in of["overall"].items()} | {"learning_rate": last, "loss": 0.9}
        run.append(Sample(2000, 0.0, of["layer"], of["variable"], overall))
        assert bool(BY_NAME["rate_too_low"](run)) is found


def test_embeddings_are_to_move_far() -> None:
    run = too_high(healthy())
    assert BY_NAME["rate_too_high"](run)
    paths = tuple(path.replace("kernel", "embeddings") for path in run.variables)
    assert not BY_NAME["rate_too_high"](with_tables(dataclasses.replace(run.schema, variables=paths), tables_of(run)))


def test_every_rule_has_a_sick_run() -> None:
    elsewhere = {"short_memory"}
    assert set(BY_NAME) - {rule for _, rule, _, _ in SICK} == elsewhere


def test_what_trainable_no_longer_says_is_a_finding() -> None:
    stale = {"trained": ["layer0", "layer1"], "untrained": ["layer2"]}
    found = rules.stale_trainable(made(healthy(), {"stale_trainable": stale}))
    assert [finding.layers for finding in found] == [("layer0", "layer1"), ("layer2",)]
    assert "compile again" in found[0].summary and found[0].severity is Severity.WARNING
    assert not rules.stale_trainable(made(healthy(), {"stale_trainable": {}})) and not rules.stale_trainable(made(healthy()))


def test_weights_that_begin_at_zero_have_no_ratio() -> None:
    run = too_high_to_settle(healthy())
    from_zero = tables_of(run)
    from_zero["layer", "update_ratio"][0, :4] = np.nan
    from_zero["layer", "update_ratio"][1:3, 4:] = 1e-3
    from_zero["layer", "update_ratio"][0, 4:] = 1e-3
    assert not rules.rate_too_high(made(from_zero, run.facts))


@pytest.mark.parametrize(
    ("examples", "facts", "learns", "severity"),
    [
        (2, {"batch_normalised": True}, True, Severity.NOTE),
        (8, {"batch_normalised": True}, False, None),
        (8, {"batch_normalised": True, "replicas": 2}, False, Severity.WARNING),
        (2, {}, False, Severity.NOTE),
        (2, {}, True, None),
        (4, {"batch_normalised": True, "history": {"step": [1, 2, 3], "loss": [2.3, 2.3, 2.3]}}, False, None),
    ],
)
def test_a_small_batch_is_a_warning_where_it_is_normalised_and_does_harm(
    examples: int, facts: dict[str, Any], learns: bool, severity: Severity | None
) -> None:
    tables = healthy() if learns else stuck(healthy())
    tables["overall", "examples"][:] = examples
    tables["overall", "examples"][-1] = 1  # an epoch's last batch
    assert [f.severity for f in rules.small_batch(made(tables, facts))] == ([] if severity is None else [severity])
    old = tables | {("overall", "examples"): np.full(80, np.nan)}
    assert "how many examples" in kerasgrad.diagnose(made(old, facts)).not_examined["small_batch"]


def test_a_linear_output_of_classes_is_forgiven_only_if_nearly_all_is_learnt() -> None:
    for kind, now, severity in (("linear", 0.6, Severity.WARNING), ("linear", 0.1, Severity.NOTE)):
        tables = healthy()
        tables["overall", "loss"] = np.linspace(2.3, now, 80)
        assert [f.severity for f in rules.last_activation(made(tables, last=kind))] == [severity]


def test_many_flat_ends_and_nothing_held_out_is_a_warning() -> None:
    tables = healthy(activation="tanh")
    tables["layer", "saturated_fraction"][:, 2:4] = 0.8
    history = {"step": [20, 40, 60, 80], "loss": [1.5, 0.9, 0.3, 0.1], "val_loss": [2.2, 2.2, 2.3, 2.4]}
    found = [rules.saturated_units(made(tables, facts, activation="tanh"))[0] for facts in ({"history": history}, {})]
    assert [f.severity for f in found] == [Severity.WARNING, Severity.NOTE] and found[0].starts_at == "layer2"


@pytest.mark.parametrize(("each", "found"), [(0.5, ["cell"]), (0.22, [])])
def test_a_gate_that_begins_closed_shows_in_the_first_samples(each: float, found: list[str]) -> None:
    """0.22 orders of magnitude a step is what a GRU begins with; later on both signals are level."""
    schema = Schema(("cell", "out"), ("cell/kernel", "out/kernel"), (0, 1), (9, 9), ("recurrent", "softmax"), {}, ("cell",))
    run = Run(schema, {"loss_function": "sparse_categorical_crossentropy"})
    for step in range(20):
        over_time = 10 ** (-each * np.arange(8.0)[::-1]) if step < 8 else np.ones(8)
        run.append(Sample(step, 0.0, {}, {}, {"loss": 2.2, "gradient_norm": 1.0}, {"cell": over_time.astype(np.float32)}))
    assert [f.starts_at for f in rules.diagnose(run).of(Severity.WARNING) if f.rule == "short_memory"] == found


@pytest.mark.parametrize(("gain", "found"), [(1.5, ["cell"]), (1.0, [])])
def test_a_state_that_grows_at_each_step(gain: float, found: list[str]) -> None:
    layer = keras.layers.SimpleRNN(16, recurrent_initializer=keras.initializers.Orthogonal(gain))
    keras.Sequential([keras.Input((9, 4)), layer])
    variables = tuple(f"cell/{v.name}" for v in layer.trainable_variables)
    sizes = tuple(math.prod(v.shape) for v in layer.trainable_variables)
    run = Run(Schema(("cell",), variables, (0,) * 3, sizes, ("recurrent",), {}, ()), {})
    norms = {"weight_norm": np.array([np.linalg.norm(v) for v in layer.trainable_variables], np.float32)}
    for step in range(9):
        of_layers = {name: np.ones(1, np.float32) for name in ("activation_mean", "activation_std")}
        run.append(Sample(step, 0.0, of_layers, norms, {"loss": 2.0, "gradient_norm": 1.0}))
    assert [f.starts_at for f in rules.exploding_activation(run)] == found


@pytest.mark.parametrize("steep", [True, False])
def test_short_memory(steep: bool) -> None:
    schema = Schema(("cell", "out"), ("cell/kernel", "out/kernel"), (0, 1), (9, 9), ("recurrent", "softmax"), {}, ("cell",))
    run = Run(schema, {"loss_function": "sparse_categorical_crossentropy"})
    over_time = np.geomspace(1e-8 if steep else 1e-1, 1, 40).astype(np.float32)
    for step in range(20):
        run.append(Sample(step, 0.0, {}, {}, {"loss": 2.2, "gradient_norm": 1.0}, {"cell": over_time}))
    assert [f.starts_at for f in rules.diagnose(run) if f.rule == "short_memory"] == (["cell"] if steep else [])


def test_the_zoo_is_judged_as_its_recipes_expect() -> None:
    for name in zoo.baselines.baseline_names():
        found = warnings_of(zoo.baseline(name))
        assert zoo.recipes.recipe(name).expected or not found, name
    layers = zoo.baseline("plain.sigmoid").layers
    fading = next(f for f in warnings_of(zoo.baseline("plain.sigmoid")) if f.rule == "vanishing_gradient")
    assert fading.starts_at == "hidden19" and set(layers[1:10]) <= set(fading.layers)


def test_what_learns_all_the_same_is_at_most_a_note() -> None:
    for spoil in (dying, dormant, saturated, frozen, unbalanced, dead):
        run = spoil(healthy())
        learns = healthy()["overall", "loss"]
        again = made(
            {**tables_of(run), ("overall", "loss"): learns}, run.facts, run.schema.activations[0], run.schema.activations[-1]
        )
        assert not warnings_of(again), spoil.__name__


def tables_of(run: Run) -> dict[Any, Any]:
    return {(s.of, s.name): run.table(s.name, s.of).astype(float) for s in catalogue.STATISTICS}


def with_tables(schema: Schema, tables: dict[Any, Any], **facts: Any) -> Run:
    run = Run(schema, {"loss_function": "sparse_categorical_crossentropy"} | facts)
    for step in range(len(tables["overall", "loss"])):
        of: dict[str, Any] = {"layer": {}, "variable": {}, "overall": {}}
        for (kind, name), values in tables.items():
            of[kind][name] = values[step].astype(np.float32) if kind != "overall" else float(values[step])
        run.append(Sample(step, 0.0, of["layer"], of["variable"], of["overall"]))
    return run


def test_a_bias_before_a_normalisation_says_nothing_of_the_inputs() -> None:
    tables = healthy()
    tables["variable", "gradient_norm"][:, 1] = 1e-9  # zero but for rounding
    run = made(tables, activation="linear")
    assert "unscaled_inputs" not in [f.rule for f in kerasgrad.diagnose(run)]


def test_a_branch_that_begins_at_zero_is_no_vanishing() -> None:
    tables = stuck(healthy())
    tables["layer", "signal_rms"][:, 2:4] = 0.0  # ReZero: the branch gets nothing, the trunk below does
    assert "vanishing_gradient" not in [f.rule for f in kerasgrad.diagnose(made(tables))]


def test_what_follows_from_another_ailment_is_a_note_that_names_it() -> None:
    tables = stuck(healthy())
    tables["layer", "activation_zeros"][:, 2] = 1.0
    tables["layer", "signal_rms"][:, :3] = 0.0
    found = {f.rule: f for f in kerasgrad.diagnose(made(tables))}
    assert found["dead_units"].severity is Severity.WARNING
    follows = found["vanishing_gradient"]
    assert (follows.severity, follows.follows_from, follows.remedies) == (Severity.NOTE, "dead_units", ())


def test_an_output_that_is_constant_since_a_layer_is_dead_is_no_place_of_its_own() -> None:
    tables = stuck(healthy(), 0.69)
    tables["layer", "activation_zeros"][:, 2] = 1.0
    tables["layer", "activation_std"][:, -1] = 0
    run = made(tables, {"loss_function": "binary_crossentropy"}, last="sigmoid", units=1)
    assert [f.starts_at for f in warnings_of(run) if f.starts_at] == ["layer2"]


def test_no_signal_at_all_is_called_nothing() -> None:
    """Zero has no logarithm; what stands for it there must not come out as 2.3e-299."""
    tables = stuck(healthy())
    tables["layer", "signal_rms"][:, :3] = 0.0
    found = next(f for f in kerasgrad.diagnose(made(tables)) if f.rule == "vanishing_gradient")
    assert "receives nothing of the signal" in found.summary and found.measured == 0.0
    still = stuck(healthy())
    still["layer", "update_ratio"][:, 1:] = 0.0
    still["overall", "gradient_norm"][:40] = 0.0
    for one in (tables, still):
        assert not re.search(r"e[+-]\d\d\d", repr(kerasgrad.diagnose(made(one))))


def thrown_up_and_dead(t: dict[Any, Any]) -> Run:
    """The first step is far too large: the loss goes up a hundredfold, comes down, and layer 2 is dead for good."""
    t = stuck(t)
    t["overall", "loss"][1:4] = 500.0
    t["layer", "update_ratio"][1] = 2.0
    t["layer", "activation_zeros"][4:, 2] = 1.0
    t["layer", "gradient_norm"][4:, :3] = 0.0
    t["layer", "signal_rms"][4:, :3] = 0.0
    return made(t, {"loss_function": ""}, last="linear")


def test_the_first_finding_is_the_cause_and_its_first_remedy_can_help() -> None:
    run = thrown_up_and_dead(healthy())
    assert Evidence(run).learning.gain == 0, "no gain, though the loss fell by 99 % from where the first steps threw it"
    found = warnings_of(run)
    assert [f.rule for f in found] == ["rate_too_high", "dead_units"]
    assert found[1].follows_from == "rate_too_high" and found[0].remedies[0] == "lower_learning_rate"
    alone = BY_NAME["dead_units"](run)[0]
    assert alone.remedies[0] == "reset_dead_units", "a lower rate revives nothing"
    born = next(f for f in warnings_of(dead(healthy())) if f.rule == "dead_units")
    assert born.remedies[0] == "reset_biases" and dying_remedies()[0] == "lower_learning_rate"


def dying_remedies() -> tuple[str, ...]:
    return next(f for f in warnings_of(dying(healthy())) if f.rule == "dead_units").remedies


def test_a_symptom_of_the_loss_comes_after_what_may_explain_it() -> None:
    tables = stuck(healthy())
    tables["layer", "dead_fraction"][50:, 3] = 0.8
    assert [f.rule for f in warnings_of(made(tables))] == ["dead_units", "loss_not_decreasing", "plateau"]


def test_what_comes_later_is_no_cause() -> None:
    tables = stuck(healthy())
    tables["layer", "dead_fraction"][60:, 2] = 0.8
    tables["layer", "signal_rms"][:, :3] *= 1e-6
    assert {"dead_units", "vanishing_gradient"} <= {f.rule for f in warnings_of(made(tables))}


def test_a_normalisation_that_brings_large_outputs_back_is_no_collapse() -> None:
    tables = stuck(healthy())
    tables["layer", "activation_std"][:, 2] *= 1e3
    found = {f.rule: f.starts_at for f in kerasgrad.diagnose(made(tables))}
    assert found.get("exploding_activation") == "layer2" and "collapsing_activation" not in found


def test_a_layer_without_weights_that_loses_the_signal_is_named() -> None:
    tables, owners = stuck(healthy()), (0, 0, 1, 1, 3, 3, 4, 4, 5, 5)
    tables["layer", "signal_rms"][:, :2] *= 1e-6
    tables = {key: values[:, :10] if key[0] == "variable" else values for key, values in tables.items()}
    run = made(healthy())
    schema = dataclasses.replace(run.schema, variables=run.schema.variables[:10], owners=owners, sizes=run.schema.sizes[:10])
    assert [f.starts_at for f in rules.vanishing_gradient(with_tables(schema, tables))] == ["layer2"]


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_the_scale_of_what_a_recurrent_layer_is_fed(scale: float) -> None:
    inputs, units = 4, 16
    variables = ("cell/kernel", "cell/recurrent_kernel", "cell/bias")
    sizes = (inputs * 4 * units, units * 4 * units, 4 * units)
    run = Run(Schema(("cell",), variables, (0, 0, 0), sizes, ("recurrent",), {}, ()), {})
    # Per entry the kernel's gradient is input x signal, the recurrent kernel's state x signal, with states of RMS 0.3.
    norms = np.array([scale * np.sqrt(inputs), 0.3 * np.sqrt(units), 1.0], np.float32)
    layer = {"activation_mean": np.zeros(1, np.float32), "activation_std": np.full(1, 0.3, np.float32)}
    for step in range(9):
        run.append(Sample(step, 0.0, layer, {"gradient_norm": norms}, {"loss": 2.0, "gradient_norm": 1.0}))
    found = rules.unscaled_inputs(run)
    assert [round(f.measured) for f in found] == ([50] if scale == 50 else [])


@pytest.mark.parametrize("how", ["chosen", "selected"])
def test_the_last_of_some_layers_is_not_the_output(how: str) -> None:
    """A hidden ReLU before a softmax that has no row gives no probabilities, as it should be."""
    run = made(healthy(), {"loss_function": "binary_crossentropy"}, last="sigmoid", units=1)
    run.facts |= {"output_layer": "outputs"} if how == "chosen" else {}
    part = run.select(layers=run.layers[:-1]) if how == "selected" else run
    diagnosis = kerasgrad.diagnose(part)
    assert {"last_activation", "constant_output"} <= set(diagnosis.not_examined) and not diagnosis.findings
    assert "was not chosen" in diagnosis.not_examined["last_activation"]


def test_samples_thrown_away_by_loss_scaling_do_not_count() -> None:
    tables = healthy()
    tables["overall", "loss_scale_overflow"][:9] = 1
    tables["layer", "gradient_nonfinite"][:9] = 5
    assert not warnings_of(made(tables))


def test_the_first_steps_do_not_say_how_things_are_now() -> None:
    tables = {key: values[:12] for key, values in healthy().items()}
    tables["overall", "loss"] = np.linspace(100.0, 50.0, 12)
    tables["layer", "activation_std"][-2:, -1] = 8.0  # R^2 = 64 / (64 + 50)
    schema = made(healthy(12), last="linear", units=1).schema
    run = Run(schema, {"loss_function": "mean_squared_error"})
    for index, step in enumerate([*range(10), 900, 1200]):
        of: dict[str, Any] = {"layer": {}, "variable": {}, "overall": {}}
        for (kind, name), values in tables.items():
            of[kind][name] = values[index].astype(np.float32) if kind != "overall" else float(values[index])
        run.append(Sample(step, 0.0, of["layer"], of["variable"], of["overall"]))
    seen = Evidence(run)
    assert list(seen.steps[seen.late]) == [900, 1200]
    assert 0.3 < seen.learning.gain < 0.6


def test_the_mean_of_the_only_epoch_is_not_how_it_is_now() -> None:
    tables = healthy()
    tables["overall", "loss"] = np.concatenate([np.linspace(5.0, 3.0, 40), np.linspace(3.0, 1.7, 40)])
    one = made(tables, {"history": {"step": [80], "loss": [float(tables["overall", "loss"].mean())]}})
    assert Evidence(one).learning.now < 1.9 and Evidence(one).learning.late_fall > 0.05 and not warnings_of(one)


@pytest.mark.parametrize(("last", "now", "gain"), [("softmax", 2.1, 0.09), ("softmax", 60.0, 0.97), ("linear", 2.1, 0.999)])
def test_a_loop_of_ones_own_that_ends_in_a_softmax_is_taken_for_cross_entropy(last: str, now: float, gain: float) -> None:
    """The loss that the first steps threw up says nothing of what was learnt; a sum over the batch is out of range."""
    tables = healthy()
    tables["overall", "loss"] = np.concatenate([np.full(10, 2100.0), np.full(70, now)])
    run = made(tables, {"loss_function": ""}, last=last)
    assert Evidence(run).learning.gain == pytest.approx(gain, abs=0.01)


def test_batches_of_one_example_have_no_deviation_of_their_own() -> None:
    tables = healthy()
    tables["overall", "loss"] = np.linspace(0.3, 0.01, 80)
    tables["overall", "examples"][:] = 1
    tables["layer", "activation_std"][:, -1] = 0
    tables["layer", "activation_mean"][:, -1] = np.arange(80) % 2
    run = made(tables, {"loss_function": "mean_squared_error"}, last="sigmoid", units=1)
    assert Evidence(run).learning.gain > 0.8 and not warnings_of(run)
    assert "one example" in kerasgrad.diagnose(run).not_examined["constant_output"]


def test_hysteresis_a_passing_moment_is_not_lasting() -> None:
    seen = Evidence(made(healthy()))
    holds = np.zeros(80, bool)
    holds[20:30] = True
    assert seen.since(holds) is None
    holds[40:] = True
    holds[[50, 60, 70]] = False
    assert seen.since(holds) == 40
    assert seen.since(np.ones(80, bool)) == 0


@given(st.lists(st.lists(st.floats(-1e9, 1e9) | st.just(math.nan), min_size=3, max_size=3), min_size=1, max_size=9))
def test_median_is_that_of_numpy(values: list[list[float]]) -> None:
    table = np.array(values)
    expected = [np.median(c[~np.isnan(c)]) if (~np.isnan(c)).any() else np.nan for c in table.T]
    assert np.allclose(median(table), expected, equal_nan=True)


numbers = st.sampled_from([0.0, 1.0, -1.0, 1e-30, 1e30, 3e38, math.nan, math.inf, -math.inf, 0.5, 7.0])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_whatever_a_run_is_there_is_a_reason_and_no_exception(data: Any) -> None:
    layers, samples = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 60))
    paths = tuple(f"l{i}" for i in range(layers))
    owners = tuple(sorted(data.draw(st.lists(st.integers(0, layers - 1), max_size=5)))) if layers else ()
    parts = st.sampled_from(["kernel", "bias", "gamma", "recurrent_kernel"])
    variables = tuple(f"v{i}/{data.draw(parts)}" for i in range(len(owners)))
    kinds = tuple(data.draw(st.sampled_from(["relu", "linear", "softmax", "sigmoid", "tanh", "unknown"])) for _ in paths)
    schema = Schema(paths, variables, owners, (4,) * len(owners), kinds, dict.fromkeys(paths[:2], 3), paths[:1])
    loss = data.draw(st.sampled_from(["", "mean_squared_error", "binary_crossentropy", "sparse_categorical_crossentropy"]))
    held_out = data.draw(st.lists(numbers, min_size=4, max_size=4))
    history = {"step": [3, 5, 7, 9], "loss": [data.draw(numbers), 1.0, 1.0, None], "val_loss": held_out}
    run = Run(schema, {"loss_function": loss, "history": history})
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    pool = np.array(data.draw(st.lists(numbers, min_size=1, max_size=6)), np.float32)
    left_out = set(data.draw(st.lists(st.sampled_from([s.name for s in catalogue.STATISTICS]), max_size=8)))
    for step in range(samples):
        rows = {
            of: {n: random.choice(pool, count) for n in catalogue.names(of) if n not in left_out}
            for of, count in (("layer", layers), ("variable", len(owners)))
        }
        overall = {n: float(random.choice(pool)) for n in catalogue.names("overall") if n not in left_out}
        over_time = {p: random.choice(pool, 10) for p in paths[:1]}
        run.append(Sample(step, 0.0, rows["layer"], rows["variable"], overall, over_time))
    diagnosis = kerasgrad.diagnose(run)
    assert not {name: why for name, why in diagnosis.not_examined.items() if "failed" in why}
    assert {*diagnosis.examined, *diagnosis.not_examined} == set(BY_NAME)
    assert all(diagnosis.not_examined.values()) and repr(diagnosis)
    assert all(f.starts_at in ("", *paths) and set(f.layers) <= set(paths) for f in diagnosis)


def test_a_file_that_was_cut_off_is_judged_as_far_as_it_goes(tmp_path: Path) -> None:
    from test_events import written

    written(tmp_path / "gradients", range(20))
    file = next((tmp_path / "gradients").iterdir())
    file.write_bytes(file.read_bytes()[: 2 * file.stat().st_size // 3])
    diagnosis = kerasgrad.diagnose(Run.load(tmp_path))
    assert 1 <= diagnosis.samples < 20 and not [why for why in diagnosis.not_examined.values() if "failed" in why]


def test_a_rule_of_ones_own_is_one_decorated_function() -> None:
    @rules.rule("overall/loss", least=2)
    def loss_above_two(seen: Evidence) -> list[Finding]:
        high = seen.run.overall("loss")[0] > 2
        return [Finding(severity=Severity.NOTE, summary="It is.")] if high else []

    run = made(healthy())
    assert [f.rule for f in kerasgrad.diagnose(run, rules=[*rules.DEFAULT, loss_above_two])] == ["loss_above_two"]
    assert (
        "2 samples"
        in kerasgrad.diagnose(run.select(steps=slice(0, 1)), rules=[loss_above_two]).not_examined["loss_above_two"]
    )


def test_a_rule_without_brackets_is_one_and_its_findings_have_its_name() -> None:
    @rules.rule
    def mine(seen: Evidence) -> list[Finding]:
        return [Finding(rule="what it calls itself", severity=Severity.NOTE, summary=str(len(seen)))]

    @rules.rule()
    def other(seen: Evidence) -> str:
        return "why it cannot judge"

    found = kerasgrad.diagnose(made(healthy()), rules=[mine, other])
    assert [(f.rule, f.summary) for f in found] == [("mine", "80")] and found.not_examined == {
        "other": "why it cannot judge"
    }
    assert [f.rule for f in mine(made(healthy()))] == ["mine"]
    with pytest.raises(TypeError, match="names of statistics"):
        rules.rule("loss")


NOT_ONE = Finding(severity=Severity.NOTE, summary="Not in a list.")


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (lambda seen: [][1], "IndexError: list index out of range"),
        (lambda seen: None, "TypeError: a rule gives a list of findings, empty if all is well, or a reason. Received: None"),
        (lambda seen: 3, "Received: 3"),
        (lambda seen: NOT_ONE, "Not in a list"),
        (lambda seen: [NOT_ONE, "and more"], "and more"),
        (lambda seen: (1 // 0 for _ in range(1)), "ZeroDivisionError"),
        (lambda seen: "", "it gave an empty reason"),
    ],
)
def test_a_rule_that_fails_says_so_and_the_others_go_on(verdict: Any, why: str) -> None:
    broken, run = Rule("broken", verdict), made(stuck(healthy()))
    found = kerasgrad.diagnose(run, rules=[broken, *rules.DEFAULT])
    assert found.not_examined["broken"].startswith("the rule failed: ") and why in found.not_examined["broken"]
    assert [f.to_dict() for f in found] == [f.to_dict() for f in kerasgrad.diagnose(run)] != []
    unknown = rules.rule("layer/no_such_statistic")(lambda seen: [])
    assert "KeyError" in kerasgrad.diagnose(run, rules=[unknown]).not_examined["<lambda>"]


def test_rules_follow_from_rules_and_not_in_a_ring() -> None:
    named = {rule.name: {*rule.follows, *(() if rule.is_symptom else rule.may_follow)} for rule in rules.DEFAULT}
    unknown = {name: sorted(of - set(BY_NAME)) for name, of in named.items() if of - set(BY_NAME)}
    assert not unknown, "there are no such rules"
    graphlib.TopologicalSorter(named).prepare()
    assert not [n for n, of in named.items() if not BY_NAME[n].is_symptom and any(BY_NAME[name].is_symptom for name in of)]


def test_a_rule_of_ones_own_takes_its_place_in_the_tree() -> None:
    def gives(name: str, **more: Any) -> Rule:
        found = Finding(severity=Severity.WARNING, summary=name, since=more.pop("since", 3), remedies=("use_adam",))
        return Rule(name, lambda seen: [found], **more)

    first, second = gives("first"), gives("second", may_follow=("first",))
    third, late = gives("third", follows=("second",)), gives("late", may_follow=("early",))
    ring = gives("one", may_follow=("two",)), gives("two", may_follow=("one",)), gives("early", since=99)
    found = {f.rule: f for f in kerasgrad.diagnose(made(healthy()), rules=[third, second, first, late, *ring])}
    assert {name: f.follows_from for name, f in found.items() if f.follows_from} == {"second": "first", "third": "first"}
    assert found["third"].severity is Severity.NOTE and found["second"].severity is Severity.WARNING
    assert found["one"].remedies and not found["second"].remedies


def recurrent(gates: int, steps: int = 9) -> Run:
    """A run of one recurrent layer whose kernels are as many side by side, over one step or several."""
    variables = ("cell/kernel", "cell/recurrent_kernel", "cell/bias", "out/kernel")
    run = Run(
        Schema(("cell", "out"), variables, (0, 0, 0, 1), (12 * gates, 16 * gates, 4 * gates, 8), ("recurrent", "linear"), {})
    )
    for step in range(9):
        norms = np.array([1.0, float(steps > 1), 1.0, 1.0], np.float32)
        run.append(Sample(step, 0.0, {}, {"gradient_norm": norms}, {"loss": 2.0, "gradient_norm": 1.0}))
    return run


def plain(activation: str = "relu", *, scale: float = 1.0, layers: dict[int, str] | None = None, **facts: Any) -> Run:
    tables = healthy(activation=activation)
    tables["variable", "weight_norm"][:] = np.where(np.arange(2 * LAYERS) % 2, 0.1, 8 * scale)
    run = made(tables, facts, activation=activation)
    names = [(layers or {}).get(i, path) for i, path in enumerate(run.layers)]
    return with_tables(dataclasses.replace(run.schema, layers=tuple(names), units={}), tables_of(run), **run.facts)


def still() -> Run:
    tables = stuck(healthy())
    tables["overall", "gradient_norm"][:] = 0.0
    return made(tables)


NUMBERS: dict[str, Any] = {"loss_function": "mean_squared_error"}
WITH_GAMMA = dataclasses.replace(made(healthy()).schema, variables=tuple(f"layer{i}/gamma" for i in range(2 * LAYERS)))
ATTENDING = dataclasses.replace(WITH_GAMMA, variables=tuple(f"block/attention{i}/query/kernel" for i in range(2 * LAYERS)))
SPEAKS_AGAINST: list[tuple[str, Callable[[], Run], Callable[[], Run]]] = [
    ("use_relu", plain, lambda: plain("sigmoid")),
    ("use_leaky_relu", lambda: plain("tanh"), plain),
    ("use_prelu", lambda: plain("gelu"), plain),
    ("add_shortcuts", lambda: plain(layers={2: "block/add_1"}), lambda: plain(layers={2: "padding"})),
    ("add_normalization", lambda: with_tables(WITH_GAMMA, healthy()), plain),
    ("add_batch_normalization", lambda: plain(batch_normalised=True), lambda: plain(batch_normalised=False)),
    ("add_layer_normalization", lambda: with_tables(WITH_GAMMA, healthy()), plain),
    ("add_group_normalization", lambda: plain(batch_normalised=True), plain),
    ("lower_batchnorm_momentum", lambda: plain(batch_normalised=False), lambda: plain(batch_normalised=True)),
    ("use_group_normalization", lambda: plain(batch_normalised=False), plain),
    ("use_he_initializer", lambda: plain(scale=2**0.5), plain),
    ("use_lstm", lambda: recurrent(4), lambda: recurrent(1)),
    ("use_gru", lambda: recurrent(3), lambda: recurrent(1)),
    ("shorten_sequences", lambda: recurrent(4, steps=1), lambda: recurrent(4)),
    ("use_sigmoid", lambda: plain(**NUMBERS), lambda: plain(**NUMBERS, history={"step": [80], "accuracy": [0.5]})),
    ("use_softmax", lambda: plain(loss_function="huber"), lambda: plain(loss_function="categorical_crossentropy")),
    ("use_binary_crossentropy", lambda: plain(**NUMBERS), lambda: plain(loss_function="of_my_own")),
    ("weigh_classes", lambda: plain(**NUMBERS), plain),
    ("scale_targets", plain, lambda: plain(**NUMBERS)),
    ("clip_gradients", lambda: plain(clipping={"clipnorm": 1.0}), plain),
    ("use_adam", lambda: plain(optimizer="AdamW"), lambda: plain(optimizer="SGD")),
    ("add_dropout", lambda: plain(layers={3: "spatial_dropout1d_2"}), plain),
    ("add_attention", lambda: with_tables(ATTENDING, healthy()), plain),
    ("set_from_logits", lambda: plain(from_logits=True), plain),
    ("raise_learning_rate", still, plain),
]


@pytest.mark.parametrize(("remedy", "against", "fits"), SPEAKS_AGAINST, ids=lambda v: v if isinstance(v, str) else "")
def test_what_a_net_has_is_not_named_as_a_remedy(remedy: str, against: Callable[[], Run], fits: Callable[[], Run]) -> None:
    names = ("check_labels", remedy, "of_my_own")
    assert applicable(names, Evidence(fits())) == names
    assert applicable(names, Evidence(against())) == ("check_labels", "of_my_own")


def test_every_check_of_a_remedy_has_a_case_and_a_finding_passes_it() -> None:
    checked = {name for names, _ in CHECKS for name in names}
    assert checked == {name for name, *_ in SPEAKS_AGAINST} and not checked - set(remedies.names())
    free = {f.rule: f for f in kerasgrad.diagnose(exploding(healthy()))}
    run = exploding(healthy())
    run.facts["clipping"] = {"clipnorm": 1.0}
    clips = {f.rule: f for f in kerasgrad.diagnose(run)}
    assert "clip_gradients" in free["exploding_gradient"].remedies
    assert "clip_gradients" not in clips["exploding_gradient"].remedies != ()


def test_each_rule_that_has_a_file_is_one_of_the_default_rules() -> None:
    """A file is a rule's if it decorates a function with `rule`; it has the name of that function."""
    decorated = {
        path.stem: [
            node.name
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef) and any(ast.unparse(d).startswith("rule") for d in node.decorator_list)
        ]
        for path in FOLDER.glob("*.py")
    }
    assert {stem: names for stem, names in decorated.items() if names} == {name: [name] for name in BY_NAME}


def test_each_rule_has_its_file_and_its_text() -> None:
    files = {p.stem: ast.get_docstring(ast.parse(p.read_text())) or "" for p in FOLDER.glob("*.py")}
    for name in BY_NAME:
        parts = re.findall(
            r"^(What it sees|Why it hurts|Threshold and source|Known false alarms|Remedies|References): ", files[name], re.M
        )
        assert len(parts) == 6, name


@pytest.mark.parametrize("name", BY_NAME)
def test_remedies_of_the_text_are_those_that_the_rule_can_give(name: str) -> None:
    known = set(remedies.names())
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    text = (ast.get_docstring(tree) or "").split("Remedies:")[1].split("References:")[0]
    shared = ast.parse((FOLDER / "causes.py").read_text() if "kerasgrad.rules.causes" in ast.dump(tree) else "")
    given, may = (
        {n.value for n in ast.walk(part) if isinstance(n, ast.Constant) and isinstance(n.value, str)} & known
        for part in (tree, shared)
    )
    assert given <= {word for word in re.findall(r"\w+", text) if "_" in word or word in known} <= given | may
    unknown = [f for spoil, rule, _, _ in SICK if rule == name for f in BY_NAME[name](spoil(healthy()))]
    assert not {remedy for finding in unknown for remedy in finding.remedies} - known


@pytest.mark.parametrize(
    ("layer", "gates", "first"),
    [("SimpleRNN", 1, "use_lstm"), ("GRU", 3, "set_forget_bias"), ("LSTM", 4, "set_forget_bias"), (None, 0, "use_lstm")],
)
def test_remedies_of_a_short_memory_are_those_of_its_kind(layer: str | None, gates: int, first: str) -> None:
    built = keras.Sequential([keras.Input((9, 4)), getattr(keras.layers, layer or "LSTM")(5, use_bias=layer is not None)])
    variables = tuple(f"cell/{v.name}" for v in built.trainable_variables)
    sizes = tuple(math.prod(v.shape) for v in built.trainable_variables)
    schema = Schema(("cell",), variables, (0,) * len(sizes), sizes, ("recurrent",), {}, ("cell",))
    run = Run(schema, {"loss_function": "sparse_categorical_crossentropy"})
    for step in range(9):
        over_time = np.geomspace(1e-8, 1, 40).astype(np.float32)
        run.append(Sample(step, 0.0, {}, {}, {"loss": 2.2, "gradient_norm": 1.0}, {"cell": over_time}))
    assert gates_of(run, "cell") == gates
    assert rules.short_memory(run)[0].remedies[0] == first


def test_all_rules_are_quick() -> None:
    run = made(healthy(1000, 100))
    kerasgrad.diagnose(run)
    times = []
    for _ in range(5):
        began = time.process_time()
        kerasgrad.diagnose(run)
        times.append(time.process_time() - began)
    assert min(times) < 0.05


def convolutional(*, signal: list[float], dense: int) -> Run:
    """Three convolutions of 16 channels, 3 x 3, and a Dense of as many inputs; `signal` is that of each at its output."""
    names = ("conv1", "norm1", "conv2", "norm2", "conv3", "norm3", "classes")
    variables = tuple(f"{name}/{'gamma' if 'norm' in name else 'kernel'}" for name in names)
    sizes = (9 * 3 * 16, 16, 9 * 16 * 16, 16, 9 * 16 * 16, 16, dense * 10)
    schema = Schema(
        names, (*variables, "classes/bias"), (0, 1, 2, 3, 4, 5, 6, 6), (*sizes, 10), ("relu",) * 6 + ("softmax",), {}
    )
    run = Run(schema, {"loss_function": "sparse_categorical_crossentropy", "losses": 1})
    for step in range(20):
        layer = {"signal_rms": np.array(signal, np.float32)}
        run.append(Sample(step, 0.0, layer, {}, {"loss": 2.3, "gradient_norm": 1.0}))
    return run


@pytest.mark.parametrize(
    ("signal", "dense", "found"),
    [
        ([1e-5, 1e-5, 1e-5, 1e-5, 1e-5, 1e-5, 1e-2], 16, False),  # most of it is the mean over 64 positions
        ([1e-5, 1e-5, 1e-5, 1e-5, 1e-5, 1e-5, 1e-2], 16 * 64, True),  # a Flatten divides by nothing
        ([1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2], 16, True),
        ([1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-2], 16, True),  # more than any mean takes
    ],
)
def test_a_mean_over_positions_divides_a_signal_and_loses_nothing(signal: list[float], dense: int, found: bool) -> None:
    run = convolutional(signal=signal, dense=dense)
    assert bool(rules.vanishing_gradient(run)) is found
    run.facts["losses"] = 2
    assert "no single chain" in kerasgrad.diagnose(run).not_examined["vanishing_gradient"]
