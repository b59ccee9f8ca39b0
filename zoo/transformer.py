"""Transformers: an encoder that classifies, a decoder that goes on with a text, a vision transformer; and what they lack."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from zoo.parts import EPSILON, answer, assemble, at_least, check

MLP = 4
"""The feed-forward layers are so many times as wide as the model. Vaswani et al. 2017, section 3.3."""


def transformer(
    *,
    kind: str = "classifier",
    depth: int = 2,
    width: int = 32,
    heads: int = 4,
    norm: str | None = "pre",
    shortcut: bool = True,
    feed_forward: bool = True,
    dropout: float = 0.0,
    epsilon: float = EPSILON,
    padding: bool = False,
    vocabulary: int = 64,
    patch: int = 4,
    input_shape: tuple[int, ...] = (32,),
    classes: int = 2,
    name: str = "transformer",
) -> keras.Model:
    """A stack of attention and feed-forward layers.

    Args:
        kind: `"classifier"`: reads symbols, averages over them, gives a class; `"language_model"`: sees only what came
            before and gives the next symbol at each place; `"vision"`: reads an image in patches and gives a class.
        depth: number of blocks.
        width: length of the vector at each place, a multiple of `heads`.
        heads: of each attention.
        norm: `"pre"`: layer normalisation before attention and feed-forward, and once at the end; `"post"`: after each sum;
            or None.
        shortcut: whether attention and feed-forward are added to their inputs.
        feed_forward: whether there is one after each attention.
        dropout: share that is dropped after attention and feed-forward.
        epsilon: of the normalisations. Keras' 1e-3 is as large as the variance of what its embeddings give at the start
            (0.0016), so that the first normalisation does not quite normalise; GPT-2 and BERT have 1e-5 and 1e-12.
        padding: whether symbol 0 stands for nothing, which fills short sequences up in front: nothing looks at it, places
            are counted from the first symbol, and the average leaves it out. Only of `"classifier"`.
        vocabulary: number of different symbols; not used by `"vision"`.
        patch: side of a patch in pixels; only used by `"vision"`.
        input_shape: `(places,)`, or height, width and channels for `"vision"`.
        classes: number of classes; a language model has its vocabulary instead.
        name: name of the model.

    Returns:
        The model; its layers are called `embedding`, `block1.attention`, `block1.dense1`, `block1.attention_sum` ... and
        `classes`.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Vaswani et al. 2017; Dosovitskiy et al. 2021; Xiong et al. 2020, On layer normalization in the transformer; Dong et
        al. 2021, Attention is not all you need.
    """
    check("kind", kind, ("classifier", "language_model", "vision"))
    check("norm", norm, ("pre", "post", None))
    at_least(1, depth=depth, heads=heads, width=width, patch=patch)
    if width % heads:
        raise ValueError(f"`width` is a multiple of `heads`. Received: width={width}, heads={heads}")
    if kind == "vision" and any(side is None or side % patch for side in input_shape[:2]):
        raise ValueError(
            "The image's sides are known, and multiples of `patch`; a border would be lost. Received: "
            f"patch={patch}, input_shape={input_shape}"
        )
    if kind != "vision" and input_shape[0] is None:
        raise ValueError(f"Each place has an embedding, so that there are so many. Received: input_shape={input_shape}")
    if padding and kind != "classifier":
        raise ValueError(f"Only a classifier passes padding over. Received: padding={padding}, kind={kind!r}")
    decodes = kind == "language_model"

    def around(x: Any, what: Any, label: str) -> Any:
        """A sublayer with its normalisation and its shortcut."""
        y = what(layers.LayerNormalization(epsilon=epsilon, name=f"{label}_norm")(x) if norm == "pre" else x)
        y = layers.Dropout(dropout, name=f"{label}_drop")(y) if dropout else y
        y = layers.Add(name=f"{label}_sum")([x, y]) if shortcut else y
        return layers.LayerNormalization(epsilon=epsilon, name=f"{label}_norm")(y) if norm == "post" else y

    def attention(label: str) -> Any:
        layer = layers.MultiHeadAttention(heads, width // heads, name=label)
        return lambda x: layer(x, x, attention_mask=None if told is None else told[:, None, :], use_causal_mask=decodes)

    def two_dense(label: str) -> Any:
        wide = layers.Dense(MLP * width, activation="gelu", name=f"{label}.dense1")
        narrow = layers.Dense(width, name=f"{label}.dense2")
        return lambda x: narrow(wide(x))

    inputs = layers.Input(input_shape, name="input", dtype="float32" if kind == "vision" else "int32")
    told = ops.not_equal(inputs, 0) if padding else None
    x = _embedded(inputs, told, kind, width, vocabulary, patch)
    for number in range(1, depth + 1):
        x = around(x, attention(f"block{number}.attention"), f"block{number}.attention")
        x = around(x, two_dense(f"block{number}"), f"block{number}.dense") if feed_forward else x
    if norm == "pre":
        x = layers.LayerNormalization(epsilon=epsilon, name="last.norm")(x)
    if not decodes:
        x = layers.GlobalAveragePooling1D(name="pool")(x, mask=told)
    outputs = answer(vocabulary if decodes else classes)(x)
    return assemble(inputs, outputs, name)


def _embedded(inputs: Any, told: Any, kind: str, width: int, vocabulary: int, patch: int) -> Any:
    """A vector at each place, `[examples, places, width]`, which says what is there and where that is."""
    if kind == "vision":
        x = layers.Conv2D(width, patch, patch, name="patches")(inputs)
        x = layers.Reshape((-1, width), name="places")(x)
    else:
        x = layers.Embedding(vocabulary, width, name="embedding")(inputs)
    counted = ops.ones_like(x[:, :, 0], dtype="int32") if told is None else ops.cast(told, "int32")
    places = ops.cumsum(counted, axis=1) - 1
    places = places if told is None else ops.maximum(places, 0)
    return layers.Add(name="embedding_sum")([x, layers.Embedding(x.shape[1], width, name="position")(places)])
