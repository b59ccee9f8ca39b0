"""Tensors as statistics read them: widened, masked, and with what is known of them already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

FEW = 4096
"""Tensors of at most this many entries go through float64 at once, those of one size as rows of one matrix."""
FEW_KERNELS = 2**18
"""The same where XLA compiles the step: one kernel less for each number is worth a larger copy."""
NARROW = 2048
"""Entries of one example up to which tensors of a batch are joined; beyond it the copy costs more than it saves."""


@dataclass
class Reading:
    """A tensor to be measured, with what is known of it already.

    Attributes:
        tensor: of float32 or float64; zero where the mask leaves an entry out.
        mask: bool, of the tensor's shape, or None.
        magnitude: |tensor|, where it is at hand.
        total: the sum of all entries, where it is at hand.
    """

    tensor: Any
    mask: Any = None
    magnitude: Any = None
    total: Any = None

    @classmethod
    def of(cls, tensor: Any, mask: Any = None) -> Reading:
        """A tensor of any precision with a mask of its leading axes, or None."""
        tensor = tensor if tensor.dtype in (tf.float32, tf.float64) else tf.cast(tensor, tf.float32)
        if mask is None:
            return cls(tensor)
        mask = spread(mask, tensor)
        return cls(tf.where(mask, tensor, tf.zeros_like(tensor)), mask)

    def count(self) -> Any:
        """How many entries the mask lets through, float64."""
        if self.mask is not None:
            return count_true(self.mask)
        size = self.tensor.shape.num_elements()
        return tf.cast(tf.size(self.tensor), tf.float64) if size is None else tf.constant(float(size), tf.float64)

    def is_small(self, compiled: bool = False) -> bool:
        """Whether it is worth its copy to go through float64 with others of its size."""
        size = self.tensor.shape.num_elements()
        return self.mask is None and size is not None and 0 < size <= (FEW_KERNELS if compiled else FEW)

    def is_narrow(self) -> bool:
        """Whether it is a batch of small examples."""
        shape = self.tensor.shape
        if self.mask is not None or self.tensor.dtype != tf.float32 or not shape.rank or shape[0] is not None:
            return False
        width = shape[1:].num_elements() if shape.rank > 1 else None
        return width is not None and 0 < width <= NARROW


def counted(tensor: Any, mask: Any) -> Any:
    """1 for every entry that the mask lets through, else 0, in the tensor's own precision."""
    return tf.ones_like(tensor) if mask is None else tf.cast(mask, tensor.dtype)


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
