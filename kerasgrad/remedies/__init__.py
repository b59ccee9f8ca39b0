"""What to change, by the names that findings use: each remedy is applied to a copy of a model, never in place.

better = kerasgrad.remedies.apply("add_shortcuts", model)
better.model, better.changed, better.kept       # or better.advice, where only a person can do it
"""

from __future__ import annotations

import difflib
import fnmatch
from typing import Any

import keras

from kerasgrad.finding import Finding
from kerasgrad.remedies import (
    activations,
    advice,
    ending,
    feeding,
    initializers,
    normalizing,
    optimizing,
    recurrence,
    shortcuts,
)  # fmt: skip
from kerasgrad.remedies.graph import rebuilt, unchanged
from kerasgrad.remedies.remedy import Given, Remedied, Remedy
from kerasgrad.run import Run

__all__ = ["Remedied", "apply", "explain", "names"]

_FAMILIES = (activations, initializers, normalizing, shortcuts, recurrence, optimizing, feeding, ending, advice)
REMEDIES: dict[str, Remedy] = {remedy.name: remedy for family in _FAMILIES for remedy in family.REMEDIES}
"""All remedies by name."""


FAMILY: dict[str, str] = {r.name: family.__name__.rpartition(".")[2] for family in _FAMILIES for r in family.REMEDIES}
"""By name of a remedy what it is about."""


def names(pattern: str = "*") -> list[str]:
    """The names of the remedies.

    Args:
        pattern: shell-style, such as `"use_*"`.

    Returns:
        Names in alphabetical order; those that are only advice are among them.
    """
    return sorted(fnmatch.filter(REMEDIES, pattern))


def explain(name: str) -> str:
    """What a remedy does, what it keeps, what it cannot do, and its source.

    Raises:
        KeyError: there is no such remedy; the message lists the nearest names.
    """
    return _remedy(name).text


def apply(
    name: str, model: keras.Model, *, finding: Finding | None = None, run: Run | None = None, x: Any = None,
    batch_size: int | None = None,
) -> Remedied:  # fmt: skip
    """Applies a remedy to a copy of a model; the model itself is left as it is, to the bit.

    Args:
        name: of the remedy, one of `names()`; `explain(name)` says what it does.
        model: a Functional or Sequential model that is built; of one with a `call` of its own the result is advice.
        finding: the finding that names it: where a remedy is of single layers, those of the finding are treated.
        run: a run of the model, for remedies that take a number from it (clipping, dead units).
        x: a sample of inputs, for those that scale them.
        batch_size: examples in a step, for the one that enlarges it.

    Returns:
        The changed copy, compiled as the model is, with what was changed and what was kept; or advice.

    Raises:
        KeyError: there is no such remedy; the message lists the nearest names.
        TypeError: the model, the finding or the run is something else.
        ValueError: a layer of the model cannot be copied.

    Example:
        >>> kerasgrad.remedies.apply("use_he_initializer", model, finding=kerasgrad.diagnose(run).findings[0])
    """
    for argument, value, kind in (("model", model, keras.Model), ("finding", finding, Finding), ("run", run, Run)):
        if not isinstance(value, kind) and not (value is None and argument != "model"):
            raise TypeError(f"`{argument}` takes a {kind.__name__}. Received: {argument} of type {type(value).__name__}")
    return _remedy(name).act(Given(model, finding, run, x, batch_size))


def plain_copy(model: keras.Model) -> Remedied:
    """A copy of a Functional or Sequential model, with its weights and compile settings."""
    return Remedied("nothing", rebuilt(model, unchanged)[0])


def _remedy(name: str) -> Remedy:
    found = REMEDIES.get(name) if isinstance(name, str) else None
    if found is None:
        near = difflib.get_close_matches(str(name), names(), n=3, cutoff=0.3) or names()
        raise KeyError(f"There is no remedy of that name; the nearest are {', '.join(near)}. Received: name={name!r}")
    return found
