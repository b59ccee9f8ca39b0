"""What mean-field theory says of a plain net before it is trained: how much each layer leaves of a gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

NODES = 256
"""Points of the Gauss-Hermite quadrature; a kink, as of a ReLU at 0, costs about 1/NODES."""

CHUNK = 2048
"""Deviations that are integrated over at once."""
Array = NDArray[np.float64]

_POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(NODES)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class Fed:
    """A layer and what it gets.

    Attributes:
        layer: the layer.
        given: its input, `[examples, ..., n_in]`.
        plain: whether that is what the layer before it gives, entry by entry, in whatever shape; of the first, the input.
    """

    layer: Any
    given: Array
    plain: bool


def predicted(stack: list[Fed]) -> Array:
    r"""The mean squared singular value of each layer's Jacobian, by theory.

    With h_l = phi(W_l h_(l-1) + b_l), weights independent of each other with second moment sigma_w^2 / n_in and biases
    with sigma_b^2, wide layers have normal pre-activations whose variance goes from layer to layer as

        q_1 = sigma_w^2 |x|^2 / n_in + sigma_b^2,    q_l = sigma_w^2 E[phi(sqrt(q_(l-1)) z)^2] + sigma_b^2,

    and chi_l = sigma_w^2 E[phi'(sqrt(q_l) z)^2]. The moments are those of the layers' weights as they are; the variance is
    that of each layer, not the fixed point that deep nets approach. Of a layer that is not fed by the one before it nothing
    is predicted, and the variances begin anew with what it gets. Positions of a sequence or an image go each their own way.

    Args:
        stack: Dense layers in their order.

    Returns:
        chi, float64 `[layers]`, averaged over examples and positions; NaN where `why_not` says why.

    References:
        Schoenholz et al. 2017, Deep information propagation, equations 3 and 5. Pennington et al. 2017, Resurrecting the
        sigmoid in deep learning through dynamical isometry, equation 10.
    """
    square, found = None, []
    for fed in stack:
        kernel = np.asarray(fed.layer.kernel, np.float64)
        positions = fed.given.size // (len(fed.given) * len(kernel))
        if square is None or not fed.plain or square.shape[1] % positions:
            square = np.square(fed.given.astype(np.float64))
        # Of the positions before a Flatten one is left.
        square = square.reshape(len(fed.given), positions, -1).mean(axis=2)
        of_weights = len(kernel) * np.square(kernel).mean()
        of_biases = np.square(np.asarray(fed.layer.bias, np.float64)).mean() if fed.layer.use_bias else 0.0
        if _not_of_units(fed.layer.activation):
            square, slope = None, np.array(np.nan)
        else:
            square, slope = _moments(fed.layer.activation, np.sqrt(of_weights * square + of_biases))
        found.append(of_weights * slope.mean() if fed.plain else np.nan)
    return np.array(found)


def why_not(fed: Fed) -> str:
    """Why the theory says nothing of a Dense layer; `""` if it does."""
    if reason := _not_of_units(fed.layer.activation):
        return reason
    return "" if fed.plain else "it is not fed what the layer before it gives, or the input, unchanged"


def _moments(function: Any, deviation: Array) -> tuple[Array, Array]:
    """E[phi^2] and E[phi'^2] over normal inputs, for each deviation."""
    flat, parts = deviation.reshape(-1), []
    for start in range(0, len(flat), CHUNK):
        points = tf.constant(flat[start : start + CHUNK, None] * _POINTS)
        with tf.GradientTape() as tape:
            tape.watch(points)
            values = tf.convert_to_tensor(function(points))
        slopes = tape.gradient(values, points, unconnected_gradients="zero")
        parts.append([np.square(values.numpy()) @ _WEIGHTS, np.square(slopes.numpy()) @ _WEIGHTS])
    square, slope = np.concatenate(parts, axis=1)
    return square.reshape(deviation.shape), slope.reshape(deviation.shape)


def _not_of_units(function: Any) -> str:
    """Why an activation is no function that all units share, each for itself; `""` if it is one."""
    if getattr(function, "weights", None):
        return "its activation has weights of its own"
    points = tf.constant(_POINTS[None])
    whole, half = (np.asarray(function(given)) for given in (points, points[:, ::2]))
    each = whole.shape == points.shape and np.allclose(whole[:, ::2], half)
    return "" if each else "its activation acts on several units at once"
