"""All models of the zoo by name, and the one way to build them."""

from __future__ import annotations

import fnmatch
import inspect
from importlib import import_module
from typing import Any

from zoo.nearest import unknown
from zoo.variants import VARIANTS, Variant


def names(pattern: str = "*") -> list[str]:
    """The names of the models.

    Args:
        pattern: shell-style, such as `"plain.*"`.

    Returns:
        Names in alphabetical order; empty if none matches.
    """
    return sorted(fnmatch.filter(VARIANTS, pattern))


def note(name: str) -> str:
    """What a model shows, in a line."""
    return _variant(name).note


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
    variant = _variant(name)
    builder = getattr(import_module(f"zoo.{variant.family}"), variant.family)
    known = list(inspect.signature(builder).parameters)
    unknown = [argument for argument in overrides if argument not in known]
    if unknown:
        raise TypeError(f"The family {variant.family!r} takes {', '.join(known)}. Received: {', '.join(unknown)}")
    return builder(**{**variant.arguments, "name": name.replace(".", "_"), **overrides})


def _variant(name: str) -> Variant:
    if name not in VARIANTS:
        raise unknown("model", name, VARIANTS)
    return VARIANTS[name]
