"""What the families share: normalisation, activation and initialisation by name, and the check of a choice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
from keras import layers

GROUPS = 8
"""Groups of the group normalisation, fewer where there are fewer channels; Wu & He 2018 use 32 for wider nets."""

MOMENTUM = 0.9
"""Of the averages that batch normalisation predicts with; with Keras' 0.99 they still show the start after 200 steps."""

EPSILON = 1e-3
"""What is added to a variance, as Keras does; PyTorch and most papers have 1e-5."""

NORMALIZATIONS: Mapping[str, Callable[[int, str, float], Any]] = {
    "batch": lambda channels, name, epsilon: layers.BatchNormalization(momentum=MOMENTUM, epsilon=epsilon, name=name),
    "layer": lambda channels, name, epsilon: layers.LayerNormalization(epsilon=epsilon, name=name),
    "group": lambda channels, name, epsilon: layers.GroupNormalization(min(GROUPS, channels), epsilon=epsilon, name=name),
}

INITIALIZERS: Mapping[str, Callable[[], Any]] = {
    "normal": lambda: keras.initializers.RandomNormal(stddev=1.0),
    "small_normal": lambda: keras.initializers.RandomNormal(stddev=0.01),
}
"""Initialisers that Keras has, but under no name that says their deviation."""


DEEPEST = 100_000
"""Calls within calls that Python allows while a model is put together."""


def assemble(inputs: Any, outputs: Any, name: str, *, kind: type[keras.Model] = keras.Model) -> keras.Model:
    """The functional model between them, however deep: Keras walks back through it by recursion, which Python ends early."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, DEEPEST))
    try:
        return kind(inputs, outputs, name=name)
    finally:
        sys.setrecursionlimit(limit)


def check(argument: str, value: object, allowed: Iterable[object]) -> None:
    """Makes sure that an argument is one of a few.

    Raises:
        ValueError: it is not.
    """
    if value not in (choices := list(allowed)):
        raise ValueError(f"`{argument}` is one of {choices}. Received: {argument}={value!r}")


def normalize(x: Any, kind: str | None, name: str, *, epsilon: float = EPSILON) -> Any:
    """Applies a normalisation by name, or none."""
    return x if kind is None else NORMALIZATIONS[kind](x.shape[-1], name, epsilon)(x)


def activate(x: Any, activation: str, name: str) -> Any:
    """Applies an activation by name, as a layer of its own."""
    if activation == "prelu":
        return layers.PReLU(shared_axes=list(range(1, len(x.shape) - 1)) or None, name=name)(x)
    return layers.Activation(activation, name=name)(x)


def answer(units: int, *, activation: str | None = "softmax", name: str = "classes") -> Any:
    """The `Dense` layer that a model ends in, in float32 under mixed precision too.

    In float16 a softmax rounds what is nearly sure to 0 and 1; where that is wrong the loss is cut off and has no gradient.
    """
    narrow = keras.config.dtype_policy().compute_dtype in ("float16", "bfloat16")
    return layers.Dense(units, activation=activation, dtype="float32" if narrow else None, name=name)


def at_least(least: float, **arguments: Any) -> None:
    """Makes sure that arguments are not below a number.

    Raises:
        ValueError: one is.
    """
    for name, value in arguments.items():
        if value < least:
            raise ValueError(f"`{name}` starts at {least}. Received: {name}={value!r}")


def fresh(initializer: Any) -> Any:
    """An initialiser of its own for each layer: a shared instance gives every layer of one shape the same weights."""
    if isinstance(initializer, str) and initializer in INITIALIZERS:
        return INITIALIZERS[initializer]()
    if isinstance(initializer, keras.initializers.Initializer):
        return initializer.clone()
    return keras.initializers.get(initializer)
