"""U-Net: down to a bottleneck and up again, with and without the connections across."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from zoo.parts import NORMALIZATIONS, answer, assemble, check, normalize


def unet(
    *,
    depth: int = 3,
    width: int = 8,
    skips: bool = True,
    normalization: str | None = "batch",
    input_shape: tuple[int, ...] = (32, 32, 1),
    classes: int = 2,
    name: str = "unet",
) -> keras.Model:
    """A net that gives a class to each pixel.

    Args:
        depth: how often the image is halved; height and width are multiples of `2 ** depth`.
        width: channels at full size; they double each time the image is halved.
        skips: whether each level on the way up reads what its level on the way down gave.
        normalization: `"batch"`, `"layer"`, `"group"` or None, before each activation.
        input_shape: height, width, channels.
        classes: number of classes; the model ends in their softmax, at each pixel.
        name: name of the model.

    Returns:
        The model; its layers are called `down1.conv1`, `bottom.conv1`, `up1.conv1`, `up1.all` ... and `classes`.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Ronneberger et al. 2015, U-Net; with padded convolutions, so that the answer has the size of the image.
    """
    check("normalization", normalization, (*NORMALIZATIONS, None))
    if depth < 1 or any(side is None or side % 2**depth for side in input_shape[:2]):
        raise ValueError(
            "The image's sides must be known, and multiples of 2 ** depth, which starts at 1. Received: "
            f"depth={depth}, input_shape={input_shape}"
        )

    def two_convolutions(x: Any, channels: int, level: str) -> Any:
        for number in (1, 2):
            x = layers.Conv2D(
                channels, 3, padding="same", use_bias=normalization is None, kernel_initializer="he_normal",
                name=f"{level}.conv{number}",
            )(x)  # fmt: skip
            x = layers.ReLU(name=f"{level}.relu{number}")(normalize(x, normalization, f"{level}.norm{number}"))
        return x

    x = inputs = layers.Input(input_shape, name="input")
    across = []
    for level in range(1, depth + 1):
        x = two_convolutions(x, width * 2 ** (level - 1), f"down{level}")
        across.append(x)
        x = layers.MaxPooling2D(2, name=f"down{level}.pool")(x)
    x = two_convolutions(x, width * 2**depth, "bottom")
    for level in range(depth, 0, -1):
        channels = width * 2 ** (level - 1)
        x = layers.Conv2DTranspose(channels, 2, 2, kernel_initializer="he_normal", name=f"up{level}.grow")(x)
        x = layers.Concatenate(name=f"up{level}.all")([across[level - 1], x]) if skips else x
        x = two_convolutions(x, channels, f"up{level}")
    return assemble(inputs, answer(classes)(x), name)
