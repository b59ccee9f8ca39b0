"""What follows from what: a dead layer makes the signal vanish below it, so that only the dead layer is worth a warning.

A finding that follows from another of the same run, which is a warning itself and shows no later, becomes a note that
names it. Of the others those come first that began first, and those of the loss last: any ailment may bring them about.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kerasgrad.finding import Finding, Severity

_OF_LAYERS = ("exploding_activation", "collapsing_activation", "dead_units", "saturated_units", "vanishing_gradient")

ROOTS: dict[str, tuple[str, ...]] = {
    "dead_units": ("non_finite",),
    "saturated_units": ("non_finite",),
    "vanishing_gradient": ("non_finite", "dead_units", "saturated_units", "disconnected"),
    "exploding_gradient": ("non_finite", "exploding_activation"),
    "unbalanced_layers": ("disconnected", *_OF_LAYERS),
    "frozen_layer": ("disconnected", *_OF_LAYERS),
    "constant_output": ("non_finite", "dead_units", "saturated_units"),
}
"""By ailment those that bring it about."""
SYMPTOMS = frozenset({"loss_not_decreasing", "plateau", "oscillating_loss", "diverging_loss", "overfitting", "stuck_metric"})
"""They say that something is wrong, others say what."""
LATER = 10
"""Steps by which a cause may show after its effect; each rule has its own threshold, and samples have gaps."""


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, causes first, those that follow from others as notes.

    Args:
        findings: of one run, in the order of the rules: where two began at the same step it decides.

    Returns:
        As many.
    """
    grave = [f for f in findings if f.severity >= Severity.WARNING]
    return sorted((_demoted(finding, grave) for finding in findings), key=_causes_first)


def _causes_first(finding: Finding) -> tuple[bool, float]:
    return finding.rule in SYMPTOMS, -1 if finding.since is None else finding.since


def _explains(root: Finding, finding: Finding) -> bool:
    """Whether it shows no later; what a wholly dead layer cuts off it explains in any case."""
    in_time = root.since is None or finding.since is None or root.since <= finding.since + LATER
    return in_time or (root.rule == "dead_units" and root.measured >= 1)


def _demoted(finding: Finding, grave: Sequence[Finding]) -> Finding:
    if finding.rule in SYMPTOMS:
        return _explained(finding, [f for f in grave if f.rule not in SYMPTOMS])
    before = {f.rule for f in grave if _explains(f, finding)}
    roots = [root for root in ROOTS.get(finding.rule, ()) if root in before]
    if not roots or finding.severity < Severity.WARNING:
        return finding
    return dataclasses.replace(
        finding, severity=Severity.NOTE, summary=f"{finding.summary} It follows from {' and '.join(roots)}."
    )


def _explained(finding: Finding, roots: Sequence[Finding]) -> Finding:
    """A symptom with what the other warnings say as its first cause, and their remedies first."""
    if not roots:
        return finding
    cause = f"what {' and '.join(dict.fromkeys(f.rule for f in roots))} found, see there"
    remedies = dict.fromkeys((*(f.remedies[0] for f in roots if f.remedies), *finding.remedies))
    return dataclasses.replace(finding, causes=(cause, *finding.causes), remedies=tuple(remedies))
