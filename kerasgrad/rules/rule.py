"""A rule: a function from what is known of a run to findings, or to the reason why it could not judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kerasgrad.finding import Finding, counted
from kerasgrad.rules.evidence import Evidence
from kerasgrad.run import Run

Verdict = Sequence[Finding] | str
"""Findings, none if all is well; or, in words, why it could not be examined."""


@dataclass(frozen=True)
class Rule:
    """One ailment and how it is recognised.

    Attributes:
        name: the ailment.
        judge: from evidence to a verdict.
        needs: statistics without which it cannot judge, as `"layer/signal_rms"` or `"overall/loss"`.
        least: samples with finite numbers without which it cannot.
    """

    name: str
    judge: Callable[[Evidence], Verdict]
    needs: tuple[str, ...] = ()
    least: int = 1

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
        """Judges, unless something is missing. A rule that fails says so: it never ends a training."""
        if len(seen) < self.least:
            there = f"there {'is' if len(seen) == 1 else 'are'} {len(seen)}"
            return f"it needs {counted(self.least, 'sample')} with finite numbers, {there}"
        for need in self.needs:
            of, _, name = need.partition("/")
            if not np.isfinite(seen.table(name, of)).any():
                return f"the run has no {name} of a {of}" if of != "overall" else f"the run has no {name}"
        try:
            with np.errstate(all="ignore"):
                return self.judge(seen)
        except Exception as error:
            return f"the rule failed: {type(error).__name__}: {error}"


def rule(*needs: str, least: int = 1) -> Callable[[Callable[[Evidence], Verdict]], Rule]:
    """Makes a rule of a function; the ailment is the function's name.

    Args:
        *needs: statistics without which it cannot judge, such as `"layer/signal_rms"`.
        least: samples without which it cannot.

    Returns:
        A decorator.

    Example:
        >>> @kerasgrad.rules.rule("overall/loss")
        ... def loss_above_five(seen):
        ...     if seen.run.overall("loss")[-1] > 5:
        ...         return [Finding("loss_above_five", Severity.NOTE, "The loss is above 5.")]
        ...     return []
        >>> kerasgrad.diagnose(run, rules=[*kerasgrad.rules.DEFAULT, loss_above_five])
    """

    def made(judge: Callable[[Evidence], Verdict]) -> Rule:
        return Rule(judge.__name__, judge, needs, least)

    return made
