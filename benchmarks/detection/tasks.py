"""Small things to learn, without a download: arrays for training and held-out arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import datasets

HELD_OUT = 0.25


@dataclass(frozen=True)
class Task:
    """Data and how they are scored.

    Attributes:
        x, y: for training.
        x_test, y_test: held out.
        kind: `"classes"`, `"binary"` or `"regression"`.
        outputs: units of the last layer.
    """

    x: Any
    y: Any
    x_test: Any
    y_test: Any
    kind: str
    outputs: int

    @property
    def loss(self) -> str:
        return {"classes": "sparse_categorical_crossentropy", "binary": "binary_crossentropy", "regression": "mse"}[
            self.kind
        ]

    @property
    def last(self) -> str:
        return {"classes": "softmax", "binary": "sigmoid", "regression": "linear"}[self.kind]

    def gain(self, predicted: Any) -> float:
        """How much of what the best constant prediction leaves open is got right: accuracy, or R^2; 0 for the constant."""
        predicted = np.asarray(predicted, float)
        if not np.isfinite(predicted).all():
            return float("nan")
        if self.kind == "regression":
            residual = np.square(predicted.reshape(self.y_test.shape) - self.y_test).mean()
            return float(1 - residual / np.square(self.y_test - self.y.mean(axis=0)).mean())
        chosen = predicted.argmax(-1) if self.kind == "classes" else (predicted.reshape(-1) > 0.5)
        right = float((chosen.reshape(-1) == self.y_test.reshape(-1)).mean())
        constant = float((self.y_test == np.bincount(self.y.astype(int).reshape(-1)).argmax()).mean())
        return (right - constant) / (1 - constant)


def _split(x: Any, y: Any, kind: str, outputs: int, scale: bool = True) -> Task:
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    cut = int(len(x) * (1 - HELD_OUT))
    if scale:
        x = (x - x[:cut].mean(axis=0)) / (x[:cut].std(axis=0) + 1e-6)
    x = x if x.dtype.kind == "i" else x.astype(np.float32)
    y = y.astype(np.int64 if kind == "classes" else np.float32)
    return Task(x[:cut], y[:cut], x[cut:], y[cut:], kind, outputs)


def digits(shape: tuple[int, ...] = (64,)) -> Task:
    images, labels = datasets.load_digits(return_X_y=True)
    images = (images - images.mean()) / images.std()
    return _split(images.reshape(-1, *shape), labels, "classes", 10, scale=False)


def cancer() -> Task:
    return _split(*datasets.load_breast_cancer(return_X_y=True), "binary", 1)


def wine() -> Task:
    return _split(*datasets.load_wine(return_X_y=True), "classes", 3)


def moons() -> Task:
    return _split(*datasets.make_moons(1000, noise=0.15, random_state=0), "binary", 1)


def circles() -> Task:
    return _split(*datasets.make_circles(1000, noise=0.08, factor=0.5, random_state=0), "binary", 1)


def friedman(scale: float = 0.2) -> Task:
    x, y = datasets.make_friedman1(1200, n_features=8, noise=0.5, random_state=0)
    return _split(x, (y[:, None] - y.mean()) * scale, "regression", 1)


def sine() -> Task:
    x = np.random.default_rng(0).uniform(-3, 3, (1000, 1))
    return _split(x, np.sin(2 * x) + 0.05 * np.random.default_rng(1).normal(size=x.shape), "regression", 1)


def planes() -> Task:
    x, y = datasets.make_regression(1000, n_features=10, n_targets=2, noise=2.0, random_state=0)
    return _split(x, y / y.std(axis=0), "regression", 2)


def topics(length: int = 16, vocabulary: int = 60) -> Task:
    """Tokens; the class is the topic, of three, that most of them belong to."""
    random = np.random.default_rng(0)
    x = random.integers(0, vocabulary, (1500, length))
    counts = np.stack([(x % 3 == topic).sum(axis=1) for topic in range(3)], axis=1)
    clear = np.sort(counts, axis=1)[:, -1] > np.sort(counts, axis=1)[:, -2]
    return _split(x[clear], counts[clear].argmax(axis=1), "classes", 3, scale=False)


def marked(length: int = 12) -> Task:
    """Sequences of four numbers a step; whether the first step's first number is positive, which must be kept in mind."""
    x = np.random.default_rng(0).normal(size=(1500, length, 4))
    x[:, 0] *= 2
    return _split(x, (x[:, 0, 0] > 0).astype(float), "binary", 1, scale=False)


def kept(length: int = 8, symbols: int = 6) -> Task:
    """Tokens of which only the first counts: its class is asked for at the end."""
    x = np.random.default_rng(0).integers(0, symbols, (1500, length))
    return _split(x, x[:, 0] % 3, "classes", 3, scale=False)
