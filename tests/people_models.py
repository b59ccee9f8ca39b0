"""Models of all forms, trained by Keras' own step: several inputs and outputs, masks, states, penalties, shared layers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from people import Training, fast_program, fitted, layered, pictures, program, table, words


def _sequence(
    *parts: Any, inputs: Any, loss: str = "binary_crossentropy", last: str = "sigmoid", **options: Any
) -> keras.Model:
    model = keras.Sequential([inputs, *parts, layers.Dense(1, activation=last)])
    model.compile("adam", loss, **options)
    return model


@program
def stateful_lstm(seed: int) -> Training:
    """A recurrent net that remembers from batch to batch, with its states reset by a callback."""
    x = np.random.default_rng(seed).normal(size=(24, 5, 2)).astype("float32")
    cell = layers.LSTM(6, stateful=True)
    model = keras.Sequential([keras.Input((5, 2), batch_size=8), cell, layers.Dense(1)])
    model.compile("adam", "mse")
    reset = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: cell.reset_state())
    return fitted(model, x, x[:, -1, :1], shuffle=False, epochs=3, callbacks=[reset])


@fast_program
def masked_words(seed: int) -> Training:
    """Embedding with a mask, recurrent in both directions, with dropout."""
    parts = layers.Embedding(20, 6, mask_zero=True), layers.Bidirectional(layers.GRU(5, dropout=0.2)), layers.Dropout(0.3)
    return fitted(_sequence(*parts, inputs=keras.Input((None,), dtype="int32")), *words(seed))


@program
def recurrent_dropout_and_attention(seed: int) -> Training:
    """Stacked recurrent layers and Keras' attention over them."""
    x, y = words(seed)
    ids = keras.Input((9,), dtype="int32")
    h = layers.LSTM(6, return_sequences=True, recurrent_dropout=0.2)(layers.Embedding(20, 6)(ids))
    h = layers.MultiHeadAttention(2, 3, dropout=0.1)(h, h)
    model = keras.Model(ids, layers.Dense(1, activation="sigmoid")(layers.GlobalMaxPooling1D()(h)))
    model.compile("adam", "binary_crossentropy", metrics=[keras.metrics.AUC()])
    return fitted(model, x, y)


@program
def ragged_rows(seed: int) -> Training:
    """Rows of different lengths through `tf.data`, padded batch by batch."""
    x, y = words(seed)
    rows = tf.data.Dataset.from_tensor_slices((tf.RaggedTensor.from_tensor(x, padding=0), y))
    data = rows.map(lambda a, b: (a.to_tensor() if isinstance(a, tf.RaggedTensor) else a, b)).padded_batch(8)
    parts = layers.Embedding(20, 6, mask_zero=True), layers.LSTM(4)
    return fitted(_sequence(*parts, inputs=keras.Input((None,), dtype="int64")), data)


@program
def sparse_rows(seed: int) -> Training:
    """A bag of words as a sparse tensor, into a dense layer."""
    x, y = words(seed)
    bags = np.stack([np.bincount(row, minlength=20) for row in x]).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((tf.sparse.from_dense(bags), y)).batch(8)
    return fitted(_sequence(layers.Dense(6, activation="relu"), inputs=keras.Input((20,), sparse=True)), data)


@fast_program
def dictionary_in_two_out(seed: int) -> Training:
    """Inputs by name, outputs by name, a loss and a weight for each."""
    x, y = table(seed)
    inputs = {"first": keras.Input((8,), name="first"), "second": keras.Input((4,), name="second")}
    h = layers.Dense(8, activation="gelu")(layers.concatenate([inputs["first"], inputs["second"]]))
    outputs = {"kind": layers.Dense(3, name="kind")(h), "size": layers.Dense(1, name="size")(h)}
    model = keras.Model(inputs, outputs)
    losses = {"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mae"}
    model.compile("adam", losses, loss_weights={"kind": 0.3, "size": 2.0}, metrics={"kind": ["accuracy"]})
    return fitted(model, {"first": x, "second": x[:, :4]}, {"kind": y, "size": x[:, :1]})


@program
def siamese_with_shared_layers(seed: int) -> Training:
    """One encoder, called twice, inside a model that holds it."""
    x, y = table(seed)
    encoder = layered(10, 4)
    a, b = keras.Input((8,)), keras.Input((8,))
    apart = layers.Lambda(lambda pair: ops.abs(pair[0] - pair[1]), output_shape=(4,))([encoder(a), encoder(b)])
    model = keras.Model([a, b], layers.Dense(1, activation="sigmoid")(apart))
    model.compile("adam", "binary_crossentropy")
    return fitted(model, [x, x[::-1].copy()], (y == y[::-1]).astype("float32"))


class Tied(layers.Layer):
    """The transposed weights of an embedding as the last layer."""

    def __init__(self, embedding: layers.Embedding) -> None:
        super().__init__()
        self.embedding = embedding

    def build(self, shape: Any) -> None:
        """A bias of its own."""
        self.bias = self.add_weight(shape=(self.embedding.input_dim,), name="bias")

    def call(self, x: Any) -> Any:
        """Scores of all words."""
        return ops.matmul(x, ops.transpose(self.embedding.embeddings)) + self.bias


@program
def tied_embedding(seed: int) -> Training:
    """A language model whose first and last layer share their weights."""
    x, _ = words(seed)
    embedding, ids = layers.Embedding(20, 6), keras.Input((None,), dtype="int32")
    model = keras.Model(ids, Tied(embedding)(layers.GRU(6, return_sequences=True)(embedding(ids))))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fitted(model, x[:, :-1], x[:, 1:])


class Blocks(keras.Model):
    """Layers in lists and dictionaries, one of them made when it is first called."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = [[layers.Dense(8), layers.BatchNormalization()] for _ in range(3)]
        self.heads = {"a": layers.Dense(3), "b": layers.Dense(3)}
        self.late: Any = None

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Residual blocks; the projection is built lazily."""
        if self.late is None:
            self.late = layers.Dense(8, use_bias=False)
        x = self.late(x)
        for dense, norm in self.blocks:
            x = x + ops.relu(norm(dense(x), training=training))
        return self.heads["a"](x) + ops.tanh(self.heads["b"](x))


@program
def subclassed_lazily(seed: int) -> Training:
    """A subclassed model that nobody built before `fit`."""
    model = Blocks()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fitted(model, *table(seed))


@program
def normalized_pictures(seed: int) -> Training:
    """Augmentation, convolutions, batch, group and spectral normalisation."""
    x, y = pictures(seed)
    parts = [layers.RandomFlip(seed=1), layers.RandomTranslation(0.1, 0.1), layers.Rescaling(2.0, -1.0)]
    parts += [layers.Conv2D(6, 3, use_bias=False), layers.BatchNormalization(momentum=0.5), layers.ReLU()]
    parts += [layers.SpectralNormalization(layers.Conv2D(6, 3)), layers.GroupNormalization(2), layers.SeparableConv2D(4, 2)]
    training = fitted(_sequence(*parts, layers.GlobalAveragePooling2D(), inputs=keras.Input((8, 8, 1))), x, y)
    training.moves_otherwise = True  # the spectral norm is divided out of the kernel itself
    return training


class Frugal(layers.Layer):
    """A block whose activations are computed again on the way back."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = layers.Dense(16), layers.Dense(8)

    def build(self, shape: Any) -> None:
        """Both."""
        self.wide.build(shape)
        self.narrow.build((*shape[:-1], 16))

    def call(self, x: Any) -> Any:
        """A shortcut around what is forgotten."""
        return x + keras.remat(lambda h: self.narrow(ops.gelu(self.wide(h))))(x)


@program
def rematerialized(seed: int) -> Training:
    """Two of such blocks."""
    model = keras.Sequential([keras.Input((8,)), Frugal(), Frugal(), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return fitted(model, *table(seed))


class Penalty(layers.Layer):
    """A layer that adds a loss, and counts in a weight that nothing trains."""

    def build(self, shape: Any) -> None:
        """The count."""
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, x: Any) -> Any:
        """Small outputs are wanted."""
        self.count.assign_add(1.0)
        self.add_loss(0.01 * ops.mean(ops.square(x)) * self.count)
        return x


@program
def penalties_everywhere(seed: int) -> Training:
    """`add_loss`, regularizers of all kinds, constraints, and nets inside nets."""
    inner = keras.Sequential([layers.Dense(8, "relu", kernel_regularizer="l2", kernel_constraint="max_norm"), Penalty()])
    outer = keras.Sequential([inner, layers.ActivityRegularization(0.01), layers.Dense(8, bias_regularizer="l1")])
    model = keras.Sequential([keras.Input((8,)), outer, layers.UnitNormalization(), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return fitted(model, *table(seed))
