"""Findings while a model trains: raised once, withdrawn, told, written, and able to end the training."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers
from runs import healthy, made, stuck

import kerasgrad
from kerasgrad.finding import Finding, Severity
from kerasgrad.monitoring import progress
from kerasgrad.monitoring.judge import Judge, keys_of, known_again, look_back
from kerasgrad.rules import rule
from kerasgrad.run import Run


def data(examples: int = 96) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    x = random.normal(size=(examples, 8)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int64)


def net(optimizer: Any, *, bias: float = 0.0) -> Any:
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(2, activation="softmax")])
    if bias:
        model.layers[0].bias.assign(np.full(16, bias))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model: Any, epochs: int = 6, **given: Any) -> kerasgrad.GradientMonitor:
    monitor = kerasgrad.GradientMonitor(verbose=0, **given)
    model.fit(*data(), batch_size=8, epochs=epochs, verbose=0, callbacks=[monitor])
    return monitor


def test_a_dead_layer_is_told_once_and_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Finding] = []
    with caplog.at_level(logging.WARNING, "kerasgrad"):
        monitor = fit(net("adam", bias=-100.0), log_dir=tmp_path, on_finding=told.append)
    dead = [f for f in told if f.rule == "dead_units"]
    assert len(dead) == 1 and dead[0].starts_at == "dense" and dead[0].severity is Severity.WARNING
    assert sum("dead_units" in record.message for record in caplog.records) == 1
    assert "dead_units" in [f.rule for f in monitor.diagnosis]
    loaded = Run.load(tmp_path)
    assert [f.to_dict() for f in loaded.findings] == [f.to_dict() for f in monitor.run.findings]
    now = {f.rule: f.to_dict() for f in kerasgrad.diagnose(loaded)}
    assert "dead_units" in now, "a loaded run gives the same"
    standing = {f.rule: f.to_dict() for f in loaded.findings if f.withdrawn is None}
    assert list(standing.items()) == list(now.items()), "what stands at the end stands with the evidence of the whole run"
    assert loaded.facts["history"]["step"] == [12 * n for n in range(1, 7)] and len(loaded.facts["history"]["accuracy"]) == 6
    assert (loaded.facts["loss_function"], loaded.facts["clipping"]) == ("sparse_categorical_crossentropy", {})


def test_looking_back_keeps_what_was_withdrawn_or_is_found_no_more() -> None:
    run = made(stuck(healthy(60)))
    held = [finding.rule for finding in kerasgrad.diagnose(run)]
    run.findings = (
        Finding(rule=held[0], severity=Severity.NOTE, summary="As it was when it was raised."),
        Finding(rule="plateau", severity=Severity.ERROR, summary="It was withdrawn.", withdrawn=7),
        Finding(rule="never_again", severity=Severity.ERROR, summary="The training was cut off before it was."),
    )
    found = look_back(run)
    assert [f.rule for f in found if f.withdrawn is None] == held
    assert {f.summary: f.withdrawn for f in found if f.withdrawn is not None} == {
        "It was withdrawn.": 7,
        "The training was cut off before it was.": run.steps[-1],
    }
    assert held and not found.of(Severity.ERROR), "CI looks at what stands"


def test_stop_on_ends_the_training_and_says_why() -> None:
    model = net(keras.optimizers.SGD(1e30))
    monitor = fit(model, epochs=20, stop_on=("non_finite",), update_freq=1)
    assert monitor.step < 3 * 12
    assert any("stop_on: non_finite" in note for note in monitor.run.facts["notes"])
    assert monitor.diagnosis.findings[0].rule == "non_finite" and monitor.diagnosis.findings[0].since < 3


def test_a_healthy_fit_is_quiet() -> None:
    told: list[Finding] = []
    fit(net(keras.optimizers.Adam(0.01)), epochs=12, on_finding=told.append)
    assert not [f for f in told if f.severity >= Severity.WARNING]


def test_a_finding_is_raised_when_it_lasts_and_withdrawn_when_it_is_gone() -> None:
    told: list[Finding] = []
    judge = Judge(on_finding=told.append)
    sick = stuck(healthy(60))
    sick["layer", "activation_zeros"][:, 2] = 1.0
    judge._spent = -1e9  # as if there were time without end
    for samples, raised in ((20, 0), (30, 1), (40, 1)):
        judge.judge(made(sick).select(steps=slice(0, samples)))
        assert sum(f.rule == "dead_units" for f in told) == raised, samples
    for samples in (70, 80):
        judge.judge(made(healthy(samples)))
    withdrawn = [f for f in told if f.rule == "dead_units" and f.withdrawn is not None]
    assert len(withdrawn) == 1 and withdrawn[0].withdrawn == 79
    assert withdrawn[0] in judge.findings and withdrawn[0] in judge.diagnosis(made(healthy())).findings


def of_layers(*layers: str, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(severity=severity, summary=f"It is in {layers}.", layers=layers)


def judged(*states: list[Finding]) -> tuple[Judge, list[tuple[tuple[str, ...], int | None]]]:
    """A judge after so many judgements of a rule that finds these, and what it told: layers, and when it was withdrawn."""
    now: list[Finding] = []

    @rule
    def several(seen: Any) -> Any:
        return list(now)

    told: list[Finding] = []
    judge = Judge([several], on_finding=told.append)
    judge._spent = -1e9  # as if there were time without end
    for samples, state in enumerate(states, 60):
        now[:] = state
        judge.judge(made(healthy(samples)))
    return judge, [(finding.layers, finding.withdrawn) for finding in told]


def test_several_findings_of_a_rule_stay_several() -> None:
    one, other, whole, again = of_layers("a"), of_layers("b", "c"), of_layers(), of_layers()
    all_of_it = [one, other, whole, again]
    judge, told = judged(all_of_it, all_of_it)
    assert told == [(("a",), None), (("b", "c"), None), ((), None), ((), None)]
    run = made(healthy(60))
    assert len(judge.findings) == 4 == len(judge.diagnosis(run))
    judge, told = judged(all_of_it, all_of_it, [other], [other])
    assert told[4:] == [(("a",), 62), ((), 62), ((), 62)] and len(judge.findings) == 4


def test_a_finding_that_spreads_is_the_same_and_one_of_other_layers_is_not() -> None:
    spread, elsewhere = of_layers("b", "c", "d"), of_layers("x")
    assert judged([of_layers("c")], [spread], [spread])[1] == [(("b", "c", "d"), None)]
    told = judged([spread], [spread], [elsewhere], [elsewhere])[1]
    assert told == [(spread.layers, None), (("x",), None), (spread.layers, 62)]
    near, far = of_layers("b", "c"), of_layers("d", "x")
    assert set(known_again([far, near], keys_of([spread]))) == {("", spread.layers, 0), ("", far.layers, 0)}


@given(st.lists(st.sets(st.sampled_from("abc")).map(lambda s: of_layers(*sorted(s))), max_size=5), st.data())
def test_whatever_was_known_no_finding_is_lost(found: list[Finding], data: Any) -> None:
    known = data.draw(st.lists(st.sampled_from(keys_of([*found, of_layers("a", "z"), of_layers("z")])), unique=True))
    assert list(known_again(found, known).values()) == found


def test_looking_back_tells_findings_of_one_rule_apart() -> None:
    run = made(stuck(healthy(60)))
    loss = next(f for f in kerasgrad.diagnose(run) if f.rule == "plateau")
    run.findings = (loss, dataclasses.replace(loss, layers=("layer0",), summary="Of a layer."))
    assert [f.summary for f in look_back(run) if f.withdrawn is not None] == ["Of a layer."]


@pytest.mark.parametrize(
    ("stop_on", "severity", "stops"),
    [
        ("several", Severity.NOTE, True),
        ("note", Severity.NOTE, True),
        ("note", Severity.WARNING, True),
        ("warning", Severity.ERROR, True),
        (Severity.WARNING, Severity.WARNING, True),
        ("error", Severity.WARNING, False),
        ((), Severity.ERROR, False),
    ],
)
def test_stop_on_fires_for_every_name_that_it_accepts(stop_on: Any, severity: Severity, stops: bool) -> None:
    @rule
    def several(seen: Any) -> Any:
        return [Finding(rule="by another name", severity=severity, summary="It is.")]

    judge = Judge([several], stop_on=stop_on)
    judge._spent = -1e9
    reasons = [judge.judge(made(healthy(samples)))[1] for samples in (60, 61, 62)]
    assert any(reasons) is stops and (not stops or "stop_on: several: It is." in "".join(reasons))


def test_judging_keeps_to_its_share_of_the_time() -> None:
    judge, run = Judge(), made(healthy(60))
    judge.judge(run, at_last=True)
    judge._spent = 1e9
    assert judge.judge(made(healthy(61))) == ([], "") and judge._judged == 60
    judge.judge(made(healthy(62)), at_last=True)
    assert judge._judged == 62


def test_settings_are_checked_and_copied() -> None:
    with pytest.raises(ValueError, match=r"Received: \['vanishing'\]"):
        kerasgrad.GradientMonitor(stop_on="vanishing")
    with pytest.raises(TypeError, match="takes rules"):
        kerasgrad.GradientMonitor(rules=[len])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="on_finding"):
        kerasgrad.GradientMonitor(on_finding="print")  # type: ignore[arg-type]
    monitor = kerasgrad.GradientMonitor(stop_on=["error"], rules=[])
    assert copy.deepcopy(monitor).settings.stop_on == ["error"] and copy.deepcopy(monitor).settings.judge().rules == ()


def test_a_rule_or_a_listener_that_fails_ends_no_training() -> None:
    @rule()
    def broken(seen: Any) -> Any:
        raise RuntimeError("no")

    monitor = fit(net("adam"), epochs=2, rules=[broken])
    assert "RuntimeError" in monitor.diagnosis.not_examined["broken"]

    def listener(finding: Finding) -> None:
        raise RuntimeError("no")

    model = net("adam", bias=-100.0)
    monitor = fit(model, on_finding=listener)
    assert model.optimizer.iterations == 6 * 12 and monitor.failure is not None


def test_a_history_keeps_first_and_last_of_many_epochs() -> None:
    history: dict[str, list[Any]] = {}
    for epoch in range(1000):
        progress.add_epoch(
            history, 10 * (epoch + 1), logs={"loss": 1000.0 - epoch, **({"late": 1.0} if epoch > 500 else {})}
        )
    assert history["step"][-1] == 10000 and history["loss"][-1] == 1.0 and len(history["step"]) <= progress.EPOCHS_KEPT
    assert history["step"] == sorted(set(history["step"])) and history["step"][0] <= 50
    assert {len(column) for column in history.values()} == {len(history["step"])}
    assert history["late"][0] is None and json.dumps(history)
