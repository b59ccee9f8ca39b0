"""Judges a run while it trains: raises a finding once, withdraws it when it no longer holds, and may end the training."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasgrad.finding import Diagnosis, Finding, Severity
from kerasgrad.rules import DEFAULT, Rule, diagnose
from kerasgrad.run import Run

logger = logging.getLogger("kerasgrad")

FIRST, THEN = 25, 50
"""Samples after which a run is judged for the first time and the second; then whenever it has grown by half."""
SHARE = 0.003
"""Share of the time since the beginning that judging may take; the end of an epoch may pass without it."""
STEADY = 2
"""Judgements in a row in which a finding must hold before it is raised, or not hold before it is withdrawn."""

Key = tuple[str, tuple[str, ...], int]
"""What tells the findings of a run apart: see `keys_of`."""
OnFinding = Callable[[Finding], object]
StopOn = Iterable[str | Severity]


class Judge:
    """Applies rules to a run that grows.

    Args:
        rules: which; None for `kerasgrad.rules.DEFAULT`.
        on_finding: is called with each finding when it is raised, and again, with `withdrawn` set, when it is withdrawn.
        stop_on: what ends the training when it is raised: findings of these rules, by name, or those that are at least so
            grave (`"warning"`: errors too).

    Raises:
        TypeError: a rule is not one, or `on_finding` cannot be called.
        ValueError: `stop_on` names neither a rule nor a severity.
    """

    def __init__(
        self, rules: Sequence[Rule] | None = None, *, on_finding: OnFinding | None = None, stop_on: StopOn = ()
    ) -> None:
        self.rules = DEFAULT if rules is None else tuple(rules)
        wrong = [rule for rule in self.rules if not isinstance(rule, Rule)]
        if wrong:
            raise TypeError(f"`rules` takes rules; make one of a function with kerasgrad.rules.rule. Received: {wrong[0]!r}")
        if on_finding is not None and not callable(on_finding):
            raise TypeError(f"`on_finding` takes a function of a finding. Received: on_finding={on_finding!r}")
        self._on_finding = on_finding
        self._stop_on = {str(what) for what in ([stop_on] if isinstance(stop_on, str | Severity) else stop_on)}
        known = {rule.name for rule in self.rules} | {str(severity) for severity in Severity}
        if self._stop_on - known:
            raise ValueError(f"`stop_on` takes {sorted(known)}. Received: {sorted(self._stop_on - known)}")
        self.begin()

    def begin(self) -> None:
        """Forgets what was found: another run begins."""
        self._standing: dict[Key, Finding] = {}
        self._withdrawn: list[Finding] = []
        self._met: dict[Key, int] = {}
        self._missed: dict[Key, int] = {}
        self._next, self._judged, self._broken = FIRST, 0, False
        self._spent, self._began = 0.0, time.monotonic()

    def is_due(self, run: Run) -> bool:
        """Whether to judge in the middle of an epoch: early, then ever more rarely; at once when the loss is not finite."""
        if len(run) >= self._next:
            return True
        return len(run) > self._judged and not self._broken and not np.isfinite(run.overall("loss")[-1])

    def awaits(self, samples: int) -> int:
        """How many samples more than those there are it waits for before it judges again."""
        return max(1, self._next - samples)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that were raised, those that were withdrawn last."""
        return (*self._standing.values(), *self._withdrawn)

    def attend(self, recorder: Any, model: Any, *, when: str) -> None:
        """Judges what a recorder holds, if it is time: findings go to the log and to disk, and may end the training.

        Args:
            recorder: keeps the run; None before there is one.
            model: what is trained; its `stop_training` is set where `stop_on` says so.
            when: `"step"` in the middle of an epoch, `"epoch"` at its end, `"end"` of the training.
        """
        if recorder is None or (when == "step" and not self.is_due(recorder.run)):
            return
        changed, reason = self.judge(recorder.run, at_last=when == "end")
        if changed or (when == "end" and self._standing):
            recorder.note_findings(self.findings)
        if reason and when != "end":
            model.stop_training = True
            recorder.run.facts.setdefault("notes", []).append(reason)
            logger.warning("kerasgrad: %s", reason)

    def judge(self, run: Run, *, at_last: bool = False) -> tuple[list[Finding], str]:
        """Examines the run as it is, if there is something new and time for it.

        Args:
            run: the run so far.
            at_last: whether the training is over, so that what holds now is all that will be known.

        Returns:
            What changed: findings that were raised or withdrawn. And why the training should end, `""` if it should not.
        """
        if not at_last and not self.is_due(run) and not self._can_afford(run):
            return [], ""
        began = time.monotonic()
        self._judged, self._broken = len(run), bool(len(run)) and not np.isfinite(run.overall("loss")[-1])
        self._next = max(THEN, len(run) * 3 // 2)
        found = known_again(diagnose(run, self.rules).findings, dict.fromkeys((*self._standing, *self._met)))
        last = int(run.steps[-1]) if len(run) else 0
        changed = [*self._raised(found, at_last), *self._gone(found, last, at_last=at_last)]
        if at_last:
            # With the evidence of the whole run, and in the order of its diagnosis.
            self._standing = {key: finding for key, finding in found.items() if key in self._standing}
        self._spent += time.monotonic() - began
        for finding in changed:
            self._tell(finding)
        return changed, self._reason_to_stop(changed)

    def _can_afford(self, run: Run) -> bool:
        return len(run) > self._judged and self._spent <= SHARE * (time.monotonic() - self._began)

    def _raised(self, found: Mapping[Key, Finding], at_last: bool) -> list[Finding]:
        """Those that have held long enough; one that grows graver is raised again."""
        self._met = {key: self._met.get(key, 0) + 1 for key in found}
        new = []
        for key, finding in found.items():
            known = self._standing.get(key)
            if known is not None and known.severity >= finding.severity:
                continue
            if at_last or finding.severity is Severity.ERROR or self._met[key] >= STEADY:
                self._standing[key] = finding
                new.append(finding)
        return new

    def _gone(self, found: Mapping[Key, Finding], last: int, *, at_last: bool) -> list[Finding]:
        """Those that have not held long enough; what was not finite once stays said."""
        gone = []
        for key, finding in list(self._standing.items()):
            self._missed[key] = 0 if key in found else self._missed.get(key, 0) + 1
            if self._missed[key] >= (1 if at_last else STEADY):
                gone.append(dataclasses.replace(finding, withdrawn=last))
                self._withdrawn.append(gone[-1])
                del self._standing[key]
        return gone

    def _tell(self, finding: Finding) -> None:
        if finding.severity >= Severity.WARNING:
            if finding.withdrawn is None:
                logger.warning("kerasgrad: %s: %s", finding.severity, finding)
            else:
                logger.info("kerasgrad: withdrawn at step %s: %s", finding.withdrawn, finding.rule)
        if self._on_finding is not None:
            self._on_finding(finding)

    def _reason_to_stop(self, changed: Sequence[Finding]) -> str:
        for finding in changed:
            reached = {str(severity) for severity in Severity if finding.severity >= severity}
            if finding.withdrawn is None and {finding.rule, *reached} & self._stop_on:
                return f"training ended by stop_on: {finding}"
        return ""

    def diagnosis(self, run: Run) -> Diagnosis:
        """What holds of the run as it is, and what was raised and withdrawn while it trained."""
        now = diagnose(run, self.rules)
        return dataclasses.replace(now, findings=(*now.findings, *self._withdrawn))


def look_back(run: Run) -> Diagnosis:
    """What holds of a recorded run, and what was raised while it trained and holds no longer.

    Args:
        run: any run; `run.findings` are those that were raised.

    Returns:
        The diagnosis of `kerasgrad.rules.diagnose`, and behind it what was raised and is not found now.
    """
    now = diagnose(run)
    raised = keys_of(run.findings)
    standing = known_again(now.findings, [key for key, f in zip(raised, run.findings, strict=True) if f.withdrawn is None])
    last = int(run.steps[-1]) if len(run) else 0
    gone = [
        dataclasses.replace(finding, withdrawn=last) if finding.withdrawn is None else finding
        for key, finding in zip(raised, run.findings, strict=True)
        if finding.withdrawn is not None or key not in standing
    ]
    return dataclasses.replace(now, findings=(*now.findings, *gone))


def keys_of(findings: Iterable[Finding]) -> list[Key]:
    """What tells findings apart: the rule, the layers that have it, and, should both be the same, a number."""
    keys: list[Key] = []
    for finding in findings:
        count = sum(key[:2] == (finding.rule, finding.layers) for key in keys)
        keys.append((finding.rule, finding.layers, count))
    return keys


def known_again(findings: Iterable[Finding], known: Iterable[Key]) -> dict[Key, Finding]:
    """Findings under the keys by which they are known already, since an ailment may spread from layer to layer.

    Args:
        findings: of one judgement, in the order of the diagnosis.
        known: keys of earlier judgements.

    Returns:
        As many findings in the same order. A finding has the known key of its rule that shares most layers with it, if any,
        each key once; what is met for the first time has its own.
    """
    found = list(findings)
    own, free = keys_of(found), dict.fromkeys(known)
    pairs = [(_alike(mine, key), mine, key) for mine in own for key in free]
    keys: dict[Key, Key] = {}
    for alike, mine, key in sorted(pairs, key=lambda pair: -pair[0]):
        if alike > 0 and mine not in keys and key in free:
            keys[mine] = key
            del free[key]
    return {keys.get(mine, mine): finding for mine, finding in zip(own, found, strict=True)}


def _alike(one: Key, other: Key) -> float:
    """Share of their layers that two findings of a rule have in common, 1 if both are of the whole model."""
    either, both = {*one[1], *other[1]}, {*one[1]} & {*other[1]}
    same = len(both) / len(either) if either else 1.0
    return same * (1.0 if one[2] == other[2] else 0.5) if one[0] == other[0] else 0.0
