"""Moments that a statistic brings with it, taken entry by entry in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from kerasgrad.catalogue import Moment
from kerasgrad.statistics.readings import Reading

_NAN = float("nan")


@dataclass(frozen=True)
class Measurable:
    """A tensor of a row, ready for any moment.

    Attributes:
        reading: the tensor and its mask.
        size: entries that it has in truth; those that a sparse gradient leaves out are zero. None: as many as it holds.
        before: the same tensor in the step before, or None.
    """

    reading: Reading
    size: int | None = None
    before: Any = None


@dataclass
class Previous:
    """Copies of what rows held in the last sampled step, kept on the device from one sample to the next."""

    kept: dict[tuple[str, int], Any] = field(default_factory=dict)

    def exchange(self, row: tuple[str, int], tensor: Any) -> Any:
        """Gives what was kept for a row and keeps a tensor in its place; zeros count for none.

        Args:
            row: the quantity, such as `"update"`, and the row of the variable.
            tensor: what to keep, of the same shape in each step.

        Returns:
            What was kept, zeros at first.
        """
        if row not in self.kept:
            with tf.init_scope():  # outside the graph that is traced, so that all traces share it
                self.kept[row] = tf.Variable(tf.zeros(tensor.shape, tensor.dtype), trainable=False)
        before = tf.identity(self.kept[row])
        self.kept[row].assign(tensor)
        return before


def check(moment: Moment) -> None:
    """Tries a moment on a small array, so that a slip shows before training.

    Raises:
        ValueError: its `entries` fails, or does not give one number an entry.
    """
    if moment.entries is None:
        raise ValueError(
            f"A moment of your own needs `entries`, a function of the tensor. Received: {moment.key} without it"
        )
    given = [tf.ones([2, 3], tf.float64)] * (2 if moment.previous else 1)
    try:
        found = tf.convert_to_tensor(moment.entries(*given))
    except Exception as error:
        raise ValueError(f"`entries` of {moment.key} fails on a float64 array of shape (2, 3): {error}") from error
    if found.shape != (2, 3):
        raise ValueError(
            f"`entries` gives one number an entry, and the monitor adds them up. Received: {moment.key} with `entries` that "
            f"makes shape {tuple(found.shape)} of shape (2, 3)"
        )


def own_moment(moment: Moment, rows: Sequence[Sequence[Measurable]]) -> Any:
    """One moment of all rows.

    Args:
        moment: one with `entries`.
        rows: the tensors of each row, of all its calls and outputs.

    Returns:
        float64 `[rows]`; NaN for a row without a tensor.
    """
    merge = _merge_of(moment)
    nothing = tf.constant(_NAN, tf.float64)
    found = [[_of_one(moment, one) for one in row if not moment.previous or one.before is not None] for row in rows]
    merged = [merge(tf.stack(numbers)) if numbers else nothing for numbers in found]
    return tf.stack(merged) if merged else tf.zeros([0], tf.float64)


def _merge_of(moment: Moment) -> Any:
    return tf.reduce_max if moment.merge == "max" else tf.reduce_sum


def _of_one(moment: Moment, one: Measurable) -> Any:
    merge = _merge_of(moment)
    tensors = [one.reading.tensor, one.before] if moment.previous else [one.reading.tensor]
    entries = tf.cast(_entries(moment, *(tf.cast(tensor, tf.float64) for tensor in tensors)), tf.float64)
    neutral = tf.constant(float("-inf") if moment.merge == "max" else 0.0, tf.float64)
    if one.reading.mask is not None:
        entries = tf.where(one.reading.mask, entries, neutral)
    number = merge(entries)
    if one.size is None:
        return number
    left_out = tf.cast(one.size - tf.size(one.reading.tensor), tf.float64)
    of_zero = tf.reshape(tf.cast(_entries(moment, tf.zeros([1], tf.float64)), tf.float64), [])
    if moment.merge == "max":
        return tf.where(left_out > 0, tf.maximum(number, of_zero), number)
    return tf.where(left_out > 0, number + left_out * of_zero, number)


def _entries(moment: Moment, *tensors: Any) -> Any:
    if moment.entries is None:
        raise ValueError(f"The moment has no `entries`. Received: {moment}")
    return moment.entries(*tensors)
