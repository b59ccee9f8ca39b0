"""Film reviews: the first words of each, and whether it is good."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.tasks.downloads import get
from zoo.tasks.split import Examples, Split

FILE = "imdb_200.npz"
ROWS = Path(__file__).with_name("imdb_rows.npy")
"""The vocabulary without its words: the fingerprint of each, in the order of their ids from 2 on."""

NOTHING, UNKNOWN, FIRST = 0, 1, 2
"""Ids that are no words: what fills short reviews up, and words outside the vocabulary; the first word's."""

WORDS = 200
"""The file holds so many of each review."""

KERAS_OFFSET, KERAS_UNKNOWN = 3, 2
"""In `keras.datasets.imdb` a word's id is its rank plus 3; 1 begins a review, and 2 stands for what was left out."""

BREAK = "br"
"""What is left of line breaks in Keras' reviews; it is no word here."""


def imdb(words: int = WORDS, *, vocabulary: int = 10_000) -> Split:
    """Film reviews, each good or bad: the first words of 25,000 to learn from and as many held out.

    Args:
        words: of each review, from the first on; shorter ones are filled up in front.
        vocabulary: number of ids, with those for nothing (0) and for rarer words (1).

    Returns:
        `x` int32 `[examples, words]`, 0 to `vocabulary - 1`; `y` int64 `[examples]`, 1 if good.

    Raises:
        ValueError: an argument is out of its range.
        FileNotFoundError: they can be neither downloaded nor found in the folder.

    References:
        Maas et al. 2011, Learning word vectors for sentiment analysis.
    """
    if not 1 <= words <= WORDS:
        raise ValueError(f"`words` is from 1 to {WORDS}. Received: words={words}")
    if not FIRST < vocabulary <= 10_000:
        raise ValueError(f"`vocabulary` is from {FIRST + 1} to 10,000. Received: vocabulary={vocabulary}")
    found = get(FILE, _download)
    train, test = _read(found) if isinstance(found, Path) else found
    return _filled(train, words, vocabulary), _filled(test, words, vocabulary)


def _filled(part: tuple[list[Any], Any], words: int, vocabulary: int) -> Examples:
    reviews, good = part
    x = np.zeros((len(reviews), words), np.int32)
    for row, review in zip(x, reviews, strict=True):
        kept = np.asarray(review[:words])
        row[words - len(kept) :] = np.where(kept < vocabulary, kept, UNKNOWN)
    return x, np.asarray(good).astype(np.int64)


def _read(path: Path) -> Any:
    with np.load(path) as file:
        reviews = np.split(file["tokens"].astype(np.int32), np.cumsum(file["sizes"].astype(int))[:-1])
        good, is_test = file["y"], file["test"]
    parts = [np.flatnonzero(~is_test), np.flatnonzero(is_test)]
    return [([reviews[i] for i in part], good[part]) for part in parts]


def _download() -> Any:
    import keras

    parts = keras.datasets.imdb.load_data()
    rows = from_keras(keras.datasets.imdb.get_word_index())
    return [([translated(review, rows) for review in reviews], good) for reviews, good in parts]


def from_keras(index: dict[str, int], known: NDArray[np.uint64] | None = None) -> NDArray[np.int32]:
    """The zoo's id of each id of `keras.datasets.imdb`; -1 for what is no word.

    Args:
        index: rank of each word, as `keras.datasets.imdb.get_word_index()` gives it.
        known: fingerprints of the zoo's vocabulary in the order of its ids; those that it comes with if None.
    """
    known = np.load(ROWS) if known is None else known
    ids = dict(zip(known.tolist(), range(FIRST, FIRST + len(known)), strict=True))
    rows = np.full(max(index.values()) + KERAS_OFFSET + 1, UNKNOWN, np.int32)
    rows[:KERAS_OFFSET] = -1
    rows[KERAS_UNKNOWN] = UNKNOWN
    for (word, rank), mark in zip(index.items(), fingerprints(index).tolist(), strict=True):
        rows[rank + KERAS_OFFSET] = -1 if word == BREAK else ids.get(mark, UNKNOWN)
    return rows


def translated(review: Any, rows: NDArray[np.int32]) -> NDArray[np.int32]:
    """A review of Keras in the ids of the zoo, without its mark of the beginning and line breaks."""
    ids: NDArray[np.int32] = rows[np.asarray(review)]
    return ids[ids >= 0]


def fingerprints(words: Iterable[str]) -> NDArray[np.uint64]:
    """A number of 64 bits for each word."""
    marks = [int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little") for word in words]
    return np.array(marks, np.uint64)
