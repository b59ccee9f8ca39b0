"""Singular values of a matrix that is never written down, only multiplied by; NumPy alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Product = Callable[[Array], Array]

SPARE = 4
"""Vectors in a block beyond the values that are asked for: the last of a block converge slowly."""
CHANGE = 1e-5
"""Relative change of the values between two rounds below which they have converged."""


def largest(forth: Product, back: Product, width: int, count: int, *, rounds: int = 40, seed: int = 0) -> Array:
    """The largest singular values of a matrix J, from products with it and its transpose.

    Block Krylov: the space of `(J'J)^i V` for a random block V, in which J is then small enough to be decomposed. A block,
    and not a single vector, since equal singular values, as of an orthogonal matrix, look like one to a vector.

    Args:
        forth: `[width, k]` to `J [.., k]`.
        back: the same with the transpose.
        width: columns of J.
        count: how many values.
        rounds: at most so many times two products.
        seed: of the random block.

    Returns:
        float64 `[count]`, falling; fewer where J has fewer columns.

    References:
        Musco & Musco 2015, Randomized block Krylov methods for stronger and faster approximate singular value
        decomposition, algorithm 2.
    """
    block = np.random.default_rng(seed).normal(size=(width, min(width, count + SPARE)))
    basis, image = np.zeros((width, 0)), np.zeros((0, 0))
    known: Array = np.zeros(0)
    for _ in range(rounds):
        block = _new_directions(block, basis)
        if not block.shape[1]:  # all that J does not send to zero
            break
        multiplied = forth(block)
        basis = np.concatenate([basis, block], axis=1)
        image = np.concatenate([image, multiplied], axis=1) if image.size else multiplied
        values = np.asarray(np.linalg.svd(image, compute_uv=False)[:count], np.float64)
        if len(values) == len(known) and np.abs(values - known).max() <= CHANGE * values[0]:
            return values
        known = values
        if basis.shape[1] == width:  # all of the space
            break
        block = back(multiplied)
    return known


def _new_directions(block: Array, basis: Array) -> Array:
    """An orthonormal basis of what a block adds to a space; orthogonalised twice, which is enough."""
    scale = float(np.linalg.norm(block))
    for _ in range(2):
        block = block - basis @ (basis.T @ block)
    left, sizes, _ = np.linalg.svd(block, full_matrices=False)
    return np.asarray(left[:, sizes > 1e-10 * max(scale, 1e-300)][:, : basis.shape[0] - basis.shape[1]])
