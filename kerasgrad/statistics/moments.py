"""Moments of many tensors at once: sum of squares, sum, extremes, zeros, non-finite entries.

The usual path reads each tensor in its own precision with the few reductions that run at memory speed. float32 squares
lose everything below 1e-19 and above 1e19, and a variance taken from moments loses what lies far below the mean: where
any tensor of a group is in such a range, which is seen from the first results, a second path in float64 replaces those
of the group. A deep sigmoid net, whose gradients pass 1e-19, is just what this package is for.

XLA would compile both paths, and one kernel for each number of each tensor: there all is taken in float64 at once, and
tensors of one size are joined, since compiling costs more than copying.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import tensorflow as tf

from kerasgrad.statistics.columns import Columns
from kerasgrad.statistics.joined import Joined, by_width
from kerasgrad.statistics.kinds import MOMENTS, SQUARE_SUMS, Kind, Named
from kerasgrad.statistics.readings import Reading

GROUP = 8
"""Larger tensors that share one decision for float64. All of them are kept in memory until it is taken."""
JOINED = 2**19
"""Entries up to which tensors of one size are joined in float64: what the copy may take of memory."""


def moments(readings: list[Reading], compiled: bool = False) -> Columns:
    """Moments of each tensor: `count`, `zeros`, `nonfinite`, `square_sum`, `sum` and `largest`, the largest magnitude.

    Args:
        readings: tensors of any shapes; masked entries count in nothing.
        compiled: whether XLA compiles the step.

    Returns:
        float64 `[len(readings)]` each.
    """
    return _rows(readings, MOMENTS, compiled)


def square_sums(readings: list[Reading], compiled: bool = False) -> Columns:
    """Sum of squares of each tensor, for norms of what needs no other moment.

    Args:
        readings: tensors of any shapes.
        compiled: whether XLA compiles the step.

    Returns:
        `count` and `square_sum`, float64 `[len(readings)]` each.
    """
    return _rows(readings, SQUARE_SUMS, compiled)


def _rows(readings: list[Reading], kind: Kind, compiled: bool) -> Columns:
    """One row of numbers for each tensor: the small and the narrow ones together, the others a few at a time."""
    if not readings:
        return Columns(kind.names, tf.zeros([0, len(kind.names)], tf.float64))
    shapes = [reading.tensor.shape for reading in readings]
    small = {i: int(shapes[i].num_elements()) for i, reading in enumerate(readings) if reading.is_small(compiled)}
    narrow = {i: int(shapes[i][1:].num_elements()) for i, reading in enumerate(readings) if reading.is_narrow()}
    large = [i for i in range(len(readings)) if i not in small and i not in narrow]
    rows, places = [], []
    for same in _few(small):
        matrix = tf.stack([tf.reshape(tf.cast(readings[i].tensor, tf.float64), [-1]) for i in same])
        rows.append(kind.table(kind.careful(matrix, None)))
        places += same
    for same in by_width(narrow):
        rows.append(_joined([readings[i] for i in same], kind, compiled))
        places += same
    for start in range(0, len(large), GROUP):
        group = large[start : start + GROUP]
        rows.append(_one_by_one([readings[i] for i in group], kind, compiled))
        places += group
    return Columns(kind.names, tf.gather(tf.concat(rows, axis=0), sorted(range(len(places)), key=places.__getitem__)))


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
    first = kind.table(merge_rows(each, kind.largest, add=joined.sum, most=joined.max))
    return first if compiled else _checked(group, kind, first)


def merge_rows(each: Named, largest: Collection[str], *, add: Callable[[Any], Any], most: Callable[[Any], Any]) -> Named:
    """Merges rows: sums, of which one call does all, and largest magnitudes.

    Args:
        each: numbers by name, `[rows]` each.
        largest: names of those of which the largest counts.
        add: adds up the rows of a matrix that belong together, `[rows, n]` to `[k, n]`.
        most: likewise, takes the largest of them.

    Returns:
        Numbers by name, `[k]` each.
    """
    merged: Named = {}
    for names, merge in (([n for n in each if n not in largest], add), ([n for n in each if n in largest], most)):
        if names:
            matrix = merge(tf.stack([each[name] for name in names], axis=1))
            merged |= dict(zip(names, tf.unstack(matrix, num=len(names), axis=1), strict=True))
    return merged


def _one_by_one(group: list[Reading], kind: Kind, compiled: bool) -> Any:
    """Rows of large tensors."""
    if compiled or any(reading.tensor.dtype != tf.float32 for reading in group):
        return _in_double(group, kind)
    wide, single = zip(*[kind.quick(reading) for reading in group], strict=True)
    scalars = tf.concat([_scalars(wide), tf.cast(_scalars(single), tf.float64)], axis=1)
    by_name = dict(zip((*wide[0], *single[0]), tf.unstack(scalars, axis=1), strict=True))
    return _checked(group, kind, kind.table(kind.finish(by_name)))


def _scalars(rows: Sequence[Named]) -> Any:
    return tf.reshape(tf.stack([scalar for row in rows for scalar in row.values()]), [len(rows), -1])


def _in_double(group: list[Reading], kind: Kind) -> Any:
    rows = []
    for reading in group:
        matrix = tf.reshape(tf.cast(reading.tensor, tf.float64), [1, -1])
        mask = None if reading.mask is None else tf.reshape(reading.mask, [1, -1])
        rows.append(kind.table(kind.careful(matrix, mask)))
    return tf.concat(rows, axis=0)


def _checked(group: list[Reading], kind: Kind, first: Any) -> Any:
    """The first numbers of a group or, if any of them are doubtful, those taken in float64.

    `tf.cond` would be taken apart into a switch for each tensor and would send a dead signal through all that is not
    done; a conditional that stays one operation costs some microseconds where there is no doubt.
    """
    doubt = tf.reduce_any(kind.doubtful(kind.named(first)))
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
