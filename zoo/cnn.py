"""A small convnet of the kind that tutorials begin with."""

from __future__ import annotations

import keras
from keras import layers

from zoo.parts import NORMALIZATIONS, answer, assemble, check, normalize

SMALLEST = 4
"""Pixels that are left of a side at least."""


def cnn(
    *,
    depth: int = 2,
    width: int = 32,
    dense: int = 512,
    dropout: float = 0.25,
    normalization: str | None = None,
    input_shape: tuple[int, ...] = (32, 32, 3),
    classes: int = 10,
    name: str = "cnn",
) -> keras.Model:
    """Pairs of 3 x 3 convolutions, each followed by pooling, and a hidden `Dense` layer.

    Args:
        depth: number of pairs, from 1; the image is halved after each.
        width: channels of the first pair; they double with each.
        dense: units of the hidden `Dense` layer.
        dropout: share that is dropped after each pair; twice as much before the classes. Below 0.5.
        normalization: `"batch"`, `"layer"`, `"group"` or None, before each activation of a convolution.
        input_shape: height, width, channels.
        classes: number of classes; the model ends in their softmax.
        name: name of the model.

    Returns:
        The model; its layers are called `pair1.conv1`, `pair1.relu1` ... `dense` and `classes`.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Keras' example cifar10_cnn: 75 % after 25 epochs, 79 % after 50. All convolutions are padded here;
        there the second of each pair is not.
    """
    check("normalization", normalization, (*NORMALIZATIONS, None))
    if depth < 1 or any(side < SMALLEST * 2**depth for side in input_shape[:2]):
        raise ValueError(
            f"`depth` starts at 1 and leaves {SMALLEST} pixels of each side. Received: depth={depth}, "
            f"input_shape={input_shape}"
        )
    if not 0 <= dropout < 0.5:
        raise ValueError(f"`dropout` is from 0 to below 0.5. Received: dropout={dropout}")
    x = inputs = layers.Input(input_shape, name="input")
    for pair in range(1, depth + 1):
        for number in (1, 2):
            x = layers.Conv2D(
                width * 2 ** (pair - 1), 3, padding="same", use_bias=normalization is None,
                kernel_initializer="he_normal", name=f"pair{pair}.conv{number}",
            )(x)  # fmt: skip
            x = layers.ReLU(name=f"pair{pair}.relu{number}")(normalize(x, normalization, f"pair{pair}.norm{number}"))
        x = layers.MaxPooling2D(2, name=f"pair{pair}.pool")(x)
        x = layers.Dropout(dropout, name=f"pair{pair}.drop")(x) if dropout else x
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(dense, activation="relu", kernel_initializer="he_normal", name="dense")(x)
    x = layers.Dropout(2 * dropout, name="dense.drop")(x) if dropout else x
    return assemble(inputs, answer(classes)(x), name)
