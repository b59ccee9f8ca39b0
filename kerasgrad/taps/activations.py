"""Which activation a layer applies, however it was spelled, and whether units can die or saturate in it."""

from __future__ import annotations

from typing import Any

import keras

from kerasgrad.observation import Activation

# Exactly zero over a whole range of inputs: a unit that stays there gets no gradient at all.
_CAN_BE_ZERO = {
    "relu", "relu6", "threshold", "hard_shrink", "soft_shrink", "sparse_plus", "hard_silu", "hard_swish",
}  # fmt: skip
# Never exactly flat, or only in the limit: nobody dies in them, but units fall dormant.
_SMOOTH = {"leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish", "softplus", "rrelu"}
_SATURATES = {"tanh": "tanh", "hard_tanh": "tanh", "sigmoid": "sigmoid", "hard_sigmoid": "sigmoid"}

_NEVER_NEGATIVE = (
    keras.activations.relu, keras.activations.relu6, keras.activations.sigmoid, keras.activations.hard_sigmoid,
    keras.activations.softmax, keras.activations.softplus, keras.activations.exponential,
)  # fmt: skip

_BY_LAYER = {
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "ELU": "elu",
    "Softmax": "softmax",
    "ThresholdedReLU": "threshold",
}


def activation_of(layer: keras.Layer, has_sublayers: bool = False) -> Activation:
    """The activation that shapes a layer's output.

    Args:
        layer: any layer.
        has_sublayers: whether other watched layers were called inside it; its output is then theirs to explain.

    Returns:
        What is applied; `name="linear"` where nothing is, `"unknown"` for a function that has no known name.
    """
    if isinstance(layer, keras.layers.TimeDistributed):
        return activation_of(layer.layer)
    if type(layer).__name__ in _BY_LAYER:
        return _by_name(_BY_LAYER[type(layer).__name__], _is_nonnegative(layer))
    if isinstance(layer, keras.layers.RNN) and not isinstance(layer, keras.layers.SimpleRNN):
        return Activation("recurrent")  # h = o * tanh(c) and the like: gates live inside the loop
    function = getattr(layer, "activation", None)
    if has_sublayers or function is None:
        return Activation("linear" if _is_of_keras(layer) else "unknown")
    return _by_name(_function_name(function), _is_nonnegative(layer))


def _is_of_keras(layer: keras.Layer) -> bool:
    return type(layer).__module__.startswith("keras.")


def _is_nonnegative(layer: keras.Layer) -> bool:
    """Whether it is certain that no output is below zero: a layer of somebody else's may do more than its name says."""
    if not _is_of_keras(layer):
        return False
    if isinstance(layer, keras.layers.ReLU):
        return not layer.negative_slope
    function = getattr(layer, "activation", None)
    return isinstance(layer, keras.layers.Softmax) or any(function is known for known in _NEVER_NEGATIVE)


def _function_name(function: Any) -> str:
    if type(function).__name__ in _BY_LAYER:
        return _BY_LAYER[type(function).__name__]
    name = getattr(function, "__name__", None) or getattr(getattr(function, "func", None), "__name__", "")
    return str(name).lower()


def _by_name(name: str, nonnegative: bool) -> Activation:
    saturates = _SATURATES.get(name, "")
    if name in _CAN_BE_ZERO or name in _SMOOTH:
        return Activation(name, watched=True, nonnegative=nonnegative)
    if saturates or name in {"linear", "softmax", "log_softmax", "softsign", "exponential", "log_sigmoid"}:
        return Activation(name, saturates=saturates, nonnegative=nonnegative)
    return Activation("unknown")
