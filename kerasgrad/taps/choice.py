"""Which layers are watched: what a user may write for `layers`, as a predicate."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable

import keras

LayerChoice = str | list[str] | tuple[str, ...] | Callable[[keras.Layer], bool] | None
"""A choice of layers: names or patterns, of the path or the layer's own name; a predicate; or None for all."""


def chooses(choice: LayerChoice) -> Callable[[keras.Layer, str], bool]:
    """Makes a predicate of a layer and its path out of what a user may write for `layers`.

    Args:
        choice: None, a pattern such as `"block*"`, several, or a predicate of the layer.

    Returns:
        The predicate.

    Raises:
        TypeError: the choice is none of those.
    """
    if choice is None:
        return lambda layer, path: True
    if callable(choice):
        predicate = choice
        return lambda layer, path: bool(predicate(layer))
    patterns = [choice] if isinstance(choice, str) else list(choice) if isinstance(choice, list | tuple) else [None]
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(
            "`layers` takes a name or pattern such as 'block*', a list of them, a function of a layer, or None for all. "
            f"Received: layers={choice!r}"
        )
    return lambda layer, path: any(
        fnmatch.fnmatchcase(path, str(p)) or fnmatch.fnmatchcase(layer.name, str(p)) for p in patterns
    )
