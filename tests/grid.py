"""The grid of models that exactness and non-interference are tested on: small, real, and each odd in its own way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

BATCH = 8


def slow(*values: Any) -> Any:
    """Values of a parametrized test that are left out of `make test`."""
    return pytest.param(*values, marks=pytest.mark.slow)


@dataclass(frozen=True)
class Case:
    """A compiled model with data for it."""

    model: keras.Model
    x: Any
    y: Any
    sample_weight: Any = None


def _numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _classes(count: int, classes: int = 3, shape: tuple[int, ...] = ()) -> Any:
    return np.random.default_rng(1).integers(0, classes, (count, *shape))


N = 4 * BATCH
CROSS_ENTROPY = "sparse_categorical_crossentropy"


def _classifier(model: keras.Model, x: Any, classes: int = 3, optimizer: Any = "adam", **kwargs: Any) -> Case:
    model.compile(optimizer, CROSS_ENTROPY, metrics=["accuracy"], **kwargs)
    return Case(model, x, _classes(N, classes))


def mlp(activation: str = "relu", **kwargs: Any) -> Case:
    stack = [layers.Dense(16, activation=activation) for _ in range(3)]
    model = keras.Sequential([layers.Input((12,)), *stack, layers.Dense(3, activation="softmax")])
    return _classifier(model, _numbers(N, 12), **kwargs)


def mlp_dropout(**kwargs: Any) -> Case:
    hidden = [layers.Dense(16, activation="tanh"), layers.Dropout(0.3), layers.Dense(16), layers.LeakyReLU()]
    model = keras.Sequential([layers.Input((12,)), *hidden, layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **kwargs)
    return Case(model, _numbers(N, 12), _classes(N))


def cnn(**kwargs: Any) -> Case:
    block = [layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D()]
    model = keras.Sequential(
        [layers.Input((12, 12, 3)), *block, layers.Conv2D(8, 3, activation="relu"), layers.DepthwiseConv2D(3),
         layers.PReLU(shared_axes=[1, 2]), layers.GlobalAveragePooling2D(), layers.Dropout(0.2),
         layers.Dense(3, activation="softmax")]
    )  # fmt: skip
    return _classifier(model, _numbers(N, 12, 12, 3), **kwargs)


def resnet(**kwargs: Any) -> Case:
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    for _ in range(2):
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x)))
        y = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(y))
        x = layers.ReLU()(layers.Add()([x, y]))
    outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return _classifier(keras.Model(inputs, outputs), _numbers(N, 8, 8, 3), **kwargs)


def resnet_plain(**kwargs: Any) -> Case:
    """Shortcuts without normalisation: convolution, bias, sum and ReLU are what a runtime likes to merge."""
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    for _ in range(2):
        y = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
        x = layers.ReLU()(layers.Add()([x, layers.Conv2D(8, 3, padding="same")(y)]))
    outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return _classifier(keras.Model(inputs, outputs), _numbers(N, 8, 8, 3), **kwargs)


def mlp_residual(**kwargs: Any) -> Case:
    inputs = layers.Input((12,))
    x = layers.Dense(16)(inputs)
    for _ in range(3):
        x = layers.Add()([x, layers.Dense(16)(layers.Dense(16, activation="relu")(x))])
        x = layers.BatchNormalization()(x)
    outputs = layers.Dense(3, activation="softmax")(x)
    return _classifier(keras.Model(inputs, outputs), _numbers(N, 12), **kwargs)


def densenet(**kwargs: Any) -> Case:
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    for _ in range(3):
        y = layers.Conv2D(4, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(x)))
        x = layers.Concatenate()([x, y])
    outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return _classifier(keras.Model(inputs, outputs), _numbers(N, 8, 8, 3), **kwargs)


def lstm(**kwargs: Any) -> Case:
    stack = [layers.LSTM(6, return_sequences=True), layers.LSTM(5)]
    model = keras.Sequential([layers.Input((7, 4)), *stack, layers.Dense(3, activation="softmax")])
    return _classifier(model, _numbers(N, 7, 4), **kwargs)


def gru(**kwargs: Any) -> Case:
    stack = [layers.Dense(4), layers.GRU(6, return_sequences=True), layers.SimpleRNN(5)]
    model = keras.Sequential([layers.Input((7, 4)), *stack, layers.Dense(3, activation="softmax")])
    return _classifier(model, _numbers(N, 7, 4), **kwargs)


def bidirectional(**kwargs: Any) -> Case:
    stack = [
        layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(5, activation="relu")),
        layers.Bidirectional(layers.GRU(3)),
    ]
    model = keras.Sequential([layers.Input((6, 4)), *stack, layers.Dense(3, activation="softmax")])
    return _classifier(model, _numbers(N, 6, 4), **kwargs)


def embedding(**kwargs: Any) -> Case:
    """Repeated ids, and a mask that reaches recurrent, normalising and pooling layers."""
    stack = [layers.Embedding(20, 6, mask_zero=True), layers.Dense(6, activation="relu"), layers.LayerNormalization()]
    model = keras.Sequential(
        [layers.Input((9,), dtype="int32"), *stack, layers.LSTM(5, return_sequences=True), layers.GlobalAveragePooling1D(),
         layers.Dense(3, activation="softmax")]
    )  # fmt: skip
    x = np.random.default_rng(2).integers(1, 20, (N, 9)).astype("int32")
    x[:, 6:] = 0
    x[1::2, 4:] = 0
    return _classifier(model, x, **kwargs)


def transformer(mask: bool = False, **kwargs: Any) -> Case:
    inputs = layers.Input((8,), dtype="int32")
    x = layers.Embedding(12, 16, mask_zero=mask)(inputs)
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 8, dropout=0.1)(y, y)])
        y = layers.Dense(32, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dropout(0.1)(layers.Dense(16)(y))])
    outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    tokens = np.random.default_rng(3).integers(1, 12, (N, 8)).astype("int32")
    tokens[::2, 5:] = 0 if mask else 1
    return _classifier(keras.Model(inputs, outputs), tokens, **kwargs)


def nested(**kwargs: Any) -> Case:
    """A Sequential in a Functional model, and a layer that is called twice."""
    inner = keras.Sequential([layers.Input((8,)), layers.Dense(8, activation="elu"), layers.Dense(8)], name="inner")
    shared = layers.Dense(8, activation="silu", name="shared")
    inputs = layers.Input((8,))
    x = inner(shared(inputs))
    outputs = layers.Dense(3, activation="softmax")(shared(x))
    return _classifier(keras.Model(inputs, outputs), _numbers(N, 8), **kwargs)


class Pair(layers.Layer):
    """Gives a dict of a tensor and a tuple, and holds a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = layers.Dense(6, activation="relu"), layers.Dense(6)

    def build(self, shape: Any) -> None:
        self.gain = self.add_weight(shape=(6,), initializer="ones", name="gain")
        self.left.build(shape)
        self.right.build(shape)

    def call(self, x: Any) -> Any:
        left, right = self.left(x), self.right(x)
        return {"product": left * self.gain, "both": (left + right, right)}


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair()
        self.blocks = [layers.Dense(6, activation="tanh"), layers.Dense(6)]
        self.head = layers.Dense(3, activation="softmax")
        self.unused = layers.Dense(4)

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.unused.build(shape)
        super().build(shape)

    def call(self, x: Any) -> Any:
        parts = self.pair(x)
        y = parts["product"] + parts["both"][0]
        for block in self.blocks:
            y = block(y)
        return self.head(y * self.scale)


def subclassed(**kwargs: Any) -> Case:
    return _classifier(Subclassed(), _numbers(N, 8), **kwargs)


def several_outputs(**kwargs: Any) -> Case:
    left, right = layers.Input((5,), name="left"), layers.Input((4,), name="right")
    x = layers.Concatenate()([layers.Dense(6, activation="relu")(left), layers.Dense(6, activation="sigmoid")(right)])
    first, second = layers.Dense(3, activation="softmax", name="first")(x), layers.Dense(1, name="second")(x)
    model = keras.Model({"left": left, "right": right}, {"first": first, "second": second})
    model.compile("rmsprop", {"first": CROSS_ENTROPY, "second": "mse"}, loss_weights={"first": 1.0, "second": 0.3}, **kwargs)
    return Case(model, {"left": _numbers(N, 5), "right": _numbers(N, 4)}, {"first": _classes(N), "second": _numbers(N, 1)})


def frozen(**kwargs: Any) -> Case:
    case = mlp(**kwargs)
    case.model.layers[1].trainable = False
    return _classifier(case.model, case.x, **kwargs)


def lora(**kwargs: Any) -> Case:
    case = mlp(**kwargs)
    case.model.layers[1].enable_lora(2)
    return _classifier(case.model, case.x, **kwargs)


class Gan(keras.Model):
    """Two optimizers, and a generator's loss that passes through the discriminator without training it."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = keras.Sequential([layers.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(6)])
        self.discriminator = keras.Sequential([layers.Input((6,)), layers.Dense(8), layers.LeakyReLU(), layers.Dense(1)])

    def compile(self, **kwargs: Any) -> None:
        super().compile(**kwargs)
        self.d_optimizer, self.g_optimizer = keras.optimizers.Adam(1e-3), keras.optimizers.SGD(1e-2)
        self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

    def call(self, x: Any) -> Any:
        return self.discriminator(x)

    def train_step(self, data: Any) -> Any:
        real, noise = data
        fake = self.generator(noise)
        with tf.GradientTape() as tape:
            judged = self.discriminator(tf.concat([real, fake], 0))
            labels = tf.concat([tf.ones([BATCH, 1]), tf.zeros([BATCH, 1])], 0)
            d_loss = self.loss_fn(labels, judged)
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights, strict=True))
        with tf.GradientTape() as tape:
            g_loss = self.loss_fn(tf.ones([BATCH, 1]), self.discriminator(self.generator(noise)))
        weights = self.generator.trainable_weights
        self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights, strict=True))
        return {"d_loss": d_loss, "g_loss": g_loss}


def gan(**kwargs: Any) -> Case:
    model = Gan()
    model.compile(**kwargs)
    return Case(model, _numbers(N, 6), _numbers(N, 4))


def mobilenet(**kwargs: Any) -> Case:
    model = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=3)
    return _classifier(model, _numbers(N, 32, 32, 3), **kwargs)


def resnet50v2(**kwargs: Any) -> Case:
    model = keras.applications.ResNet50V2(weights=None, input_shape=(32, 32, 3), classes=3)
    return _classifier(model, _numbers(N, 32, 32, 3), **kwargs)


GRID: dict[str, Callable[..., Case]] = {
    "mlp": mlp,
    "mlp_sigmoid": lambda **kw: mlp("sigmoid", **kw),
    "mlp_dropout": mlp_dropout,
    "cnn": cnn,
    "resnet": resnet,
    "resnet_plain": resnet_plain,
    "mlp_residual": mlp_residual,
    "densenet": densenet,
    "lstm": lstm,
    "gru": gru,
    "bidirectional": bidirectional,
    "embedding": embedding,
    "transformer": transformer,
    "transformer_mask": lambda **kw: transformer(True, **kw),
    "nested": nested,
    "subclassed": subclassed,
    "several_outputs": several_outputs,
    "frozen": frozen,
    "lora": lora,
    "gan": gan,
    "mobilenet": mobilenet,
    "resnet50v2": resnet50v2,
}
