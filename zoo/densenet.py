"""Densely connected convnets, and the same chain of layers without the connections."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from zoo.parts import NORMALIZATIONS, answer, assemble, at_least, check, normalize

BLOCKS = 3

WIDEST = 4
"""A bottleneck is so many times as wide as the growth. Huang et al. 2017, section 3."""


def densenet(
    *,
    depth: int = 40,
    growth: int = 12,
    blocks: tuple[int, ...] | None = None,
    bottleneck: bool = False,
    compression: float = 1.0,
    style: str = "cifar",
    connected: bool = True,
    normalization: str | None = "batch",
    width: int | None = None,
    input_shape: tuple[int, ...] = (32, 32, 3),
    classes: int = 10,
    name: str = "densenet",
) -> keras.Model:
    """A convnet in whose blocks each layer reads what all layers before it gave.

    Args:
        depth: number of weight layers, `3n + 4`: three blocks of n, the stem, two transitions, the classes; with bottlenecks
            `6n + 4`. Not used if `blocks` says more.
        growth: channels that each layer gives.
        blocks: layers of each block, such as `(6, 12, 24, 16)` of DenseNet-121; three of the same size if None.
        bottleneck: whether a 1 x 1 convolution narrows what each layer reads to four times the growth ("B").
        compression: share of its channels that a transition keeps, above 0 and up to 1 ("C", with 0.5).
        style: `"cifar"`: a 3 x 3 stem; `"imagenet"`: 7 x 7 and pooling, each with stride 2.
        connected: whether a layer reads all before it in its block; otherwise only the one before.
        normalization: `"batch"`, `"layer"`, `"group"` or None, before each activation.
        width: channels of the stem; 16, or twice the growth with bottlenecks, if None.
        input_shape: height, width, channels.
        classes: number of classes; the model ends in their softmax.
        name: name of the model.

    Returns:
        The model; its layers are called `stem.conv`, `block1.layer01.conv`, `block1.layer01.all`, `transition1.conv` ...
        and `classes`.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Huang et al. 2017, Densely connected convolutional networks, table 2 (40-12, without bottlenecks:
        1.0M parameters; BC 100-12: 0.8M), table 1 (121: 8.0M).
    """
    check("normalization", normalization, (*NORMALIZATIONS, None))
    check("style", style, ("cifar", "imagenet"))
    if not 0 < compression <= 1:
        raise ValueError(f"`compression` is above 0 and up to 1. Received: compression={compression}")
    blocks = blocks or _blocks(depth, bottleneck)
    at_least(1, blocks=min(blocks), growth=growth)
    width = width or (2 * growth if bottleneck else 16)

    def step(x: Any, channels: int, size: int, label: str) -> Any:
        x = layers.ReLU(name=f"{label}.relu")(normalize(x, normalization, f"{label}.norm"))
        return convolution(x, channels, size, label)

    def convolution(x: Any, channels: int, size: int, label: str, strides: int = 1) -> Any:
        return layers.Conv2D(
            channels, size, strides, padding="same", use_bias=normalization is None, kernel_initializer="he_normal",
            name=f"{label}.conv",
        )(x)  # fmt: skip

    inputs = layers.Input(input_shape, name="input")
    if style == "cifar":
        x = convolution(inputs, width, 3, "stem")
    else:
        x = normalize(convolution(inputs, width, 7, "stem", 2), normalization, "stem.norm")
        x = layers.MaxPooling2D(3, 2, padding="same", name="stem.pool")(layers.ReLU(name="stem.relu")(x))
    for block, count in enumerate(blocks, 1):
        for number in range(1, count + 1):
            label = f"block{block}.layer{number:02d}"
            y = step(x, WIDEST * growth, 1, f"{label}.narrow") if bottleneck else x
            y = step(y, growth, 3, label)
            x = layers.Concatenate(name=f"{label}.all")([x, y]) if connected else y
        if block < len(blocks):
            x = step(x, max(1, int(compression * x.shape[-1])), 1, f"transition{block}")
            x = layers.AveragePooling2D(2, padding="same", name=f"transition{block}.pool")(x)
    x = layers.ReLU(name="last.relu")(normalize(x, normalization, "last.norm"))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return assemble(inputs, answer(classes)(x), name)


def _blocks(depth: int, bottleneck: bool) -> tuple[int, ...]:
    """Layers of each block, of a depth that counts convolutions."""
    each = 2 * BLOCKS if bottleneck else BLOCKS
    if depth < each + 4 or (depth - 4) % each:
        raise ValueError(f"`depth` is {each}n + 4, such as 22, 40 and 100. Received: depth={depth}, bottleneck={bottleneck}")
    return ((depth - 4) // each,) * BLOCKS
