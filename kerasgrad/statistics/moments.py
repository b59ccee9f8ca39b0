"""Moments of many tensors at once: sum of squares, sum, extremes, zeros, non-finite entries.

The usual path reads each tensor in its own precision with the few reductions that run at memory speed. float32 squares
lose everything below 1e-19 and above 1e19, and a variance taken from moments loses what lies far below the mean: where
any tensor of a group is in such a range, which is seen from the first results, a second path in float64 replaces those
of the group. A deep sigmoid net, whose gradients pass 1e-19, is just what this package is for.

XLA would compile both paths, and one kernel for each number of each tensor: there all is taken in float64 at once, and
tensors of one size are joined, since compiling costs more than copying.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kerasgrad.statistics.joined import Joined, by_width
from kerasgrad.statistics.readings import Reading, count_true, counted

COLUMNS = ("count", "zeros", "nonfinite", "square_sum", "sum", "largest")
"""What `moments` gives for each tensor; largest is the largest magnitude, and masked entries count in nothing."""

SMALL = 1e-14
"""Largest entry below which squares may leave float32: those of entries 1e-5 times as large are denormal."""
LARGE = 1e17
"""Largest entry above which a sum of 1e4 squares may overflow float32."""
FLAT = 1e-3
"""Variance / mean square below which float32 moments do not give the deviation to 1e-5 of the RMS."""
GROUP = 8
"""Larger tensors that share one decision for float64. All of them are kept in memory until it is taken."""
EXACT = 2**21
"""How far a count survives float32, in whatever order it is added up and with a root taken on the way."""
JOINED = 2**19
"""Entries up to which tensors of one size are joined in float64: what the copy may take of memory."""


@dataclass(frozen=True)
class Kind:
    """A family of numbers to take of tensors.

    Attributes:
        columns: how many numbers there are.
        quick: of one float32 tensor, scalars at memory speed: two lists, of float64 and of float32.
        finish: of a table `[k, scalars]` of those, both lists together and in float64, the numbers `[k, columns]`.
        careful: of a float64 matrix `[k, n]` and its mask or None, the numbers of each row.
        examples: of a float32 matrix `[examples, n]`, numbers of each row that add up, as those of `careful` do, but for the
            last column if `last_is_largest`.
        doubtful: of numbers `[k, columns]`, which are not to be trusted in float32.
    """

    columns: int
    quick: Callable[[Reading], tuple[list[Any], list[Any]]]
    finish: Callable[[Any], Any]
    careful: Callable[[Any, Any], Any]
    examples: Callable[[Any], Any]
    doubtful: Callable[[Any], Any]
    last_is_largest: bool = False


def moments(readings: list[Reading], compiled: bool = False) -> Any:
    """Moments of each tensor.

    Args:
        readings: tensors of any shapes.
        compiled: whether XLA compiles the step.

    Returns:
        float64 `[len(readings), len(COLUMNS)]`.
    """
    return _rows(readings, _MOMENTS, compiled)


def square_sums(readings: list[Reading], compiled: bool = False) -> Any:
    """Sum of squares of each tensor, for norms of what needs no other moment.

    Args:
        readings: tensors of any shapes.
        compiled: whether XLA compiles the step.

    Returns:
        float64 `[len(readings), 2]`: count and sum of squares.
    """
    return _rows(readings, _SQUARE_SUMS, compiled)


def _rows(readings: list[Reading], kind: Kind, compiled: bool) -> Any:
    """One row of numbers for each tensor: the small and the narrow ones together, the others a few at a time."""
    if not readings:
        return tf.zeros([0, kind.columns], tf.float64)
    shapes = [reading.tensor.shape for reading in readings]
    small = {i: int(shapes[i].num_elements()) for i, reading in enumerate(readings) if reading.is_small(compiled)}
    narrow = {i: int(shapes[i][1:].num_elements()) for i, reading in enumerate(readings) if reading.is_narrow()}
    large = [i for i in range(len(readings)) if i not in small and i not in narrow]
    rows, places = [], []
    for same in _few(small):
        matrix = tf.stack([tf.reshape(tf.cast(readings[i].tensor, tf.float64), [-1]) for i in same])
        rows.append(kind.careful(matrix, None))
        places += same
    for same in by_width(narrow):
        rows.append(_joined([readings[i] for i in same], kind, compiled))
        places += same
    for start in range(0, len(large), GROUP):
        group = large[start : start + GROUP]
        rows.append(_one_by_one([readings[i] for i in group], kind, compiled))
        places += group
    return tf.gather(tf.concat(rows, axis=0), sorted(range(len(places)), key=places.__getitem__))


def _few(sizes: dict[int, int]) -> list[list[int]]:
    """Tensors of one size together, but no more than `JOINED` allows."""
    few = []
    for same in by_width(sizes):
        most = max(1, JOINED // sizes[same[0]])
        few += [same[start : start + most] for start in range(0, len(same), most)]
    return few


def _joined(group: list[Reading], kind: Kind, compiled: bool) -> Any:
    """Rows of batches whose examples are small and of one size."""
    width = int(group[0].tensor.shape[1:].num_elements())
    joined = Joined.of([tf.reshape(r.tensor, [-1, width]) for r in group])
    each = kind.careful(tf.cast(joined.rows, tf.float64), None) if compiled else kind.examples(joined.rows)
    first = joined.sum(each)
    if kind.last_is_largest:
        first = tf.concat([first[:, :-1], joined.max(each[:, -1:])], axis=1)
    return first if compiled else _checked(group, kind, first)


def _one_by_one(group: list[Reading], kind: Kind, compiled: bool) -> Any:
    """Rows of large tensors."""
    if compiled or any(reading.tensor.dtype != tf.float32 for reading in group):
        return _in_double(group, kind)
    wide, single = zip(*[kind.quick(reading) for reading in group], strict=True)
    first = tf.concat([_table(wide), tf.cast(_table(single), tf.float64)], axis=1)
    return _checked(group, kind, kind.finish(first))


def _table(scalars: Any) -> Any:
    return tf.reshape(tf.stack([s for row in scalars for s in row]), [len(scalars), -1])


def _in_double(group: list[Reading], kind: Kind) -> Any:
    rows = []
    for reading in group:
        matrix = tf.reshape(tf.cast(reading.tensor, tf.float64), [1, -1])
        rows.append(kind.careful(matrix, None if reading.mask is None else tf.reshape(reading.mask, [1, -1])))
    return tf.concat(rows, axis=0)


def _checked(group: list[Reading], kind: Kind, first: Any) -> Any:
    """The first numbers of a group or, if any of them are doubtful, those taken in float64.

    `tf.cond` would be taken apart into a switch for each tensor and would send a dead signal through all that is not
    done; a conditional that stays one operation costs some microseconds where there is no doubt.
    """
    doubt = tf.reduce_any(kind.doubtful(first))
    if tf.executing_eagerly():
        return _in_double(group, kind) if doubt else first

    def then(first: Any, *given: Any) -> Any:
        masks = iter(given[len(group) :])
        readings = [Reading(t, None if r.mask is None else next(masks)) for t, r in zip(given, group, strict=False)]
        return _in_double(readings, kind)

    def otherwise(first: Any, *given: Any) -> Any:
        return tf.identity(first)

    given = [first, *(r.tensor for r in group), *(r.mask for r in group if r.mask is not None)]
    specs = [tf.TensorSpec(t.shape, t.dtype) for t in given]
    branches = [tf.function(branch, autograph=False).get_concrete_function(*specs) for branch in (then, otherwise)]
    chosen = tf.raw_ops.StatelessIf(
        cond=doubt, input=given, Tout=[tf.float64], then_branch=branches[0], else_branch=branches[1]
    )[0]
    return tf.ensure_shape(chosen, first.shape)


def _quick_moments(reading: Reading) -> tuple[list[Any], list[Any]]:
    tensor = reading.tensor
    total = tf.reduce_sum(tensor) if reading.total is None else tf.cast(reading.total, tf.float32)
    if reading.magnitude is None:
        extremes = [tf.reduce_max(tensor), tf.reduce_min(tensor)]
    else:
        extremes = [tf.reduce_max(reading.magnitude)] * 2
    return [reading.count(), _nonzero(tensor)], [tf.nn.l2_loss(tensor), total, *extremes]


def _finished_moments(table: Any) -> Any:
    count, nonzero, half, total, high, low = tf.unstack(table, axis=1)
    # If any entry is not finite, the sum of squares tells; they are counted in float64.
    nonfinite, largest = tf.zeros_like(count), tf.maximum(tf.abs(high), tf.abs(low))
    return tf.stack([count, count - nonzero, nonfinite, 2 * half, total, largest], axis=1)


def _moments_of_examples(matrix: Any) -> Any:
    width = float(matrix.shape[1])
    sums = [tf.reduce_sum(m, axis=1) for m in (tf.square(tf.sign(matrix)), tf.square(matrix), matrix)]
    nonzero, squares, total = (tf.cast(s, tf.float64) for s in sums)
    largest = tf.cast(tf.maximum(tf.reduce_max(matrix, axis=1), -tf.reduce_min(matrix, axis=1)), tf.float64)
    count = tf.fill(tf.shape(total), tf.constant(width, tf.float64))
    return tf.stack([count, width - nonzero, tf.zeros_like(count), squares, total, largest], axis=1)


def _quick_square_sum(reading: Reading) -> tuple[list[Any], list[Any]]:
    return [reading.count()], [tf.nn.l2_loss(reading.tensor)]


def _finished_square_sum(table: Any) -> Any:
    return table * [1.0, 2.0]


def _square_sums_of_examples(matrix: Any) -> Any:
    squares = tf.cast(tf.reduce_sum(tf.square(matrix), axis=1), tf.float64)
    return tf.stack([tf.fill(tf.shape(squares), tf.constant(float(matrix.shape[1]), tf.float64)), squares], axis=1)


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


def _moments(matrix: Any, mask: Any) -> Any:
    """The moments of each row of a float64 matrix."""
    zero = tf.equal(matrix, 0) if mask is None else mask & tf.equal(matrix, 0)
    flags = [
        counted(matrix, mask),
        tf.cast(zero, tf.float64),
        tf.cast(~tf.math.is_finite(matrix), tf.float64),
        tf.square(matrix),
        matrix,
    ]
    sums = [tf.reduce_sum(f, axis=1) for f in flags]
    return tf.stack([*sums, tf.reduce_max(tf.abs(matrix), axis=1)], axis=1)


def _square_sum(matrix: Any, mask: Any) -> Any:
    """Count and sum of squares of each row of a float64 matrix."""
    return tf.stack([tf.reduce_sum(counted(matrix, mask), axis=1), tf.reduce_sum(tf.square(matrix), axis=1)], axis=1)


def _doubtful(rows: Any) -> Any:
    """bool `[tensors]`: where float32 was not enough for the moments."""
    count, _, _, square_sum, total, largest = tf.unstack(rows, axis=1)
    mean_square = square_sum / tf.maximum(count, 1.0)
    variance = mean_square - tf.square(total / tf.maximum(count, 1.0))
    out_of_range = ((largest < SMALL) & (largest > 0)) | (largest > LARGE) | ~tf.math.is_finite(square_sum)
    flat = (variance < FLAT * mean_square) & (count > 1)
    return (out_of_range | flat) & (count > 0)


def _doubtful_square_sum(rows: Any) -> Any:
    """bool `[tensors]`: the sum itself is judged; a small one means that the entries may have been denormal."""
    count, square_sum = rows[:, 0], rows[:, 1]
    return ~tf.math.is_finite(square_sum) | (square_sum < SMALL**2 * count)


_MOMENTS = Kind(
    len(COLUMNS), _quick_moments, _finished_moments, _moments, _moments_of_examples, _doubtful, last_is_largest=True
)
_SQUARE_SUMS = Kind(2, _quick_square_sum, _finished_square_sum, _square_sum, _square_sums_of_examples, _doubtful_square_sum)
