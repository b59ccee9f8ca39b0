"""Plain deep nets: one kind of layer, many times, with and without what makes depth work."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from zoo.parts import NORMALIZATIONS, activate, answer, assemble, check, fresh, normalize


def plain(
    *,
    depth: int = 20,
    width: int | tuple[int, ...] = 64,
    activation: str = "relu",
    initializer: Any = "glorot_uniform",
    bias: float = 0.0,
    normalization: str | None = None,
    residual: bool = False,
    pre_activation: bool = False,
    input_shape: tuple[int, ...] = (64,),
    classes: int = 10,
    name: str = "plain",
) -> keras.Model:
    """A classifier of `depth` weight layers: `depth - 1` hidden `Dense` and one that gives the classes.

    Args:
        depth: number of `Dense` layers, the last included, from 2 to 1,000 and more.
        width: units of each hidden layer, or of one after the other, `depth - 1` of them.
        activation: any name that Keras knows, and `"prelu"`.
        initializer: of the hidden kernels: a name that Keras knows, `"normal"` (deviation 1), `"small_normal"` (0.01), or a
            Keras initializer.
        bias: what the hidden biases begin with.
        normalization: `"batch"`, `"layer"`, `"group"` or None, before each activation.
        residual: whether each hidden layer from the second on is added to its input.
        pre_activation: whether normalisation and activation come before each hidden `Dense` from the second on, and once
            more before the classes, so that nothing stands on the way of the shortcuts.
        input_shape: shape of one example; it is flattened.
        classes: number of classes; the model ends in their softmax.
        name: name of the model.

    Returns:
        The model; its layers are called `hidden01`, `hidden01_norm`, `hidden01_act`, `hidden01_sum` ... and `classes`.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Glorot & Bengio 2010; He et al. 2015, Delving deep into rectifiers; He et al. 2016, Identity mappings.
    """
    if depth < 2:
        raise ValueError(f"`depth` counts the Dense layers and starts at 2. Received: depth={depth}")
    check("normalization", normalization, (*NORMALIZATIONS, None))
    widths = width if isinstance(width, tuple | list) else (width,) * (depth - 1)
    if len(widths) != depth - 1:
        raise ValueError(f"There are depth - 1 hidden layers. Received: width={width}, depth={depth}")
    inputs = layers.Input(input_shape, name="input")
    x = layers.Flatten(name="flat")(inputs) if len(input_shape) > 1 else inputs
    digits = max(2, len(str(depth)))
    for number, units in enumerate(widths, 1):
        label = f"hidden{number:0{digits}d}"
        dense = {"name": label, "kernel_initializer": fresh(initializer), "bias_initializer": _constant(bias)}
        if pre_activation:
            before = x if number == 1 else activate(normalize(x, normalization, f"{label}_norm"), activation, f"{label}_act")
            y = layers.Dense(units, **dense)(before)
        elif normalization is None and activation != "prelu":
            y = layers.Dense(units, activation=activation, **dense)(x)
        else:
            y = normalize(layers.Dense(units, **dense)(x), normalization, f"{label}_norm")
            y = activate(y, activation, f"{label}_act")
        x = layers.Add(name=f"{label}_sum")([x, y]) if residual and number > 1 else y
    if pre_activation:
        x = activate(normalize(x, normalization, "last_norm"), activation, "last_act")
    outputs = answer(classes)(x)
    return assemble(inputs, outputs, name)


def _constant(bias: float) -> Any:
    return keras.initializers.Constant(bias) if bias else "zeros"
