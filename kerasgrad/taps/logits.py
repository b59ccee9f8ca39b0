"""What Keras hangs on the output of a last activation: the logits that it was given, and the mask; both by private names."""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf

_LOGITS, _MASK = "_keras_logits", "_keras_mask"


def logits_of(tensor: Any) -> Any:
    """The logits from which a cross-entropy of this tensor is computed, None if there are none."""
    return getattr(tensor, _LOGITS, None)


def without_logits(outputs: Any) -> Any:
    """The same numbers, as a prediction has them: with their masks, and without logits."""
    return keras.tree.map_structure(lambda tensor: _masked(tf.identity(tensor), tensor), outputs)


def assumed(outputs: Any, activation: Literal["sigmoid", "softmax"]) -> Any:
    """What a cross-entropy takes the outputs for: the activation that belongs to it, of their logits if they have any."""
    function = tf.sigmoid if activation == "sigmoid" else tf.nn.softmax

    def of(tensor: Any) -> Any:
        return _masked(tf.identity(tensor) if logits_of(tensor) is None else function(logits_of(tensor)), tensor)

    return keras.tree.map_structure(of, outputs)


def _masked(tensor: Any, like: Any) -> Any:
    mask = getattr(like, _MASK, None)
    if mask is not None:
        setattr(tensor, _MASK, mask)
    return tensor
