"""A rule: a function from what is known of a run to findings, or to the reason why it could not judge."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from kerasgrad.finding import Finding, counted
from kerasgrad.rules.applicable import applicable
from kerasgrad.rules.evidence import Evidence
from kerasgrad.run import Run

Verdict = Sequence[Finding] | str
"""Findings, none if all is well; or, in words, why it could not be examined."""
Judging = Callable[[Evidence], Verdict]
ANY = ("*",)
"""In the place of ailments: every one that is no symptom."""
FAILED = "the rule failed"
"""Begins the reason where a rule raised, or gave what is no verdict."""


@dataclass(frozen=True)
class Rule:
    """One ailment and how it is recognised.

    Attributes:
        name: the ailment.
        judge: from evidence to a verdict.
        needs: statistics without which it cannot judge, as `"layer/signal_rms"` or `"overall/loss"`.
        least: samples with finite numbers without which it cannot.
        follows: ailments of which this one says nothing new: with a warning of them, its own is a note below theirs.
        may_follow: ailments that may bring it about: it stands below them, as grave as it is; `ANY` for a symptom.
    """

    name: str
    judge: Judging
    needs: tuple[str, ...] = ()
    least: int = 1
    follows: tuple[str, ...] = ()
    may_follow: tuple[str, ...] = ()

    @property
    def is_symptom(self) -> bool:
        """Whether it says that something is wrong, and others say what."""
        return self.may_follow == ANY

    def __post_init__(self) -> None:
        """A rule stands where its function would: it is pickled by that name."""
        object.__setattr__(self, "__module__", self.judge.__module__)

    def __reduce__(self) -> str:
        """Pickled, it is its name in its module, as a function is; a copy is the rule itself."""
        return self.name

    def __call__(self, run: Run) -> list[Finding]:
        """What the rule finds in a run; nothing where it cannot judge."""
        verdict = self.examine(Evidence(run))
        return [] if isinstance(verdict, str) else list(verdict)

    def examine(self, seen: Evidence) -> Verdict:
        """Judges, unless something is missing. A rule that fails says so: it never ends a training.

        Args:
            seen: what is known of a run.

        Returns:
            Findings under the name of the rule, whatever they call themselves; or why there are none.
        """
        if len(seen) < self.least:
            there = f"there {'is' if len(seen) == 1 else 'are'} {len(seen)}"
            return f"it needs {counted(self.least, 'sample')} with finite numbers, {there}"
        try:
            missing = self._missing(seen)
            if missing:
                return missing
            with np.errstate(all="ignore"):
                return self._named(self.judge(seen), seen)
        except Exception as error:
            return f"{FAILED}: {type(error).__name__}: {error}"

    def _missing(self, seen: Evidence) -> str:
        """Which of the statistics that it needs the run does not have, `""` if it has them all."""
        for need in self.needs:
            of, _, name = need.partition("/")
            if not np.isfinite(seen.table(name, of)).any():
                return f"the run has no {name} of a {of}" if of != "overall" else f"the run has no {name}"
        return ""

    def _named(self, verdict: Any, seen: Evidence) -> Verdict:
        """The verdict, if it is one, its findings under the rule's own name, without remedies that are out of place."""
        if isinstance(verdict, str):
            return verdict or f"{FAILED}: it gave an empty reason"
        found = list(verdict) if isinstance(verdict, Iterable) else [verdict]
        if isinstance(verdict, Finding) or not all(isinstance(finding, Finding) for finding in found):
            raise TypeError(f"a rule gives a list of findings, empty if all is well, or a reason. Received: {verdict!r}")
        return [dataclasses.replace(f, rule=self.name, remedies=applicable(f.remedies, seen)) for f in found]


@overload
def rule(judge: Judging, /) -> Rule: ...
@overload
def rule(
    *needs: str, least: int = 1, follows: tuple[str, ...] = (), may_follow: tuple[str, ...] = ()
) -> Callable[[Judging], Rule]: ...
def rule(
    *needs: Any, least: int = 1, follows: tuple[str, ...] = (), may_follow: tuple[str, ...] = ()
) -> Rule | Callable[[Judging], Rule]:
    """Makes a rule of a function; the ailment is the function's name, and its findings get it too.

    Args:
        *needs: statistics without which it cannot judge, such as `"layer/signal_rms"`; none for `@rule` without brackets.
        least: samples without which it cannot.
        follows: names of rules; with a warning of one of them what this one finds is a note below it.
        may_follow: names of rules below whose findings it stands, as grave as it is; `ANY` if it is a symptom.

    Returns:
        A decorator, or the rule where it is one itself.

    Raises:
        TypeError: something else than names of statistics is needed.

    Example:
        >>> @kerasgrad.rules.rule("overall/loss")
        ... def loss_above_five(seen):
        ...     if seen.run.overall("loss")[-1] > 5:
        ...         return [Finding(severity=Severity.NOTE, summary="The loss is above 5.")]
        ...     return []
        >>> kerasgrad.diagnose(run, rules=[*kerasgrad.rules.DEFAULT, loss_above_five])
    """
    if len(needs) == 1 and callable(needs[0]):
        return Rule(needs[0].__name__, needs[0])
    if not all(isinstance(need, str) and "/" in need for need in needs):
        raise TypeError(f'`rule` takes names of statistics, such as "layer/signal_rms". Received: {needs}')

    def made(judge: Judging) -> Rule:
        return Rule(judge.__name__, judge, needs=needs, least=least, follows=follows, may_follow=may_follow)

    return made
