"""Nets of linear recurrent units: no activation stands on the way through time."""

from __future__ import annotations

import keras
from keras import layers

from zoo.linear import LinearRecurrentUnit
from zoo.parts import answer, assemble, at_least


def lru(
    *,
    depth: int = 2,
    width: int = 32,
    units: int = 32,
    radii: tuple[float, float] = (0.9, 0.999),
    vocabulary: int | None = None,
    input_shape: tuple[int, ...] = (100, 2),
    outputs: int = 1,
    output_activation: str | None = None,
    name: str = "lru",
) -> keras.Model:
    """A net that reads a sequence and gives one answer, from what it gave at the last step.

    Args:
        depth: number of blocks: normalisation, linear recurrent unit, gated linear unit, and a shortcut around them.
        width: length of the vector at each step.
        units: complex numbers of the state of each recurrent unit.
        radii: the smallest and the largest factor by which they shrink a step, at the start.
        vocabulary: number of different symbols, for sequences of symbols, which are embedded first; None for numbers.
        input_shape: `(steps, features)`, or `(steps,)` for symbols.
        outputs: how many numbers the answer has.
        output_activation: `"softmax"` for classes, None for numbers.
        name: name of the model.

    Returns:
        The model; its layers are called `embedding` or `entry`, `block1.norm`, `block1.lru`, `block1.gate`, `block1.sum` ...
        and `answer`.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Orvieto et al. 2023, Resurrecting recurrent neural networks for long sequences, figure 1.
    """
    at_least(1, depth=depth, width=width, units=units)
    inputs = layers.Input(input_shape, name="input", dtype="float32" if vocabulary is None else "int32")
    entry = (
        layers.Dense(width, name="entry") if vocabulary is None else layers.Embedding(vocabulary, width, name="embedding")
    )
    x = entry(inputs)
    for number in range(1, depth + 1):
        label = f"block{number}"
        y = layers.LayerNormalization(name=f"{label}.norm")(x)
        y = LinearRecurrentUnit(units, radii, name=f"{label}.lru")(y)
        y = layers.Activation("gelu", name=f"{label}.gelu")(y)
        gate = layers.Dense(width, activation="sigmoid", name=f"{label}.gate")(y)
        y = layers.Multiply(name=f"{label}.gated")([layers.Dense(width, name=f"{label}.dense")(y), gate])
        x = layers.Add(name=f"{label}.sum")([x, y])
    return assemble(inputs, answer(outputs, activation=output_activation, name="answer")(x[:, -1]), name)
