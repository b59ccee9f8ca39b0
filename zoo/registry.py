"""All models of the zoo by name, and the one way to build them."""

from __future__ import annotations

import difflib
import fnmatch
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A name: a family's builder with the arguments that make this variant.

    Attributes:
        family: module of the zoo whose function of the same name builds the model.
        arguments: what this variant asks of it.
        note: what the variant shows, in a line.
    """

    family: str
    arguments: Mapping[str, Any]
    note: str


_ENTRIES: dict[str, Entry] = {
    "plain.sigmoid": Entry("plain", {"activation": "sigmoid"}, "20 sigmoid layers: the signal vanishes, nothing is learnt"),
    "plain.tanh": Entry("plain", {"activation": "tanh"}, "20 tanh layers with Glorot weights: the signal keeps its size"),
    "plain.relu": Entry("plain", {"activation": "relu", "initializer": "he_normal"}, "20 ReLU layers with He weights"),
    "plain.residual": Entry(
        "plain", {"activation": "relu", "initializer": "he_normal", "normalization": "layer", "residual": True},
        "20 ReLU layers with shortcuts and layer normalisation",
    ),
}  # fmt: skip


def names(pattern: str = "*") -> list[str]:
    """The names of the models.

    Args:
        pattern: shell-style, such as `"plain.*"`.

    Returns:
        Names in alphabetical order; empty if none matches.
    """
    return sorted(fnmatch.filter(_ENTRIES, pattern))


def note(name: str) -> str:
    """What a model shows, in a line."""
    return _entry(name).note


def build(name: str, **overrides: Any) -> Any:
    """Builds a model, not yet compiled.

    Args:
        name: one of `names()`.
        **overrides: arguments of the family's builder, such as `depth=50`.

    Returns:
        A `keras.Model`.

    Raises:
        KeyError: there is no such model; the message lists the nearest names.
        TypeError: an override is no argument of the family; the message lists those there are.
    """
    entry = _entry(name)
    builder = getattr(import_module(f"zoo.{entry.family}"), entry.family)
    known = list(inspect.signature(builder).parameters)
    unknown = [argument for argument in overrides if argument not in known]
    if unknown:
        raise TypeError(f"The family {entry.family!r} takes {', '.join(known)}. Received: {', '.join(unknown)}")
    return builder(**{**entry.arguments, "name": name.replace(".", "_"), **overrides})


def _entry(name: str) -> Entry:
    if name not in _ENTRIES:
        near = difflib.get_close_matches(name, _ENTRIES, n=3, cutoff=0.3) or names()
        raise KeyError(f"No model of that name; the nearest are {', '.join(near)}. Received: name={name!r}")
    return _ENTRIES[name]
