"""Small things drawn from a seed: shapes to find in images, sentences to judge."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.tasks.split import Split, split

WORDS = (
    "",
    *("the", "a", "this", "that"),
    *("film", "story", "plot", "scene", "actor", "ending", "music"),
    *("was", "is", "seems", "felt"),
    *("really", "rather", "quite", "but", "not", "never"),
    *("good", "great", "fine", "lovely", "moving", "clever"),
    *("bad", "dull", "weak", "awful", "clumsy", "boring"),
)
"""The vocabulary of `sentences`; its first entry is nothing, which fills short sentences up."""

_GOOD, _BAD = WORDS[WORDS.index("good") : WORDS.index("bad")], WORDS[WORDS.index("bad") :]


def shapes(side: int = 32, *, examples: int = 600, noise: float = 0.3, seed: int = 0) -> Split:
    """Bright discs and boxes on a noisy ground; which pixels belong to one?

    Args:
        side: height and width in pixels, from 8.
        examples: how many, a fifth of them held out.
        noise: deviation of the noise; the ground is 0 and a shape is 0.5 to 1.
        seed: of the draw.

    Returns:
        `x` float32 `[examples, side, side, 1]`; `y` int64 `[examples, side, side]`, 1 on a shape.
    """
    if side < 8:
        raise ValueError(f"`side` starts at 8 pixels. Received: side={side}")
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    x, y = np.zeros((examples, side, side), np.float32), np.zeros((examples, side, side), np.int64)
    for image, mask in zip(x, y, strict=True):
        for _ in range(rng.integers(1, 4)):
            (top, left), size = rng.integers(0, side, 2), rng.integers(side // 8, side // 4)
            far = np.stack([np.abs(rows - top), np.abs(columns - left)])
            inside = far.max(0) < size if rng.random() < 0.5 else np.square(far).sum(0) < size**2
            image[inside], mask[inside] = rng.uniform(0.5, 1), 1
    return split((x + noise * rng.normal(size=x.shape)).astype(np.float32)[..., None], y)


def gaussians(modes: int = 8, *, examples: int = 10_000, radius: float = 2.0, deviation: float = 0.05, seed: int = 0) -> Any:
    """Points of the plane around a few centres on a circle, without labels: what a generator is to give.

    Args:
        modes: number of centres.
        examples: how many points, a fifth of them held out.
        radius: of the circle.
        deviation: of the points around their centre.
        seed: of the draw.

    Returns:
        `(x, None), (x_test, None)`: `x` float32 `[examples, 2]`.

    References:
        Metz et al. 2017, Unrolled generative adversarial networks, section 3.1.
    """
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * rng.integers(0, modes, examples) / modes
    centres = radius * np.stack([np.cos(angle), np.sin(angle)], 1)
    x = (centres + deviation * rng.normal(size=centres.shape)).astype(np.float32)
    (x, _), (x_test, _) = split(x, x)
    return (x, None), (x_test, None)


def bandit(arms: int = 4, *, features: int = 4, examples: int = 10_000, offset: float = 0.0, seed: int = 0) -> Split:
    """A contextual bandit: which arm pays depends on the context. Only the drawn arm's reward may be looked at.

    Args:
        arms: how many there are.
        features: numbers of a context.
        examples: how many contexts, a fifth of them held out.
        offset: added to all rewards: it changes nothing of what is best, and how much REINFORCE scatters.
        seed: of the draw.

    Returns:
        `x` float32 `[examples, features]`; `y` float32 `[examples, arms]`, the reward of each arm: 1 of the best, 0 of the
        others, and the offset. The best arm is the one whose hidden direction the context points to most.

    References:
        Langford & Zhang 2007, The epoch-greedy algorithm for contextual multi-armed bandits.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(examples, features)).astype(np.float32)
    best = (x @ rng.normal(size=(features, arms))).argmax(1)
    return split(x, (np.eye(arms)[best] + offset).astype(np.float32))


def sentences(length: int = 16, *, examples: int = 2000, seed: int = 0) -> Split:
    """Short judgements of a film: is the last thing that is said of it good? A "not" or "never" turns a word around.

    Args:
        length: words of a sentence, filled up in front with nothing, from 8.
        examples: how many, a fifth of them held out.
        seed: of the draw.

    Returns:
        `x` int32 `[examples, length]`, indices of `WORDS`; `y` int64 `[examples]`, 1 if good.
    """
    if length < 8:
        raise ValueError(f"`length` starts at 8 words. Received: length={length}")
    rng = np.random.default_rng(seed)
    x, y = np.zeros((examples, length), np.int32), np.zeros(examples, np.int64)
    for row in range(examples):
        words: list[str] = []
        while not words or (len(words) + 8 <= length and rng.random() < 0.6):
            turned, good = rng.random() < 0.4, rng.random() < 0.5
            words += ["but"] if words else []
            words += [*(rng.choice(WORDS[first:last]) for first, last in ((1, 5), (5, 12), (12, 16)))]
            words += [rng.choice(("not", "never"))] if turned else []
            words += [rng.choice(("really", "rather", "quite"))] if rng.random() < 0.5 else []
            words += [rng.choice(_GOOD if good else _BAD)]
            y[row] = good != turned
        x[row, length - len(words) :] = [WORDS.index(word) for word in words]
    return split(x, y)
