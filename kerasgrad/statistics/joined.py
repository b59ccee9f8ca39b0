"""Small tensors joined to one matrix, so that their number does not become the number of operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass
class Joined:
    """Matrices of one width, one under the other; none need be as long as another, in any step.

    Attributes:
        rows: `[rows of all, width]`.
        owner: which matrix each row came from, int32 `[rows of all]`.
        count: how many matrices.
    """

    rows: Any
    owner: Any
    count: int

    @classmethod
    def of(cls, matrices: list[Any]) -> Joined:
        """Joins matrices `[any length, width]`."""
        rows = tf.concat(matrices, axis=0)
        ends = tf.cumsum(tf.stack(tf.shape_n(matrices))[:, 0])
        owner = tf.searchsorted(ends, tf.range(tf.shape(rows)[0]), side="right")
        return cls(rows, owner, len(matrices))

    def sum(self, values: Any) -> Any:
        """Sums over the rows of each matrix: `[rows of all, n]` to `[count, n]`."""
        return tf.math.unsorted_segment_sum(values, self.owner, self.count)

    def max(self, values: Any) -> Any:
        """Likewise, the largest."""
        return tf.math.unsorted_segment_max(values, self.owner, self.count)


def by_width(widths: dict[int, int]) -> list[list[int]]:
    """Which tensors can be joined.

    Args:
        widths: the width of each, by its position.

    Returns:
        The positions, those of one width together.
    """
    same: dict[int, list[int]] = {}
    for position, width in widths.items():
        same.setdefault(width, []).append(position)
    return list(same.values())
