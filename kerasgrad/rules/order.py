"""What follows from what: a dead layer makes the signal vanish below it, so that only the dead layer is a cause.

Each rule says itself from which others it follows (`follows`, `may_follow`). A cause is a warning and shows no later than
what follows from it. What follows names the cause at the end of the chain, and has no remedies of its own: to mend the cause
mends it. Of the others those come first that began first, and those of the loss last: any ailment may bring them about.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from kerasgrad.finding import Finding, Severity
from kerasgrad.rules.rule import Rule

LATER = 10
"""Steps by which a cause may show after its effect; each rule has its own threshold, and samples have gaps."""


def ordered(findings: Sequence[Finding], rules: Iterable[Rule]) -> list[Finding]:
    """The findings, causes first, those that follow from others below them.

    Args:
        findings: of one run, in the order of the rules: where two began at the same step it decides.
        rules: those that found them.

    Returns:
        As many.
    """
    by_name = {rule.name: rule for rule in rules}
    arranged = sorted(
        findings, key=lambda finding: (by_name[finding.rule].is_symptom and not finding.shown, _begins(finding))
    )
    causes = {i: _cause(finding, arranged, rules=by_name) for i, finding in enumerate(arranged)}
    found = []
    for i, finding in enumerate(arranged):
        root, cause = _root(i, causes), causes[i]
        if root is not None and cause is not None and arranged[root].rule != finding.rule:
            rule = by_name[finding.rule]
            said = arranged[cause].rule in rule.follows and not rule.is_symptom
            severity = Severity.NOTE if said else finding.severity
            finding = dataclasses.replace(finding, severity=severity, follows_from=arranged[root].rule, remedies=())
        found.append(finding)
    return found


def _begins(finding: Finding) -> float:
    return -1 if finding.since is None else finding.since


def _cause(finding: Finding, among: Sequence[Finding], *, rules: Mapping[str, Rule]) -> int | None:
    """Place of the finding that brings this one about, the first of the ailments that are named first; None if none does."""
    rule = rules[finding.rule]
    if rule.is_symptom and finding.shown:
        return None  # the run shows the cause itself
    named: list[set[str]] = [{name} for name in (*rule.follows, *rule.may_follow)]
    if rule.is_symptom:
        named = [{name for name, other in rules.items() if not other.is_symptom}, *({name} for name in rule.follows)]
    for names in named:
        for i, other in enumerate(among):
            known = other.rule in names and other.severity >= Severity.WARNING and other.rule != finding.rule
            if known and (rule.is_symptom or _in_time(other, finding)):
                return i
    return None


def _in_time(cause: Finding, finding: Finding) -> bool:
    """Whether it shows no later; what a wholly dead layer cuts off it explains in any case."""
    early = cause.since is None or finding.since is None or cause.since <= finding.since + LATER
    return early or (cause.rule == "dead_units" and cause.measured >= 1)


def _root(start: int, causes: Mapping[int, int | None]) -> int | None:
    """The cause of the cause; None of what has none, and where rules name each other in a ring."""
    passed, now = {start}, causes[start]
    while now is not None and causes[now] is not None:
        if now in passed:
            return None
        passed.add(now)
        now = causes[now]
    return now
