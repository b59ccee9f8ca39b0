"""Densely connected convnets, and the same chain of layers without the connections."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from zoo.parts import NORMALIZATIONS, answer, assemble, check, normalize

BLOCKS = 3


def densenet(
    *,
    depth: int = 40,
    growth: int = 12,
    connected: bool = True,
    normalization: str | None = "batch",
    width: int = 16,
    input_shape: tuple[int, ...] = (32, 32, 3),
    classes: int = 10,
    name: str = "densenet",
) -> keras.Model:
    """A convnet in whose blocks each layer reads what all layers before it gave.

    Args:
        depth: number of weight layers, `3n + 4`: three blocks of n, the stem, two transitions, the classes.
        growth: channels that each layer gives.
        connected: whether a layer reads all before it in its block; otherwise only the one before.
        normalization: `"batch"`, `"layer"`, `"group"` or None, before each activation.
        width: channels of the stem.
        input_shape: height, width, channels.
        classes: number of classes; the model ends in their softmax.
        name: name of the model.

    Returns:
        The model; its layers are called `stem.conv`, `block1.layer01.conv`, `block1.layer01.all`, `transition1.conv` ...
        and `classes`.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Huang et al. 2017, Densely connected convolutional networks, table 2 (40-12, without bottlenecks: 1.0M parameters).
    """
    check("normalization", normalization, (*NORMALIZATIONS, None))
    if depth < 7 or (depth - 4) % BLOCKS:
        raise ValueError(f"`depth` is 3n + 4: 7, 10 ... 22, 40, 100. Received: depth={depth}")

    def step(x: Any, channels: int, size: int, label: str) -> Any:
        x = layers.ReLU(name=f"{label}.relu")(normalize(x, normalization, f"{label}.norm"))
        return convolution(x, channels, size, label)

    def convolution(x: Any, channels: int, size: int, label: str) -> Any:
        return layers.Conv2D(
            channels, size, padding="same", use_bias=normalization is None, kernel_initializer="he_normal",
            name=f"{label}.conv",
        )(x)  # fmt: skip

    inputs = layers.Input(input_shape, name="input")
    x = convolution(inputs, width, 3, "stem")
    for block in range(1, BLOCKS + 1):
        for number in range(1, (depth - 4) // BLOCKS + 1):
            label = f"block{block}.layer{number:02d}"
            y = step(x, growth, 3, label)
            x = layers.Concatenate(name=f"{label}.all")([x, y]) if connected else y
        if block < BLOCKS:
            x = step(x, x.shape[-1], 1, f"transition{block}")
            x = layers.AveragePooling2D(2, padding="same", name=f"transition{block}.pool")(x)
    x = layers.ReLU(name="last.relu")(normalize(x, normalization, "last.norm"))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return assemble(inputs, answer(classes)(x), name)
