"""Two families of numbers to take of a tensor: all moments, or the sum of squares alone; each quickly, and carefully."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kerasgrad.catalogue.moments import GRADIENT, SIGNAL
from kerasgrad.catalogue.statistic import Moment
from kerasgrad.statistics.readings import Reading, count_true, counted

SMALL = 1e-14
"""Largest entry below which squares may leave float32: those of entries 1e-5 times as large are denormal."""
LARGE = 1e17
"""Largest entry above which a sum of 1e4 squares may overflow float32."""
FLAT = 1e-3
"""Variance / mean square below which float32 moments do not give the deviation to 1e-5 of the RMS."""
EXACT = 2**21
"""How far a count survives float32, in whatever order it is added up and with a root taken on the way."""

Named = dict[str, Any]
"""Numbers by the name of their moment, one tensor each."""


@dataclass(frozen=True)
class Kind:
    """A family of numbers to take of tensors.

    Attributes:
        names: of the numbers, in the order of their columns.
        largest: those of them that are a largest magnitude; all others add up.
        quick: of one float32 tensor, scalars at memory speed: those of float64 and those of float32.
        finish: from the scalars of several tensors, `[k]` each and in float64, the numbers of each.
        careful: of a float64 matrix `[k, n]` and its mask or None, the numbers of each row.
        examples: of a float32 matrix `[examples, n]`, the numbers of each row, to be merged.
        doubtful: of numbers, which tensors' are not to be trusted in float32.
    """

    names: tuple[str, ...]
    largest: frozenset[str]
    quick: Callable[[Reading], tuple[Named, Named]]
    finish: Callable[[Named], Named]
    careful: Callable[[Any, Any], Named]
    examples: Callable[[Any], Named]
    doubtful: Callable[[Named], Any]

    def table(self, numbers: Named) -> Any:
        """The numbers as a matrix `[k, names]`."""
        return tf.stack([numbers[name] for name in self.names], axis=1)

    def named(self, table: Any) -> Named:
        """The inverse of `table`."""
        return dict(zip(self.names, tf.unstack(table, num=len(self.names), axis=1), strict=True))


def _quick_moments(reading: Reading) -> tuple[Named, Named]:
    tensor = reading.tensor
    total = tf.reduce_sum(tensor) if reading.total is None else tf.cast(reading.total, tf.float32)
    if reading.magnitude is None:
        high, low = tf.reduce_max(tensor), tf.reduce_min(tensor)
    else:
        high = low = tf.reduce_max(reading.magnitude)
    half = tf.nn.l2_loss(tensor)
    return {"count": reading.count(), "nonzero": _nonzero(tensor)}, {"half": half, "sum": total, "high": high, "low": low}


def _finished_moments(scalars: Named) -> Named:
    return {
        "count": scalars["count"],
        "zeros": scalars["count"] - scalars["nonzero"],
        # If any entry is not finite, the sum of squares tells; they are counted in float64.
        "nonfinite": tf.zeros_like(scalars["count"]),
        "square_sum": 2 * scalars["half"],
        "sum": scalars["sum"],
        "largest": tf.maximum(tf.abs(scalars["high"]), tf.abs(scalars["low"])),
    }


def _moments_of_examples(matrix: Any) -> Named:
    width = float(matrix.shape[1])
    sums = [tf.reduce_sum(m, axis=1) for m in (tf.square(tf.sign(matrix)), tf.square(matrix), matrix)]
    nonzero, squares, total = (tf.cast(s, tf.float64) for s in sums)
    largest = tf.cast(tf.maximum(tf.reduce_max(matrix, axis=1), -tf.reduce_min(matrix, axis=1)), tf.float64)
    count = tf.fill(tf.shape(total), tf.constant(width, tf.float64))
    return {
        "count": count,
        "zeros": width - nonzero,
        "nonfinite": tf.zeros_like(count),
        "square_sum": squares,
        "sum": total,
        "largest": largest,
    }


def _quick_square_sum(reading: Reading) -> tuple[Named, Named]:
    return {"count": reading.count()}, {"half": tf.nn.l2_loss(reading.tensor)}


def _finished_square_sum(scalars: Named) -> Named:
    return {"count": scalars["count"], "square_sum": 2 * scalars["half"]}


def _square_sums_of_examples(matrix: Any) -> Named:
    squares = tf.cast(tf.reduce_sum(tf.square(matrix), axis=1), tf.float64)
    return {"count": tf.fill(tf.shape(squares), tf.constant(float(matrix.shape[1]), tf.float64)), "square_sum": squares}


def _nonzero(tensor: Any) -> Any:
    """How many entries are not zero, exactly, float64: the squared length of the signs, which runs at memory speed."""
    size, signs = tensor.shape.num_elements(), tf.sign(tensor)
    if size is not None and size <= EXACT:
        return tf.cast(2 * tf.nn.l2_loss(signs), tf.float64)
    example = tensor.shape[1:].num_elements()
    if example is not None and example <= EXACT and tensor.shape.rank > 1:
        lengths = tf.math.reduce_euclidean_norm(signs, axis=list(range(1, tensor.shape.rank)))
        return tf.reduce_sum(tf.round(tf.square(tf.cast(lengths, tf.float64))))
    return count_true(tf.not_equal(tensor, 0))


def _moments(matrix: Any, mask: Any) -> Named:
    """The moments of each row of a float64 matrix."""
    zero = tf.equal(matrix, 0) if mask is None else mask & tf.equal(matrix, 0)
    flags = {
        "count": counted(matrix, mask),
        "zeros": tf.cast(zero, tf.float64),
        "nonfinite": tf.cast(~tf.math.is_finite(matrix), tf.float64),
        "square_sum": tf.square(matrix),
        "sum": matrix,
    }
    sums = {name: tf.reduce_sum(flag, axis=1) for name, flag in flags.items()}
    return sums | {"largest": tf.reduce_max(tf.abs(matrix), axis=1)}


def _square_sum(matrix: Any, mask: Any) -> Named:
    """Count and sum of squares of each row of a float64 matrix."""
    count = tf.reduce_sum(counted(matrix, mask), axis=1)
    return {"count": count, "square_sum": tf.reduce_sum(tf.square(matrix), axis=1)}


def _doubtful(rows: Named) -> Any:
    """bool `[tensors]`: where float32 was not enough for the moments."""
    count, largest, square_sum = rows["count"], rows["largest"], rows["square_sum"]
    mean_square = square_sum / tf.maximum(count, 1.0)
    variance = mean_square - tf.square(rows["sum"] / tf.maximum(count, 1.0))
    out_of_range = ((largest < SMALL) & (largest > 0)) | (largest > LARGE) | ~tf.math.is_finite(square_sum)
    flat = (variance < FLAT * mean_square) & (count > 1)
    return (out_of_range | flat) & (count > 0)


def _doubtful_square_sum(rows: Named) -> Any:
    """bool `[tensors]`: the sum itself is judged; a small one means that the entries may have been denormal."""
    return ~tf.math.is_finite(rows["square_sum"]) | (rows["square_sum"] < SMALL**2 * rows["count"])


def _named(moments: Iterable[Moment]) -> tuple[tuple[str, ...], frozenset[str]]:
    moments = tuple(moments)
    return tuple(m.name for m in moments), frozenset(m.name for m in moments if m.merge == "max")


MOMENTS = Kind(*_named(GRADIENT), _quick_moments, _finished_moments, _moments, _moments_of_examples, _doubtful)
SQUARE_SUMS = Kind(
    *_named(SIGNAL), _quick_square_sum, _finished_square_sum, _square_sum, _square_sums_of_examples, _doubtful_square_sum
)
