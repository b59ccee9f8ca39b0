"""What the rules say of a run: `Finding`, one judgement with its evidence, and `Diagnosis`, all of them in a report."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

WIDTH = 118
"""Columns of a report, as wide as the table of layers."""


class Severity(enum.IntEnum):
    """How much a finding matters; severities compare: `finding.severity >= Severity.WARNING`.

    A note is true and may be as it should be; a warning is most likely a fault; an error has stopped the training from
    doing any good.
    """

    NOTE = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        """In a word: `note`, `warning`, `error`."""
        return self.name.lower()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One judgement of one rule. All its arguments are keywords.

    Attributes:
        rule: the ailment, such as `"vanishing_gradient"`; the rule that found it fills in its own name.
        severity: how much it matters.
        summary: one sentence of what was found.
        layers: paths of the layers that have it, in depth order; empty if it is of the whole model.
        starts_at: path of the layer that starts it, `""` if it has no place.
        since: step of the first sample that shows it, None where it was read off the model and no step was made.
        quantity: what was measured, in words, such as `"signal at the first / at the last layer"`.
        measured: its value.
        threshold: the value from which on it is an ailment.
        samples: the number of samples that it rests on.
        causes: what usually brings it about, the likeliest first.
        remedies: what to change, by name, the likeliest first.
        withdrawn: step from which on it no longer held, None while it stands.
        follows_from: the rule that found its cause, `""` if it is a cause itself; what follows has no remedies of its own.
        shown: whether the run itself shows the first of the causes; else they are what usually brings it about.
    """

    severity: Severity
    summary: str
    rule: str = ""
    layers: tuple[str, ...] = ()
    starts_at: str = ""
    since: int | None = None
    quantity: str = ""
    measured: float = math.nan
    threshold: float = math.nan
    samples: int = 0
    causes: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    withdrawn: int | None = None
    follows_from: str = ""
    shown: bool = False

    def __str__(self) -> str:
        """In one line, for a log."""
        beginning = f" ({self.beginning})" if self.beginning else ""
        return f"{self.title}{beginning}: {self.summary}"

    @property
    def title(self) -> str:
        """The ailment and the layers that suffer from it."""
        layers = self.layers or ((self.starts_at,) if self.starts_at else ())
        if len(layers) <= 2:
            return " in ".join(filter(None, (self.rule, " and ".join(layers))))
        return f"{self.rule} in {layers[0]} to {layers[-1]}, {len(layers)} layers"

    @property
    def beginning(self) -> str:
        """Where it begins, where that is not all of it, and since when; `""` if neither is known."""
        where = f"begins at {self.starts_at}" if self.starts_at and self.layers not in ((), (self.starts_at,)) else ""
        since = "" if self.since is None else f"since step {self.since}"
        gone = "" if self.withdrawn is None else f"withdrawn at step {self.withdrawn}"
        return ", ".join(filter(None, (where, since, gone)))

    @property
    def evidence(self) -> str:
        """What was measured against what, and on how much it rests."""
        parts = []
        if self.quantity:
            against = "" if math.isnan(self.threshold) else f" (threshold {rounded(self.threshold)})"
            parts.append(f"{self.quantity} {rounded(self.measured)}{against}")
        if self.samples:
            parts.append(counted(self.samples, "sample"))
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; numbers that are not finite become the words `"nan"`, `"inf"`, `"-inf"`."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Finding:
        """The inverse of `to_dict`; keys of later versions are left out.

        Raises:
            KeyError: the rule, severity or summary is missing, or there is no such severity.
        """
        given = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        missing = [name for name in ("rule", "severity", "summary") if name not in given]
        if missing:
            raise KeyError(f"A finding needs {missing}. Received: keys {list(values)}")
        given["severity"] = Severity[str(given["severity"]).upper()]
        given |= {name: tuple(given[name]) for name in ("layers", "causes", "remedies") if name in given}
        given |= {name: float(given[name]) for name in ("measured", "threshold") if name in given}
        return cls(**given)


@dataclass(frozen=True)
class Diagnosis:
    """All that the rules say of a run. Its `repr` is the report; as a condition it is true if there are findings.

    Findings form a tree of two levels: causes (`roots`), and what follows from each (`consequences`).

    Attributes:
        findings: each cause with what follows from it behind, first where the gravest of them is; else as they came: the
            rules put causes before symptoms. Those that were withdrawn come last.
        not_examined: why a rule could not judge, by the rule's name.
        examined: names of the rules that did judge.
        model: name of the model.
        samples: number of samples that were there to examine.
        steps: first and last step of them, None if there are none.
        signal: RMS of the signal at each layer's output (loss/activation) at the last sound sample, by path in depth order;
            empty where no training was seen. NaN for a layer that has none.
    """

    findings: tuple[Finding, ...] = ()
    not_examined: Mapping[str, str] = field(default_factory=dict)
    examined: tuple[str, ...] = ()
    model: str = "model"
    samples: int = 0
    steps: tuple[int, int] | None = None
    signal: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Puts the findings in order."""
        object.__setattr__(self, "findings", _in_order(self.findings))

    def __bool__(self) -> bool:
        """Whether anything was found."""
        return bool(self.findings)

    def __len__(self) -> int:
        """Number of findings."""
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        """The findings, the gravest first."""
        return iter(self.findings)

    @property
    def roots(self) -> tuple[Finding, ...]:
        """The findings that follow from no other of these."""
        return tuple(finding for finding in self.findings if not _follows(finding, self.findings))

    def consequences(self, root: Finding) -> tuple[Finding, ...]:
        """What follows from a finding; of several of one rule all is told with the first."""
        first = next((finding for finding in self.roots if finding.rule == root.rule and finding.withdrawn is None), None)
        if first is not root:
            return ()
        return tuple(f for f in self.findings if f.follows_from == root.rule and _follows(f, self.findings))

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings that stand and are at least that grave."""
        return tuple(f for f in self.findings if f.severity >= severity and f.withdrawn is None)

    def __repr__(self) -> str:
        """The report: each finding, what was not examined, and the layers with what reaches them."""
        from kerasgrad.views import text

        return text.judgement(self)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {
            "model": self.model,
            "samples": self.samples,
            "steps": None if self.steps is None else list(self.steps),
            "findings": [finding.to_dict() for finding in self.findings],
            "examined": list(self.examined),
            "not_examined": dict(self.not_examined),
            "signal": {path: _plain(value) for path, value in self.signal.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Diagnosis:
        """The inverse of `to_dict`; keys of later versions are left out."""
        steps = values.get("steps")
        return cls(
            tuple(Finding.from_dict(finding) for finding in values.get("findings", ())),
            dict(values.get("not_examined", {})),
            tuple(values.get("examined", ())),
            str(values.get("model", "model")),
            int(values.get("samples", 0)),
            None if steps is None else (int(steps[0]), int(steps[1])),
            {path: float(value) for path, value in values.get("signal", {}).items()},
        )


def counted(count: int, one: str, *, many: str = "") -> str:
    """A number of things in words.

    Args:
        count: how many.
        one: what is said of one of them, such as `"layer has"`.
        many: what is said of more, such as `"layers have"`; with an `s` behind if it is not given.
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def _follows(finding: Finding, findings: tuple[Finding, ...]) -> bool:
    """Whether what a finding follows from is there and stands, as it does itself."""
    if not finding.follows_from or finding.withdrawn is not None:
        return False
    return any(f.rule == finding.follows_from and not f.follows_from and f.withdrawn is None for f in findings)


def _in_order(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Causes with their consequences behind them, see `Diagnosis`."""
    family = [f.follows_from if _follows(f, findings) else f.rule for f in findings]
    gravest = {
        name: max(
            (f.severity for f, of in zip(findings, family, strict=True) if of == name and f.withdrawn is None), default=0
        )
        for name in family
    }

    def place(i: int) -> tuple[bool, int, int, bool, int]:
        finding, name = findings[i], family[i]
        if finding.withdrawn is not None:
            return True, -finding.severity, i, False, 0
        return False, -gravest[name], family.index(name), name != finding.rule, -finding.severity

    return tuple(findings[i] for i in sorted(range(len(findings)), key=place))


def _plain(value: Any) -> Any:
    """A field as JSON can hold it."""
    if isinstance(value, Severity):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return str(float(value)) if isinstance(value, float) and not math.isfinite(value) else value


def rounded(value: float) -> str:
    """A number as it is written everywhere: three significant digits, `1.2e-05` where it is below 0.001 or from 100,000."""
    size = abs(value)
    if value == 0 or not math.isfinite(value):
        return f"{value:.3g}"
    if not 1e-3 <= size < 99_999.5:
        return f"{value:.1e}"
    return f"{value:.0f}" if size >= 999.5 else f"{value:.3g}"
