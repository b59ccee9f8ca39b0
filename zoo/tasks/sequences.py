"""Sequences whose answer lies far back, as long as one asks for; drawn from a seed."""

from __future__ import annotations

import numpy as np

from zoo.tasks.split import Split, split


def adding(steps: int = 100, *, examples: int = 5000, seed: int = 0) -> Split:
    """The adding problem: a number at each step, two of them marked; the answer is their sum.

    Args:
        steps: length of a sequence, from 4.
        examples: how many, a fifth of them held out.
        seed: of the draw.

    Returns:
        `(x, y), (x_test, y_test)`: `x` float32 `[examples, steps, 2]`, the number (uniform in 0 to 1) and its mark (0 or 1),
        one mark in each half; `y` float32 `[examples, 1]`. Always saying 1 has a mean squared error of 1/6.

    References:
        Hochreiter & Schmidhuber 1997, experiment 4, in the form of Le et al. 2015.
    """
    _check_steps(steps, 4)
    rng = np.random.default_rng(seed)
    x = np.zeros((examples, steps, 2), np.float32)
    x[:, :, 0] = rng.random((examples, steps))
    rows, half = np.arange(examples), steps // 2
    first, second = rng.integers(0, half, examples), rng.integers(half, steps, examples)
    x[rows, first, 1] = x[rows, second, 1] = 1
    return split(x, (x[rows, first, 0] + x[rows, second, 0])[:, None])


def copy_memory(steps: int = 100, *, symbols: int = 8, length: int = 5, examples: int = 5000, seed: int = 0) -> Split:
    """Copy memory: some symbols, a long silence, a signal; then the symbols are to be said again.

    Args:
        steps: silent steps between.
        symbols: how many different ones; symbol 0 is silence, `symbols + 1` the signal.
        length: how many are to be kept.
        examples: how many, a fifth of them held out.
        seed: of the draw.

    Returns:
        `x` int32 `[examples, steps + 2 * length]`, 0 to `symbols + 1`; `y` int64 of the same shape: silence, and at the last
        `length` steps the symbols.

    References:
        Hochreiter & Schmidhuber 1997, experiment 2, in the form of Arjovsky et al. 2016.
    """
    _check_steps(steps, 1)
    kept = np.random.default_rng(seed).integers(1, symbols + 1, (examples, length))
    x = np.zeros((examples, steps + 2 * length), np.int32)
    x[:, :length] = kept
    x[:, -length - 1] = symbols + 1
    y = np.zeros(x.shape, np.int64)
    y[:, -length:] = kept
    return split(x, y)


def temporal_order(steps: int = 100, *, examples: int = 5000, seed: int = 0) -> Split:
    """Temporal order: among distracting symbols two that count, X or Y; the class is which came first and which second.

    Args:
        steps: length of a sequence, from 10.
        examples: how many, a fifth of them held out.
        seed: of the draw.

    Returns:
        `x` int32 `[examples, steps]`: 0 to 3 distract, 4 is X, 5 is Y; one within the second tenth of the sequence, one
        within the sixth. `y` int64 `[examples]`, 0 to 3: XX, XY, YX, YY.

    References:
        Hochreiter & Schmidhuber 1997, experiment 6a, in the form of Pascanu et al. 2013, section 4.
    """
    _check_steps(steps, 10)
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, (examples, steps)).astype(np.int32)
    which, rows = rng.integers(0, 2, (examples, 2)), np.arange(examples)
    for of, start in enumerate((0.1, 0.5)):
        x[rows, rng.integers(int(start * steps), int((start + 0.1) * steps), examples)] = 4 + which[:, of]
    return split(x, (2 * which[:, 0] + which[:, 1]).astype(np.int64))


def recall(steps: int = 1000, *, symbols: int = 8, examples: int = 2000, seed: int = 0) -> Split:
    """Recall: which symbol came first, before a long silence?

    Args:
        steps: length of a sequence, from 2.
        symbols: how many different ones; symbol 0 is silence.
        examples: how many, a fifth of them held out.
        seed: of the draw.

    Returns:
        `x` int32 `[examples, steps]`, 0 to `symbols`, all but the first 0; `y` int64 `[examples]`, 0 to `symbols - 1`.

    References:
        Hochreiter & Schmidhuber 1997, experiment 2, without distractions.
    """
    _check_steps(steps, 2)
    y = np.random.default_rng(seed).integers(0, symbols, examples)
    x = np.zeros((examples, steps), np.int32)
    x[:, 0] = y + 1
    return split(x, y)


def modular_addition(modulus: int = 23, *, seed: int = 0) -> Split:
    """All pairs of numbers, and their sum modulo a number.

    Args:
        modulus: the numbers are 0 to `modulus - 1`.
        seed: of the shuffle that holds a fifth of the pairs out.

    Returns:
        `x` int32 `[pairs, 2]`; `y` int64 `[pairs]`, 0 to `modulus - 1`.

    References:
        Power et al. 2022, Grokking.
    """
    pairs = np.stack(np.meshgrid(np.arange(modulus), np.arange(modulus)), -1).reshape(-1, 2).astype(np.int32)
    pairs = pairs[np.random.default_rng(seed).permutation(len(pairs))]
    return split(pairs, (pairs.sum(1) % modulus).astype(np.int64))


def seasonal(steps: int = 200, *, examples: int = 3000, noise: float = 0.3, seed: int = 0) -> Split:
    """The next value of a noisy seasonal series, from its past.

    Args:
        steps: how much of the past is seen.
        examples: windows of one long series; the last fifth in time is held out, and none overlaps both parts.
        noise: deviation of the noise; the best possible mean squared error is its square.
        seed: of the draw.

    Returns:
        `x` float32 `[examples, steps, 1]`: two seasons, of 50 and 11.7 steps, that swell and fade, and noise; `y` float32
        `[examples, 1]`, the value after.
    """
    _check_steps(steps, 1)
    t = np.arange(examples + 2 * steps)
    swell = 1 + 0.5 * np.sin(2 * np.pi * t / 997)
    series = swell * np.sin(2 * np.pi * t / 50) + 0.5 * np.sin(2 * np.pi * t / 11.7)
    series = (series + noise * np.random.default_rng(seed).normal(size=len(t))).astype(np.float32)
    kept = examples - examples // 5
    starts = np.concatenate([np.arange(kept), np.arange(kept + steps, examples + steps)])
    x = np.lib.stride_tricks.sliding_window_view(series, steps)[starts][:, :, None].copy()
    y = series[starts + steps][:, None]
    return (x[:kept], y[:kept]), (x[kept:], y[kept:])


def _check_steps(steps: int, least: int) -> None:
    if steps < least:
        raise ValueError(f"`steps` starts at {least} in this task. Received: steps={steps}")
