"""`Finding` and `Diagnosis`: through JSON and back, in order, and readable."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasgrad.finding import WIDTH, Diagnosis, Finding, Severity

VANISHING = Finding(
    rule="vanishing_gradient",
    severity=Severity.WARNING,
    summary="The signal shrinks fourfold per layer.",
    layers=("dense", "dense_1", "dense_2"),
    starts_at="dense_2",
    since=3,
    quantity="signal at the first / at the last layer",
    measured=1.5e-9,
    threshold=1e-3,
    samples=50,
    causes=("the derivative of a sigmoid is at most 1/4", "the initial weights are too small"),
    remedies=("use_relu", "add_shortcuts"),
)

numbers = st.floats(allow_nan=True, allow_infinity=True)
words = st.text(max_size=20)
findings = st.builds(
    Finding,
    rule=words,
    severity=st.sampled_from(Severity),
    summary=words,
    layers=st.lists(words, max_size=6).map(tuple),
    starts_at=words,
    since=st.none() | st.integers(0, 2**40),
    quantity=words,
    measured=numbers,
    threshold=numbers,
    samples=st.integers(0, 10**6),
    causes=st.lists(words, max_size=3).map(tuple),
    remedies=st.lists(words, max_size=3).map(tuple),
    withdrawn=st.none() | st.integers(0, 2**40),
    follows_from=words,
    shown=st.booleans(),
)


def same(one: Finding, other: Finding) -> bool:
    """Equal, where NaN equals NaN."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in Finding.__dataclass_fields__]
    return all(a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)) for a, b in pairs)


@given(findings)
def test_a_finding_goes_through_strict_json_and_back(finding: Finding) -> None:
    text = json.dumps(finding.to_dict(), allow_nan=False)
    assert same(Finding.from_dict(json.loads(text)), finding)


@given(st.lists(findings, max_size=5))
def test_a_diagnosis_goes_through_strict_json_and_back_and_prints(found: list[Finding]) -> None:
    signal = {"a": math.nan, "b": math.inf, "c": 0.0, "d": 1e-30}
    diagnosis = Diagnosis(tuple(found), {"dead_units": "no units"}, ("loss",), "mine", 9, (0, 80), signal)
    again = Diagnosis.from_dict(json.loads(json.dumps(diagnosis.to_dict(), allow_nan=False)))
    assert repr(again) == repr(diagnosis) and again.steps == (0, 80) and again.not_examined == diagnosis.not_examined
    assert all(same(a, b) for a, b in zip(again, diagnosis, strict=True))


def test_keys_of_later_versions_are_left_out_and_missing_ones_named() -> None:
    assert Finding.from_dict(VANISHING.to_dict() | {"colour": "red"}) == VANISHING
    with pytest.raises(KeyError, match="severity"):
        Finding.from_dict({"rule": "a", "summary": "b"})


def test_the_gravest_comes_first_and_the_withdrawn_last() -> None:
    note = Finding(rule="a_note", severity=Severity.NOTE, summary="", since=0)
    cause, effect = (
        Finding(rule=name, severity=Severity.ERROR, summary="", since=step) for name, step in (("cause", 7), ("effect", 1))
    )
    gone = Finding(rule="gone", severity=Severity.ERROR, summary="", since=0, withdrawn=5)
    diagnosis = Diagnosis((note, gone, cause, VANISHING, effect))
    assert [f.rule for f in diagnosis] == ["cause", "effect", "vanishing_gradient", "a_note", "gone"]
    assert [f.rule for f in diagnosis.of(Severity.WARNING)] == ["cause", "effect", "vanishing_gradient"]
    assert Severity.NOTE < Severity.WARNING < Severity.ERROR


def named(rule: str, severity: Severity = Severity.WARNING, **more: object) -> Finding:
    return Finding(rule=rule, severity=severity, summary=f"{rule} is there.", **more)  # type: ignore[arg-type]


def test_what_follows_stands_below_its_cause_whatever_its_severity() -> None:
    late = named("note_of_cause", Severity.NOTE, follows_from="cause")
    broken = named("broken", Severity.ERROR, follows_from="cause")
    orphan, gone = named("orphan", follows_from="nobody"), named("gone", follows_from="cause", withdrawn=9)
    other, cause = named("other", remedies=("use_relu",)), named("cause", remedies=("use_adam",))
    diagnosis = Diagnosis((other, late, gone, orphan, broken, cause))
    assert [f.rule for f in diagnosis] == ["cause", "broken", "note_of_cause", "other", "orphan", "gone"]
    assert diagnosis.roots == (cause, other, orphan, gone) and diagnosis.consequences(cause) == (broken, late)
    assert diagnosis.consequences(other) == () and diagnosis.of(Severity.ERROR) == (broken,)
    lines = repr(diagnosis).splitlines()
    assert lines[0].startswith("model: 3 warnings, 2 more follow")
    assert lines[2:7] == [
        "WARNING cause",
        "  cause is there.",
        "  remedies: use_adam",
        "  follows from it:",
        "    error broken: broken is there.",
    ]
    assert repr(Diagnosis.from_dict(json.loads(json.dumps(diagnosis.to_dict())))) == repr(diagnosis)


def test_of_two_causes_of_one_rule_the_consequences_are_told_once() -> None:
    two = tuple(named("short_memory", layers=(name,)) for name in "ab")
    plateau = named("plateau", follows_from="short_memory")
    diagnosis = Diagnosis((plateau, *two))
    assert [diagnosis.consequences(f) for f in two] == [(plateau,), ()] and repr(diagnosis).count("plateau is there") == 1


@pytest.mark.parametrize(
    ("layers", "start", "title", "beginning"),
    [
        ((), "", "ill", "since step 2"),
        (("a",), "a", "ill in a", "since step 2"),
        ((), "a", "ill in a", "since step 2"),
        (("a", "b"), "c", "ill in a and b", "begins at c, since step 2"),
        (("a", "b", "c"), "c", "ill in a to c, 3 layers", "begins at c, since step 2"),
    ],
)
def test_the_title_names_who_suffers_and_the_line_below_where_it_begins(
    layers: tuple[str, ...], start: str, title: str, beginning: str
) -> None:
    finding = named("ill", layers=layers, starts_at=start, since=2)
    assert (finding.title, finding.beginning) == (title, beginning)
    assert str(finding) == f"{title} ({beginning}): ill is there."


def test_the_report_says_all_of_it() -> None:
    report = repr(Diagnosis((VANISHING,), {"overfitting": "no validation"}, ("vanishing_gradient",), "net", 50, (0, 49)))
    for part in (
        "net: 1 warning (rules: 1, samples: 50, steps 0 to 49)",
        "WARNING vanishing_gradient in dense to dense_2, 3 layers",
        "begins at dense_2, since step 3",
        "layers: dense, dense_1, dense_2",
        "measured: signal at the first / at the last layer 1.5e-09 (threshold 0.001); 50 samples",
        "(a) the derivative of a sigmoid is at most 1/4",
        "(b) the initial weights are too small",
        "remedies: use_relu, add_shortcuts",
        "not examined: overfitting: no validation",
    ):
        assert part in report
    assert max(map(len, report.splitlines())) <= WIDTH


def test_below_the_findings_each_layer_has_a_bar_and_the_mark_of_its_finding() -> None:
    note = Finding(rule="loss", severity=Severity.NOTE, summary="Of the whole model.")
    signal = {"dense": 1e-9, "dense_1": 1e-6, "dense_2": 1e-3, "out": 1.0, "last": math.nan}
    rows = repr(Diagnosis((VANISHING, note), samples=1, steps=(0, 0), signal=signal)).splitlines()
    marked = {line.split()[1] if line[2] in "▲" else line.split()[0]: line for line in rows[-7:-2]}
    assert [marked[name].count("█") for name in signal] == [1, 4, 7, 10, 0]
    assert [marked[name][2:4].strip() for name in signal] == ["▲", "▲", "▲*", "", ""]
    assert marked["last"].split() == ["last", "-"]
    assert "one block less for each factor of ten" in rows[-1]


def test_of_a_deep_net_some_layers_are_shown_and_the_one_that_starts_it() -> None:
    signal = {f"layer{i:04}": 1.0 for i in range(1000)}
    here = Finding(
        rule="dead_units", severity=Severity.ERROR, summary="All dead.", layers=("layer0007",), starts_at="layer0007"
    )
    report = repr(Diagnosis((here,), samples=1, signal=signal))
    assert "41 of 1000 layers, print(run) has all" in report
    assert [line.split()[:2] for line in report.splitlines() if "0007" in line][-1] == ["✖*", "layer0007"]
    assert all(name in report for name in ("layer0000", "layer0999")) and report.count("█" * 10) == 41


def test_an_empty_diagnosis_says_so() -> None:
    assert not Diagnosis() and repr(Diagnosis()) == "model: nothing found (no samples)"
    assert Diagnosis((VANISHING,)) and len(Diagnosis((VANISHING,))) == 1
