"""What mean-field theory says of a plain net before it is trained: how much each layer leaves of a gradient."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

NODES = 256
"""Points of the Gauss-Hermite quadrature; a kink, as of a ReLU at 0, costs about 1/NODES."""

_POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(NODES)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def predicted(stack: list[Any], inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""The mean squared singular value of each layer's Jacobian, by theory.

    With h_l = phi(W_l h_(l-1) + b_l), weights independent of each other with second moment sigma_w^2 / n_in and biases
    with sigma_b^2, wide layers have normal pre-activations whose variance goes from layer to layer as

        q_1 = sigma_w^2 |x|^2 / n_in + sigma_b^2,    q_l = sigma_w^2 E[phi(sqrt(q_(l-1)) z)^2] + sigma_b^2,

    and chi_l = sigma_w^2 E[phi'(sqrt(q_l) z)^2]. The moments are those of the layers' weights as they are; the variance is
    that of each layer, not the fixed point that deep nets approach.

    Args:
        stack: Dense layers, each fed by the one before.
        inputs: what the first one gets, `[examples, n_in]`.

    Returns:
        chi, float64 `[layers]`, averaged over the examples; NaN where the activation mixes units, as softmax does.

    References:
        Schoenholz et al. 2017, Deep information propagation, equations 3 and 5. Pennington et al. 2017, Resurrecting the
        sigmoid in deep learning through dynamical isometry, equation 10.
    """
    square = np.square(inputs).mean(axis=1)
    found = []
    for layer in stack:
        kernel = np.asarray(layer.kernel, np.float64)
        of_weights = kernel.shape[0] * np.square(kernel).mean()
        of_biases = np.square(np.asarray(layer.bias, np.float64)).mean() if layer.use_bias else 0.0
        variance = of_weights * square + of_biases
        square, slope = _moments(layer.activation, np.sqrt(variance))
        found.append(of_weights * slope.mean())
    return np.where([_mixes(layer) for layer in stack], np.nan, found)


def _moments(function: Any, deviation: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """E[phi^2] and E[phi'^2] over normal inputs, for each deviation."""
    points = tf.constant(deviation[:, None] * _POINTS)
    with tf.GradientTape() as tape:
        tape.watch(points)
        values = function(points)
    slopes = tape.gradient(values, points)
    return np.square(values.numpy()) @ _WEIGHTS, np.square(slopes.numpy()) @ _WEIGHTS


def why_not(layers: list[keras.Layer]) -> str:
    """Why the theory says nothing of these layers; `""` if it does."""
    if not layers or not all(type(layer) is keras.layers.Dense for layer in layers):
        return "mean-field theory is applied to plain stacks of Dense layers only"
    mixed = [layer.name for layer in layers[:-1] if _mixes(layer)]
    return f"the activation of {mixed[0]} acts on several units at once" if mixed else ""


def _mixes(layer: Any) -> bool:
    return getattr(layer.activation, "__name__", "") in ("softmax", "log_softmax")
