"""Moments of many tensors at once: sum of squares, sum, extremes, zeros, non-finite entries.

The usual path reads each tensor in its own precision with the few reductions that run at memory speed. float32 squares
lose everything below 1e-19 and above 1e19, and a variance taken from moments loses what lies far below the mean: where
any tensor is in such a range, which is seen from the first results, a second path in float64 replaces them. A deep
sigmoid net, whose gradients pass 1e-19, is just what this package is for.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

COLUMNS = ("count", "square_sum", "sum", "max", "min", "zeros", "nonfinite")
"""What `moments` gives for each tensor; count is the number of entries that the mask lets through."""

SMALL = 1e-14
"""Largest entry below which squares may leave float32: those of entries 1e-5 times as large are denormal."""
LARGE = 1e17
"""Largest entry above which a sum of 1e4 squares may overflow float32."""
FLAT = 1e-3
"""Variance / mean square below which float32 moments do not give the deviation to 1e-5 of the RMS."""
FEW = 4096
"""Tensors of at most this many entries go through float64 at once; their time is all overhead."""


def moments(tensors: list[Any], masks: list[Any] | None = None) -> Any:
    """Moments of each tensor.

    Args:
        tensors: floating-point tensors of any shapes.
        masks: per tensor, a bool tensor of its leading axes, or None; masked entries count in nothing.

    Returns:
        float64 `[len(tensors), len(COLUMNS)]`.
    """
    masks = masks or [None] * len(tensors)
    if not tensors:
        return tf.zeros([0, len(COLUMNS)], tf.float64)
    wide = [_precise(t) for t in tensors]
    masked = [(t, None) if m is None else (t, spread(m, t)) for t, m in zip(wide, masks, strict=True)]
    quick = [_quick(t, m) for t, m in masked]
    chosen = [i for i, (t, _) in enumerate(masked) if t.dtype != tf.float64]
    if not chosen:
        return tf.stack(quick)
    subset = tf.stack([quick[i] for i in chosen])
    careful = tf.cond(
        tf.reduce_any(_doubtful(subset)),
        lambda: tf.stack([_quick(tf.cast(masked[i][0], tf.float64), masked[i][1]) for i in chosen]),
        lambda: subset,
    )
    place = {i: k for k, i in enumerate(chosen)}
    return tf.stack([careful[place[i]] if i in place else row for i, row in enumerate(quick)])


def square_sums(tensors: list[Any], masks: list[Any] | None = None) -> Any:
    """Sum of squares of each tensor, for norms of what needs no other moment.

    Args:
        tensors: floating-point tensors of any shapes.
        masks: as in `moments`.

    Returns:
        float64 `[len(tensors), 2]`: count and sum of squares.
    """
    if not tensors:
        return tf.zeros([0, 2], tf.float64)
    pairs = list(zip([_precise(t) for t in tensors], masks or [None] * len(tensors), strict=True))
    wide = [t if m is None else tf.where(spread(m, t), t, tf.zeros_like(t)) for t, m in pairs]
    counts = tf.stack([tf.cast(tf.size(t), tf.float64) if m is None else count_true(spread(m, t)) for t, m in pairs])
    quick = tf.stack([_square_sum(t) for t in wide])
    # Without the extremes at hand the sum itself is judged: small means that the entries may have been denormal.
    doubtful = ~tf.math.is_finite(quick) | (quick < SMALL**2 * counts)
    sums = tf.cond(
        tf.reduce_any(doubtful),
        lambda: tf.stack([_square_sum(tf.cast(t, tf.float64)) for t in wide]),
        lambda: quick,
    )
    return tf.stack([counts, sums], axis=1)


def _precise(tensor: Any) -> Any:
    """Half precision is too coarse to add up in; what is small is float64 from the start."""
    size = tensor.shape.num_elements()
    if size is not None and size <= FEW:
        return tf.cast(tensor, tf.float64)
    return widened(tensor)


def widened(tensor: Any) -> Any:
    """A tensor in float32 at least."""
    return tensor if tensor.dtype in (tf.float32, tf.float64) else tf.cast(tensor, tf.float32)


def spread(mask: Any, tensor: Any) -> Any:
    """A mask of the leading axes, for every entry of a tensor.

    Where only the run can tell whether the two have the same length, and they have not, nothing is masked: a mask that a
    layer handed on by mistake must not end a training.

    Args:
        mask: bool, of the leading axes of `tensor`, or 1 long.
        tensor: any tensor.

    Returns:
        bool, of the shape of `tensor`.
    """
    shape = tf.shape(tensor)
    mask = tf.cast(mask, tf.bool)
    for _ in range(tensor.shape.rank - mask.shape.rank):
        mask = mask[..., None]
    if all(m == 1 or (m is not None and m == t) for m, t in zip(mask.shape[1:], tensor.shape[1:], strict=True)):
        return tf.broadcast_to(mask, shape)
    lengths = tf.shape(mask)
    fits = tf.reduce_all(tf.equal(lengths, shape) | tf.equal(lengths, 1))
    return tf.cond(fits, lambda: tf.broadcast_to(mask, shape), lambda: tf.ones(shape, tf.bool))


def _square_sum(tensor: Any) -> Any:
    return 2.0 * tf.cast(tf.nn.l2_loss(tensor), tf.float64)


def count_true(flags: Any) -> Any:
    """How many entries are True, exactly: float32 counts to 2^24, so that each example is counted apart.

    Args:
        flags: bool tensor of any shape.

    Returns:
        float64 scalar.
    """
    ones = tf.cast(flags, tf.float32)
    if flags.shape.rank and flags.shape.rank > 1:
        ones = tf.reduce_sum(ones, axis=list(range(1, flags.shape.rank)))
    return tf.reduce_sum(tf.cast(ones, tf.float64))


def _quick(tensor: Any, mask: Any) -> Any:
    """The moments in the tensor's own precision, as float64 `[len(COLUMNS)]`."""
    double = tensor.dtype == tf.float64
    if mask is None:
        count = tf.cast(tf.size(tensor), tf.float64)
        zeros = count_true(tf.equal(tensor, 0))
    else:
        count = count_true(mask)
        zeros = count_true(mask & tf.equal(tensor, 0))
        tensor = tf.where(mask, tensor, tf.zeros_like(tensor))
    square_sum = _square_sum(tensor)
    # A finite sum of squares has only finite terms; only otherwise must they be looked at one by one.
    nonfinite = count - count if not double else _nonfinite(tensor)
    extremes = (tf.reduce_max(tensor), tf.reduce_min(tensor))
    moments = [count, square_sum, tf.reduce_sum(tensor), *extremes, zeros, nonfinite]
    return tf.stack([tf.cast(m, tf.float64) for m in moments])


def _nonfinite(tensor: Any) -> Any:
    return count_true(~tf.math.is_finite(tensor))


def _doubtful(rows: Any) -> Any:
    """bool `[tensors]`: where float32 was not enough."""
    count, square_sum, total, high, low = (rows[:, i] for i in range(5))
    largest = tf.maximum(tf.abs(high), tf.abs(low))
    mean_square = square_sum / tf.maximum(count, 1.0)
    variance = mean_square - tf.square(total / tf.maximum(count, 1.0))
    out_of_range = ((largest < SMALL) & (largest > 0)) | (largest > LARGE) | ~tf.math.is_finite(square_sum)
    flat = (variance < FLAT * mean_square) & (count > 1)
    return (out_of_range | flat) & (count > 0)
