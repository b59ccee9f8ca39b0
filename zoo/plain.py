"""Plain deep nets: one kind of layer, many times, with and without what makes depth work."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

_NORMALIZATIONS = {
    "batch": layers.BatchNormalization,
    "layer": layers.LayerNormalization,
    "group": lambda name: layers.GroupNormalization(groups=8, name=name),
}


def plain(
    *,
    depth: int = 20,
    width: int = 64,
    activation: str = "relu",
    initializer: Any = "glorot_uniform",
    normalization: str | None = None,
    residual: bool = False,
    input_shape: tuple[int, ...] = (64,),
    classes: int = 10,
    name: str = "plain",
) -> keras.Model:
    """A classifier of `depth` weight layers: `depth - 1` hidden `Dense` and one that gives the classes.

    Args:
        depth: number of `Dense` layers, the last included, from 2.
        width: units of each hidden layer.
        activation: any name that Keras knows, and `"leaky_relu"`, `"prelu"`.
        initializer: of the hidden kernels: a name such as `"he_normal"`, or a Keras initializer.
        normalization: `"batch"`, `"layer"`, `"group"` or None, before each activation.
        residual: whether each hidden layer from the second on is added to its input.
        input_shape: shape of one example; it is flattened.
        classes: number of classes; the model ends in their softmax.
        name: name of the model.

    Returns:
        The model; its layers are called `hidden01`, `hidden01_norm`, `hidden01_sum` ... and `classes`.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Glorot & Bengio 2010; He et al. 2015, Delving deep into rectifiers; He et al. 2016, Identity mappings.
    """
    if depth < 2:
        raise ValueError(f"`depth` counts the Dense layers and starts at 2. Received: depth={depth}")
    if normalization not in (None, *_NORMALIZATIONS):
        raise ValueError(
            f"`normalization` is one of {list(_NORMALIZATIONS)} or None. Received: normalization={normalization!r}"
        )
    inputs = layers.Input(input_shape, name="input")
    x = layers.Flatten(name="flat")(inputs) if len(input_shape) > 1 else inputs
    digits = max(2, len(str(depth)))
    for number in range(1, depth):
        label = f"hidden{number:0{digits}d}"
        x = _hidden(x, label, width, activation, initializer, normalization, residual and number > 1)
    outputs = layers.Dense(classes, activation="softmax", name="classes")(x)
    return keras.Model(inputs, outputs, name=name)


def _hidden(
    x: Any, label: str, width: int, activation: str, initializer: Any, normalization: str | None, residual: bool
) -> Any:
    """One hidden layer: with a shortcut the sum is taken around the whole of it."""
    at_once = normalization is None and activation != "prelu"
    given = {"name": label, "kernel_initializer": _initializer(initializer)}
    y = layers.Dense(width, activation=activation, **given)(x) if at_once else layers.Dense(width, **given)(x)
    if normalization is not None:
        y = _NORMALIZATIONS[normalization](name=f"{label}_norm")(y)
    if not at_once:
        y = (
            layers.PReLU(name=f"{label}_act")(y)
            if activation == "prelu"
            else layers.Activation(activation, name=f"{label}_act")(y)
        )
    return layers.Add(name=f"{label}_sum")([x, y]) if residual else y


def _initializer(initializer: Any) -> Any:
    """A fresh one for each layer: an instance gives every layer of the same shape the same weights."""
    if isinstance(initializer, keras.initializers.Initializer):
        return initializer.clone()
    return keras.initializers.get(initializer)
