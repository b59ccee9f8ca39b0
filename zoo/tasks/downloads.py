"""Data that is downloaded once through Keras, or read from the folder that the variable KERASGRAD_DATA names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zoo.tasks.split import Split, split, standardized

FOLDER = "KERASGRAD_DATA"
SHAKESPEARE = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"


def mnist() -> Split:
    """MNIST: 60,000 and 10,000 handwritten digits.

    Returns:
        `x` float32 `[examples, 28, 28, 1]`, standardised with the training pixels; `y` int64 `[examples]`, 0 to 9.

    Raises:
        FileNotFoundError: it can be neither downloaded nor found in the folder.

    References:
        LeCun, Cortes & Burges 1998.
    """
    return _images("mnist")


def mnist_sequence() -> Split:
    """MNIST read pixel by pixel: `x` float32 `[examples, 784 steps, 1]`. Else as `mnist`.

    References:
        Le, Jaitly & Hinton 2015, A simple way to initialize recurrent networks of rectified linear units, section 4.2.
    """
    (x, y), (x_test, y_test) = mnist()
    return (x.reshape(-1, 784, 1), y), (x_test.reshape(-1, 784, 1), y_test)


def fashion_mnist() -> Split:
    """Fashion-MNIST: 60,000 and 10,000 images of clothes. Else as `mnist`.

    References:
        Xiao et al. 2017.
    """
    return _images("fashion_mnist")


def cifar10() -> Split:
    """CIFAR-10: 50,000 and 10,000 photographs, or the subset of them that the folder holds.

    Returns:
        `x` float32 `[examples, 32, 32, 3]`, standardised with the training pixels; `y` int64 `[examples]`, 0 to 9.

    Raises:
        FileNotFoundError: it can be neither downloaded nor found in the folder.

    References:
        Krizhevsky 2009.
    """
    return _images("cifar10")


def shakespeare(length: int = 64, *, examples: int = 8000, seed: int = 0) -> Split:
    """Characters of Shakespeare's plays, each to be told from those before it.

    Args:
        length: characters of an excerpt.
        examples: excerpts, a fifth of them held out; those are from the last tenth of the text.
        seed: of the draw.

    Returns:
        `x` int32 `[examples, length]`, 0 to 64; `y` int64 `[examples, length]`, the character after each.

    Raises:
        FileNotFoundError: it can be neither downloaded nor found in the folder.

    References:
        Karpathy 2015, The unreasonable effectiveness of recurrent neural networks.
    """

    def download() -> Path:
        import keras

        return Path(keras.utils.get_file("shakespeare.txt", SHAKESPEARE))

    text = np.frombuffer(get("shakespeare.txt", download).read_bytes(), np.uint8)
    codes = np.searchsorted(np.unique(text), text)
    rng, border = np.random.default_rng(seed), len(text) * 9 // 10
    held_out = examples // 5
    starts = rng.integers(0, border - length, examples - held_out), rng.integers(border, len(text) - length, held_out)
    windows = codes[np.concatenate(starts)[:, None] + np.arange(length + 1)]
    return split(windows[:, :-1].astype(np.int32), windows[:, 1:].astype(np.int64), held_out / examples)


def _images(name: str) -> Split:
    def download() -> Any:
        import keras

        return getattr(keras.datasets, name).load_data()

    found = get(f"{name}.npz", download)
    if isinstance(found, Path):
        with np.load(found) as arrays:
            found = tuple((arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test"))
    (x, y), (x_test, y_test) = found
    x, x_test = standardized(x.astype(np.float32), x_test.astype(np.float32))
    if x.ndim == 3:
        x, x_test = x[..., None], x_test[..., None]
    return (x, y.reshape(-1).astype(np.int64)), (x_test, y_test.reshape(-1).astype(np.int64))


def get(file: str, download: Callable[[], Any]) -> Any:
    """The file in the folder if it is there, otherwise what the download gives.

    Raises:
        FileNotFoundError: there is no such file, and the download fails; the message says both ways out.
    """
    folder = os.environ.get(FOLDER)
    if folder and (path := Path(folder) / file).is_file():
        return path
    try:
        return download()
    except Exception as error:  # Keras raises a plain Exception when a download fails
        looked = f"{folder!r}, which has no {file}" if folder else "not set"
        raise FileNotFoundError(
            f"{file} could not be downloaded ({error}). Two ways out: (a) run once with a network, Keras keeps the file; "
            f"(b) set {FOLDER} to a folder that holds {file}. Received: {FOLDER} is {looked}"
        ) from error
