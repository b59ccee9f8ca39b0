"""The batches of a training, epoch after epoch: each epoch's order and augmentation follow from the seed and its number.

So a training that goes on after a break sees what it would have seen without one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.tasks.split import Split
from zoo.training.recipe import Augmentation, Training

AHEAD = 2
"""Batches that are made while a step is under way."""


def epoch_steps(made: Training, examples: int) -> int:
    """How many steps an epoch has.

    Raises:
        ValueError: there are fewer examples than a batch takes.
    """
    whole = examples // made.batch
    if not whole:
        raise ValueError(f"A batch takes more examples than there are. Received: batch={made.batch}, examples={examples}")
    return made.epoch_steps or whole


def dataset(made: Training, x: Any, y: Any, *, seed: int, first: int = 0) -> tf.data.Dataset:
    """Endless batches, from an epoch on.

    Args:
        made: the recipe.
        x: examples, `[examples, ...]`.
        y: their answers, or None.
        seed: of order and augmentation.
        first: the epoch to begin with.
    """

    def forever() -> Iterator[Any]:
        epoch = first
        while True:
            for rows, rng in _epoch(made, len(x), seed, epoch):
                seen = x[rows] if made.augmentation is None else augmented(x[rows], made.augmentation, rng)
                yield seen if y is None else (seen, y[rows])
            epoch += 1

    def signature(of: Any) -> tf.TensorSpec:
        return tf.TensorSpec((made.batch, *of.shape[1:]), of.dtype)

    shapes = signature(x) if y is None else (signature(x), signature(y))
    return tf.data.Dataset.from_generator(forever, output_signature=shapes).prefetch(AHEAD)


def _epoch(made: Training, examples: int, seed: int, epoch: int) -> Iterator[tuple[Any, np.random.Generator]]:
    """The rows of each batch of one epoch, and what to draw its augmentation from."""
    rng = np.random.default_rng((seed, epoch))
    left = rng.permutation(examples)
    for _ in range(epoch_steps(made, examples)):
        if len(left) < made.batch:  # an epoch longer than a pass: another order of all of them
            left = rng.permutation(examples)
        rows, left = left[: made.batch], left[made.batch :]
        yield rows, rng


def augmented(images: Any, how: Augmentation, rng: np.random.Generator) -> Any:
    """The images, each cut out and perhaps mirrored.

    Args:
        images: `[images, height, width, channels]`.
        how: see `Augmentation`.
        rng: what to draw from.
    """
    count, height, width = images.shape[:3]
    rows, columns = np.tile(np.arange(height), (count, 1)), np.tile(np.arange(width), (count, 1))
    if how.flip:
        columns = np.where(rng.random((count, 1)) < 0.5, columns[:, ::-1], columns)
    if how.crop:
        around = (how.crop, how.crop)
        images = np.pad(images, ((0, 0), around, around, (0, 0)))
        rows = rows + rng.integers(0, 2 * how.crop + 1, (count, 1))
        columns = columns + rng.integers(0, 2 * how.crop + 1, (count, 1))
    return images[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def checksum(data: Split) -> str:
    """SHA-256 over shapes, types and bytes of all arrays of a task: two machines that agree train on the same."""
    digest = hashlib.sha256()
    for part in data:
        for array in part:
            if array is not None:
                digest.update(f"{array.shape} {array.dtype}".encode())
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
