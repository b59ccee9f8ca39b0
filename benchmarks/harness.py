"""What the benchmarks share: the models, and interleaved timing of trainings that differ in their callbacks only."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np



@dataclass
class Case:
    """A compiled model and data for it."""

    model: keras.Model
    x: Any
    y: Any
    batch: int


def resnet20() -> Case:
    """Residual network of 20 weight layers for 32 x 32 images, batch 32 (He et al. 2015, section 4.2)."""
    layers = keras.layers

    def convolved(x: Any, filters: int, stride: int = 1) -> Any:
        x = layers.Conv2D(filters, 3, stride, "same", use_bias=False, kernel_initializer="he_normal")(x)
        return layers.BatchNormalization()(x)

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolved(inputs, 16))
    for filters in (16, 32, 64):
        for block in range(3):
            stride = 2 if block == 0 and filters > 16 else 1
            branch = convolved(layers.ReLU()(convolved(x, filters, stride)), filters)
            if stride > 1:
                x = convolved(x, filters, 2)
            x = layers.ReLU()(layers.Add()([x, branch]))
    outputs = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    return _case(keras.Model(inputs, outputs), (32, 32, 3), 10, 32)


def transformer() -> Case:
    """Four pre-norm encoder blocks of width 128 over 64 tokens, batch 32."""
    layers = keras.layers
    inputs = keras.Input((64,), dtype="int32")
    x = layers.Embedding(1000, 128)(inputs)
    for _ in range(4):
        normed = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 32)(normed, normed)])
        hidden = layers.Dense(512, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(128)(hidden)])
    outputs = layers.Dense(10)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x)))
    return _case(keras.Model(inputs, outputs), (64,), 10, 32, tokens=1000)


def mlp50() -> Case:
    """Fifty Dense layers of width 256 with ReLU and He initialisation, batch 32."""
    hidden = [keras.layers.Dense(256, activation="relu", kernel_initializer="he_normal") for _ in range(49)]
    return _case(keras.Sequential([keras.Input((256,)), *hidden, keras.layers.Dense(10)]), (256,), 10, 32)


def lstm() -> Case:
    """Two LSTM layers of width 128 over 64 steps, batch 32."""
    stack = [keras.layers.LSTM(128, return_sequences=True), keras.layers.LSTM(128), keras.layers.Dense(10)]
    return _case(keras.Sequential([keras.Input((64, 32)), *stack]), (64, 32), 10, 32)


def tiny() -> Case:
    """Three Dense layers of width 16, batch 32: fixed costs and nothing else."""
    hidden = [keras.layers.Dense(16, activation="relu") for _ in range(2)]
    return _case(keras.Sequential([keras.Input((8,)), *hidden, keras.layers.Dense(3)]), (8,), 3, 32)


MODELS: dict[str, Callable[[], Case]] = {
    "ResNet-20": resnet20, "transformer": transformer, "50-layer MLP": mlp50, "LSTM": lstm, "tiny MLP": tiny,
}  # fmt: skip


def _case(model: keras.Model, shape: tuple[int, ...], classes: int, batch: int, tokens: int = 0) -> Case:
    random = np.random.default_rng(0)
    size = (40 * batch, *shape)
    x = random.integers(0, tokens, size) if tokens else random.normal(size=size).astype("float32")
    return Case(model, x, random.integers(0, classes, len(x)), batch)
