"""Histograms of gradients with fixed, log-spaced bins, so that any two can be compared and added."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

LOWEST, HIGHEST, PER_DECADE = -16, 4, 2

EDGES = np.concatenate([[0.0], 10.0 ** np.arange(LOWEST, HIGHEST + 1 / PER_DECADE, 1 / PER_DECADE), [np.inf]])
"""Edges of |g|. The first bin holds what is below 1e-16, exact zeros included; the last what is above 1e4."""

BINS = len(EDGES) - 1


def counts(gradients: list[Any], sizes: list[int], owners: list[int], layers: int) -> Any:
    """How many entries of each layer's gradients fall into each bin.

    Args:
        gradients: tensors, or None.
        sizes: number of entries of each variable; what a sparse gradient leaves out of them is zero.
        owners: the layer row of each, -1 for none.
        layers: number of layer rows.

    Returns:
        float64 `[layers, BINS]`; NaN entries count nowhere.
    """
    rows = [tf.zeros([BINS], tf.float64) for _ in range(layers)]
    for gradient, size, owner in zip(gradients, sizes, owners, strict=True):
        if gradient is not None and owner >= 0:
            left_out = tf.cast(size - tf.size(gradient), tf.float64)
            rows[owner] += _of_one(gradient) + tf.concat([left_out[None], tf.zeros([BINS - 1], tf.float64)], 0)
    return tf.stack(rows) if rows else tf.zeros([0, BINS], tf.float64)


def _of_one(gradient: Any) -> Any:
    flat = tf.abs(tf.cast(tf.reshape(gradient, [-1]), tf.float64))
    bins = tf.searchsorted(tf.constant(EDGES[1:-1]), flat, side="right")
    # The logarithm of NaN has no bin; a segment id of -1 drops it.
    bins = tf.where(tf.math.is_nan(flat), -1, bins)
    return tf.math.unsorted_segment_sum(tf.ones_like(flat), bins, BINS)
