"""Residual convnets of the published shapes, and the same without shortcuts or without normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from zoo.parts import EPSILON, NORMALIZATIONS, answer, assemble, check, normalize

IMAGENET = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks of each stage; from 50 on they are bottlenecks. He et al. 2015, table 1."""

BOTTLENECK_FROM = 50
IMAGENET_EPSILON = 1e-5
"""Of the published models of the ImageNet style; those of the CIFAR style have Keras' 1e-3 here."""
EXPANSION = 4


@dataclass(frozen=True)
class _Style:
    """What all blocks of a net have in common."""

    version: int
    shortcut: bool
    normalization: str | None
    projection: bool
    bottleneck: bool

    def convolution(self, x: Any, channels: int, size: int, strides: int, name: str, *, padding: str = "same") -> Any:
        """A convolution; a bias before a normalisation that takes it away again is left out."""
        return layers.Conv2D(
            channels, size, strides, padding=padding, use_bias=self.normalization is None,
            kernel_initializer="he_normal", name=name,
        )(x)  # fmt: skip

    def normalized(self, x: Any, name: str) -> Any:
        return normalize(x, self.normalization, name, epsilon=IMAGENET_EPSILON if self.projection else EPSILON)


def resnet(
    *,
    depth: int = 20,
    style: str = "cifar",
    version: int = 1,
    shortcut: bool = True,
    normalization: str | None = "batch",
    stochastic_depth: float = 0.0,
    width: int | None = None,
    input_shape: tuple[int, ...] = (32, 32, 3),
    classes: int = 10,
    name: str = "resnet",
) -> keras.Model:
    """A residual convnet.

    Args:
        depth: number of weight layers on the longest way: `6n + 2` (20, 32, 44, 56, 110, 1,202) in the CIFAR style; 18, 34,
            50, 101 or 152 in the ImageNet style.
        style: `"cifar"`: three stages, shortcuts without parameters where the shape changes (option A of the paper);
            `"imagenet"`: four stages, projections there (option B), bottlenecks from depth 50 on, whose first convolution
            has the stride, as in the paper and `keras.applications` (torchvision has it in the second).
        version: 1, normalisation and activation after each convolution; or 2, before it (pre-activation).
        shortcut: whether each block is added to its input.
        normalization: `"batch"`, `"layer"`, `"group"` or None; without one the convolutions have biases.
        stochastic_depth: how often the last block is left out in training; of the others less, in proportion to depth.
        width: channels of the first stage: 16 or, in the ImageNet style, 64 if None; they double at each stage.
        input_shape: height, width, channels.
        classes: number of classes; the model ends in their softmax.
        name: name of the model.

    Returns:
        The model; its layers are called `stem.conv`, `stage2.block1.conv2`, `stage2.block1.sum` ... and `classes`.

    Raises:
        ValueError: an argument is out of its range.

    References:
        He et al. 2015, Deep residual learning; He et al. 2016, Identity mappings; Huang et al. 2016, Deep networks with
        stochastic depth, equation 4.
    """
    check("style", style, ("cifar", "imagenet"))
    check("version", version, (1, 2))
    check("normalization", normalization, (*NORMALIZATIONS, None))
    if not 0 <= stochastic_depth < 1:
        raise ValueError(f"`stochastic_depth` is from 0 to below 1. Received: stochastic_depth={stochastic_depth}")
    if stochastic_depth and not shortcut:
        raise ValueError(f"Without shortcuts no block can be left out. Received: stochastic_depth={stochastic_depth}")
    stages = _stages(depth, style)
    common = _Style(version, shortcut, normalization, style == "imagenet", style == "imagenet" and depth >= BOTTLENECK_FROM)
    width = width or (64 if style == "imagenet" else 16)
    inputs = layers.Input(input_shape, name="input")
    x = _stem(inputs, width, style, common)
    number, total = 0, sum(stages)
    for stage, blocks in enumerate(stages, 1):
        for block in range(1, blocks + 1):
            number += 1
            strides = 2 if stage > 1 and block == 1 else 1
            drop = stochastic_depth * number / total
            x = _block(x, width * 2 ** (stage - 1), strides, f"stage{stage}.block{block}", drop, common)
    if version == 2:
        x = layers.ReLU(name="last.relu")(common.normalized(x, "last.norm"))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return assemble(inputs, answer(classes)(x), name)


def _stages(depth: int, style: str) -> tuple[int, ...]:
    if style == "imagenet":
        check("depth", depth, IMAGENET)
        return IMAGENET[depth]
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"In the CIFAR style `depth` is 6n + 2: 8, 14, 20, 26, 32 ... Received: depth={depth}")
    return ((depth - 2) // 6,) * 3


def _stem(x: Any, width: int, style: str, common: _Style) -> Any:
    """From the image to the first stage. In version 2 the first block normalises."""
    if style == "imagenet":
        # As far on each side; Keras' own "same" would pad an even image more at its end.
        x = layers.ZeroPadding2D(3, name="stem.pad")(x)
        x = common.convolution(x, width, 7, 2, "stem.conv", padding="valid")
    else:
        x = common.convolution(x, width, 3, 1, "stem.conv")
    if common.version == 1:
        x = layers.ReLU(name="stem.relu")(common.normalized(x, "stem.norm"))
    if style != "imagenet":
        return x
    x = layers.ZeroPadding2D(1, name="stem.pool_pad")(x)
    return layers.MaxPooling2D(3, 2, name="stem.pool")(x)


def _block(x: Any, channels: int, strides: int, name: str, drop: float, common: _Style) -> Any:
    """Two convolutions, or three around a bottleneck, and the shortcut around them."""
    shape = [(channels, 1, strides), (channels, 3, 1), (EXPANSION * channels, 1, 1)]
    if not common.bottleneck:
        shape = [(channels, 3, strides), (channels, 3, 1)]
    y = first = x
    for i, (filters, size, stride) in enumerate(shape, 1):
        if common.version == 2:
            y = layers.ReLU(name=f"{name}.relu{i}")(common.normalized(y, f"{name}.norm{i}"))
            first = y if i == 1 else first
            y = common.convolution(y, filters, size, stride, f"{name}.conv{i}")
        else:
            y = common.normalized(common.convolution(y, filters, size, stride, f"{name}.conv{i}"), f"{name}.norm{i}")
            y = layers.ReLU(name=f"{name}.relu{i}")(y) if i < len(shape) else y
    if drop:
        y = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}.drop")(y)
    if common.shortcut:
        # Where its shape changes, version 2 projects what was normalised: He et al. 2016, section 3.
        changed = strides > 1 or x.shape[-1] != shape[-1][0]
        start = first if common.version == 2 and changed and common.projection else x
        y = layers.Add(name=f"{name}.sum")([_shortcut(start, shape[-1][0], strides, name, common), y])
    return layers.ReLU(name=f"{name}.relu")(y) if common.version == 1 else y


def _shortcut(x: Any, channels: int, strides: int, name: str, common: _Style) -> Any:
    """The block's input in the shape of its output."""
    if strides == 1 and x.shape[-1] == channels:
        return x
    if common.projection:
        x = common.convolution(x, channels, 1, strides, f"{name}.shortcut.conv")
        return common.normalized(x, f"{name}.shortcut.norm") if common.version == 1 else x
    # Option A: every second pixel, and zeros for the new channels, which Keras pads where it takes them for pixels.
    x = layers.MaxPooling2D(1, strides, padding="same", name=f"{name}.shortcut.pool")(x)
    x = layers.Permute((1, 3, 2), name=f"{name}.shortcut.turn")(x)
    x = layers.ZeroPadding2D(((0, 0), (0, channels - x.shape[2])), name=f"{name}.shortcut.pad")(x)
    return layers.Permute((1, 3, 2), name=f"{name}.shortcut.turn_back")(x)
