"""What findings say, each kind of wrong text with its relatives: an overflow is no logarithm of zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from runs import LAYERS, healthy, made, stuck

import kerasgrad
from kerasgrad import rules
from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.evidence import Evidence
from kerasgrad.run import Run

BY_NAME = {rule.name: rule for rule in rules.DEFAULT}


def found(run: Run) -> dict[str, Finding]:
    return {finding.rule: finding for finding in kerasgrad.diagnose(run)}


def broken(phase: str, tables: Any) -> Any:
    """From sample 40 on something is not finite."""
    if phase == "loss":
        tables["overall", "loss"][40:] = np.nan
    else:
        tables["layer", f"{phase}_nonfinite"][40:, 2] = 1
    return tables


@pytest.mark.parametrize("phase", ["activation", "gradient", "loss"])
@pytest.mark.parametrize(("what", "said"), [("rose", "diverged: the loss had risen"), ("large", "beyond float32"), ("", "")])
def test_what_grew_until_it_overflowed_is_no_logarithm_of_zero(phase: str, what: str, said: str) -> None:
    tables = healthy()
    if what == "rose":
        tables["overall", "loss"][30:40] = np.geomspace(10, 1e10, 10)
    if what == "large":
        tables["layer", "activation_max"][39, 3] = 1e22
    (finding,) = BY_NAME["non_finite"](made(broken(phase, tables)))
    assert said in finding.causes[0] and ("logarithm" in " ".join(finding.causes)) is not bool(what)
    assert ("guard_logarithms" in finding.remedies) is not bool(what) and finding.shown is bool(what)
    assert not what or finding.remedies[0] == "lower_learning_rate"


@pytest.mark.parametrize(("row", "told"), [(0, True), (2, True), (4, False)])
def test_behind_an_exponential_it_is_the_exponential(row: int, told: bool) -> None:
    """One that comes only after the first layer that broke has nothing to do with it."""
    kinds = ["relu"] * (LAYERS - 1) + ["softmax"]
    kinds[row] = "exponential"
    run = made(broken("activation", healthy()))
    object.__setattr__(run.schema, "activations", tuple(kinds))
    (finding,) = BY_NAME["non_finite"](run)
    assert (f"the exponential of layer{row}" in finding.causes[0]) is told


@pytest.mark.parametrize("rate", [-1.0, -1e-3, -1e-8])
def test_a_rate_below_zero_is_called_so(rate: float) -> None:
    tables = stuck(healthy())
    tables["overall", "learning_rate"][:] = rate
    tables["layer", "update_ratio"] *= 2000
    told = found(made(tables))
    assert f"is {rate:.2g}, below 0: each step climbs" in told["rate_too_low"].summary
    assert "rate_too_high" not in told and told["plateau"].follows_from == "rate_too_low"


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (np.full(80, 2.3), "has settled at 2.3"),
        (np.geomspace(2.3, 2e37, 80), "has risen from 9.62 to 1.8"),
        (np.concatenate([np.full(40, 2.3), np.full(40, 2e5)]), "has risen from 2.3 to 2e+05"),
        (np.linspace(40.0, 20.0, 400), "is at 20.2"),
    ],
)
def test_a_loss_that_has_risen_or_still_falls_has_not_settled(losses: Any, said: str) -> None:
    tables = healthy(len(losses))
    tables["overall", "loss"] = losses
    (finding,) = BY_NAME["plateau"](made(tables))
    assert said in finding.summary and ("settled" in finding.summary) is ("settled" in said)


@pytest.mark.parametrize(("units", "examined"), [(1, False), (2, False), (3, False), (4, True), (64, True)])
def test_the_size_of_inputs_is_not_deduced_from_a_few_units(units: int, examined: bool) -> None:
    tables = stuck(healthy())
    tables["variable", "gradient_norm"][:, 0] *= 18.5
    tables["layer", "activation_std"] *= 18.5
    run = made(tables)
    sizes = (64 * units, units, *run.schema.sizes[2:])
    object.__setattr__(run.schema, "sizes", sizes)
    verdict = BY_NAME["unscaled_inputs"].examine(Evidence(run))
    assert (not isinstance(verdict, str)) is examined
    assert examined or f"layer0 has {units} unit" in str(verdict)


@pytest.mark.parametrize(
    ("penalty", "blamed"), [({"weight_penalty": True}, True), ({}, True), ({"weight_penalty": False}, False)]
)
def test_weights_that_shrink_without_a_regulariser_do_not_blame_one(penalty: dict[str, bool], blamed: bool) -> None:
    tables = stuck(healthy())
    tables["variable", "weight_norm"] *= np.geomspace(1, 1e-3, 80)[:, None]
    (finding,) = BY_NAME["shrinking_weights"](made(tables, penalty))
    assert ("kernel_regularizer" in finding.causes[0]) is blamed and ("lower_penalty" in finding.remedies) is blamed


def saturated_output(loss: str, *, last: str, now: float, mean: float) -> Run:
    tables = healthy()
    tables["layer", "saturated_fraction"] = np.full_like(tables["layer", "signal_rms"], np.nan)
    tables["layer", "saturated_fraction"][:, -1] = 0.99
    tables["layer", "activation_mean"][:, -1] = mean
    tables["overall", "loss"] = np.full(80, now)
    return made(tables, {"loss_function": loss}, last=last, units=1)


@pytest.mark.parametrize(
    ("loss", "last", "now", "mean", "wrong"),
    [
        ("binary_crossentropy", "sigmoid", 7.9, 0.5, True),
        ("binary_crossentropy", "sigmoid", 0.056, 0.01, False),  # one positive in a hundred: rightly sure
        ("mean_squared_error", "sigmoid", 0.9, 0.5, True),
        ("mean_squared_error", "sigmoid", 0.01, 0.01, False),
        ("mean_squared_error", "tanh", 2.5, 0.0, True),
        ("mean_absolute_error", "tanh", 0.2, 0.0, False),
    ],
)
def test_a_saturated_output_is_named_as_such(loss: str, last: str, now: float, mean: float, wrong: bool) -> None:
    told = BY_NAME["saturated_units"](saturated_output(loss, last=last, now=now, mean=mean))
    assert [(f.starts_at, "sure and wrong" in f.summary) for f in told] == ([("layer5", True)] if wrong else [])


@pytest.mark.parametrize(
    ("losses", "gradients", "flipped"),
    [
        (-np.geomspace(1, 1e9, 80), np.geomspace(1, 1e6, 80), True),
        (np.concatenate([np.linspace(3, -5, 30), -np.geomspace(5, 1e6, 50)]), np.geomspace(1, 1e3, 80), True),
        (-np.geomspace(1e-3, 1e5, 80), np.geomspace(1, 50, 80), True),
        (np.linspace(3, -900, 80), np.geomspace(1, 0.1, 80), False),  # a likelihood of many pixels
        (3 - 900 * np.linspace(0, 1, 80) ** 0.5, np.geomspace(1, 20, 80), False),
        (np.full(80, -0.99), np.geomspace(1, 20, 80), False),  # cosine similarity
    ],
)
def test_a_loss_without_a_bound_comes_before_the_rate(losses: Any, gradients: Any, flipped: bool) -> None:
    tables = healthy()
    tables["overall", "loss"], tables["overall", "gradient_norm"] = losses, gradients
    tables["layer", "update_ratio"] *= 2000
    diagnosis = kerasgrad.diagnose(made(tables, {"loss_function": "of_my_own"}))
    told = {finding.rule: finding for finding in diagnosis}
    assert ("unbounded_loss" in told) is flipped
    if flipped:
        assert diagnosis.findings[0].rule == "unbounded_loss" and diagnosis.findings[0].remedies == ("check_loss",)
        assert all(f.follows_from == "unbounded_loss" for f in diagnosis.findings[1:])


@pytest.mark.parametrize(
    ("accuracy", "prefix", "said"),
    [
        ([0.5, 0.3, 0.1, 0.02], "", "sank from 0.500 to 0.020"),
        ([0.9, 0.4, 0.1, 0.1], "val_", "sank from 0.900 to 0.100"),
        ([0.4, 0.4, 0.4, 0.4], "val_", "stayed at 0.400"),
        ([0.5, 0.45, 0.44, 0.43], "", ""),
        ([0.1, 0.1, 0.05, 0.04], "", ""),
    ],
)
def test_a_metric_that_contradicts_the_loss(accuracy: list[float], prefix: str, said: str) -> None:
    history = {"step": [20, 40, 60, 80], f"{prefix}loss": [-1.0, -4.0, -8.0, -12.0], f"{prefix}accuracy": accuracy}
    told = BY_NAME["stuck_metric"](made(healthy(), {"history": history}))
    assert [said in f.summary and f"{prefix}accuracy" in f.summary for f in told] == ([True] if said else [])
    assert not said.startswith("sank") or (told[0].remedies[0] == "check_loss" and "sign" in told[0].causes[0])


@pytest.mark.parametrize(("last", "high"), [(2109.0, True), (60.0, True), (2.3, False)])
def test_steps_that_take_the_loss_up_are_too_large(last: float, high: bool) -> None:
    """A tenth of the weights in a step is too much at once where the loss rises; where it does not, it takes 200 batches."""
    tables = healthy()
    tables["layer", "update_ratio"] *= 150
    tables["overall", "loss"] = np.concatenate([np.full(10, 4.0), np.linspace(4.0, last, 10), np.full(60, last)])
    told = found(made(tables, {"loss_function": "mean_squared_error"}, last="linear", units=1))
    late = np.median(tables["layer", "update_ratio"][-20:])
    assert late >= 0.1 and "rate_too_high" in told
    tables["layer", "update_ratio"][5:] /= 150  # only the first steps were large
    told = found(made(tables, {"loss_function": "mean_squared_error"}, last="linear", units=1))
    assert ("rate_too_high" in told) is high


@pytest.mark.parametrize(
    ("losses", "early"), [((2.3, 1.6), True), ((2.3, 2.0), True), ((2.3, 0.2), False), ((2.3, 2.29), False)]
)
def test_a_loss_that_still_falls_ended_too_early(losses: tuple[float, float], early: bool) -> None:
    tables = healthy()
    tables["overall", "loss"] = np.linspace(*losses, 80)
    run = made(tables, {"history": {"step": list(range(4, 84, 4)), "loss": np.linspace(*losses, 20).tolist()}})
    told = [f for f in BY_NAME["rate_too_low"](run) if "too early" in f.summary]
    assert [f.severity for f in told] == (
        [Severity.NOTE] if early and (losses[0] - losses[1]) / 4 / losses[1] > 0.05 else []
    )


@pytest.mark.parametrize("rows", [[3], [1], [0, 1, 2]])
def test_layers_whose_gradient_is_always_zero_are_told_even_if_the_model_learns(rows: list[int]) -> None:
    tables = healthy()
    for row in rows:
        tables["variable", "gradient_norm"][:, 2 * row : 2 * row + 2] = 0.0
    (finding,) = BY_NAME["disconnected"](made(tables))
    assert finding.severity is Severity.WARNING and finding.starts_at == f"layer{rows[-1]}"
    assert finding.layers == tuple(f"layer{row}" for row in rows) and "softmax over one entry" in finding.causes[0]


def only_bias(t: Any) -> None:
    t["variable", "gradient_norm"][:, 7] = 0.0


def at_first(t: Any) -> None:
    t["variable", "gradient_norm"][:10, 6:8] = 0.0


def dead_above(t: Any) -> None:
    t["variable", "gradient_norm"][:, :6] = 0.0
    t["layer", "activation_zeros"][:, 3] = 1.0


def faded(t: Any) -> None:
    t["variable", "gradient_norm"][:, :2] = 0.0
    t["variable", "gradient_norm"][:, 2:4] = 1e-38


def saturated_above(t: Any) -> None:
    t["variable", "gradient_norm"][:, :6] = 0.0
    t["layer", "saturated_fraction"] = np.zeros_like(t["layer", "signal_rms"])
    t["layer", "saturated_fraction"][:, 2] = 1.0


@pytest.mark.parametrize("change", [only_bias, at_first, dead_above, faded, saturated_above])
def test_a_zero_that_has_another_reason_is_no_cut(change: Any) -> None:
    """A bias before a normalisation, a gate that begins at zero, a dead layer, a signal too small for float32."""
    tables = healthy()
    change(tables)
    assert not BY_NAME["disconnected"](made(tables))


@pytest.mark.parametrize(
    ("loss", "wrong"), [("mean_squared_error", True), ("my_loss", False), ("<lambda>", False), ("hinge", False)]
)
def test_an_accuracy_beside_a_loss_by_hand_is_no_wrong_activation(loss: str, wrong: bool) -> None:
    """It may take logits."""
    tables = stuck(healthy())
    history = {"step": [20, 40, 60, 80], "loss": [2.3] * 4, "accuracy": [0.1, 0.2, 0.3, 0.4]}
    told = BY_NAME["last_activation"](made(tables, {"loss_function": loss, "history": history}, last="linear"))
    assert bool(told) is wrong


def test_three_batches_of_one_example_are_not_the_start() -> None:
    tables = healthy()
    tables["overall", "examples"] = np.ones(80)
    tables["overall", "loss"] = np.concatenate([np.full(4, 0.02), np.linspace(0.7, 0.2, 76)])
    tables["layer", "activation_mean"][:, -1] = np.sin(np.arange(80))
    history = {"step": [40, 80], "loss": [0.68, 0.19]}
    told = found(made(tables, {"loss_function": "mean_squared_error", "history": history}, last="linear", units=1))
    assert not {"loss_not_decreasing", "diverging_loss"} & told.keys()
