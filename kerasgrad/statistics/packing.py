"""All that a step measures in one vector, so that one transfer brings it to the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasgrad.statistics.columns import Columns


class Packing:
    """Packs named tensors into a vector and takes it apart again.

    Where the pieces lie is noted when they are packed, which for a step in a graph is while it is traced.
    """

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[Any, ...]] = {}
        self._keys: dict[str, tuple[str, ...]] = {}

    def pack(self, measured: dict[str, Any]) -> Any:
        """Lays tensors end to end.

        Args:
            measured: float64 tensors or `Columns` of them, by name; of each the first axis alone may be of a length that
                only the run knows.

        Returns:
            float64 `[entries]`; where a length was unknown it stands before its tensor.
        """
        self._keys = {name: value.keys for name, value in measured.items() if isinstance(value, Columns)}
        tensors = {name: value.values if isinstance(value, Columns) else value for name, value in measured.items()}
        self._shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        pieces = []
        for tensor in tensors.values():
            if tensor.shape.rank and tensor.shape[0] is None:
                pieces.append(tf.cast(tf.shape(tensor)[:1], tf.float64))
            pieces.append(tf.reshape(tensor, [-1]))
        return tf.concat(pieces, axis=0)

    def unpack(self, packed: NDArray[np.float64]) -> dict[str, Any]:
        """Takes vectors apart.

        Args:
            packed: `[replicas, entries]`, what `pack` gave on each of them.

        Returns:
            By name the arrays, or `Columns` of them, with the replicas on the leading axis, as views.
        """
        arrays: dict[str, Any] = {}
        start = 0
        for name, known in self._shapes.items():
            shape = list(known)
            if shape and shape[0] is None:
                shape[0], start = int(packed[0, start]), start + 1
            stop = start + int(np.prod(shape))
            array = packed[:, start:stop].reshape(len(packed), *shape)
            arrays[name] = Columns(self._keys[name], array) if name in self._keys else array
            start = stop
        return arrays
