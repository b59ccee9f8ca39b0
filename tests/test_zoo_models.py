"""Models as published, in mixed precision, with padding, and out of range."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo

FAMILIES: dict[str, dict[str, Any]] = {
    "plain.relu": {"depth": 4, "width": 16},
    "lstm.last": {"units": 4, "input_shape": (6, 2), "outputs": 3, "output_activation": "softmax"},
    "cnn.small": {"depth": 1, "width": 4, "dense": 8, "dropout": 0.0, "input_shape": (8, 8, 3)},
    "resnet.cifar": {"depth": 8, "width": 4, "input_shape": (8, 8, 3)},
    "densenet.connected": {"depth": 10, "growth": 4, "width": 4, "input_shape": (8, 8, 3)},
    "unet.skips": {"depth": 1, "width": 4, "input_shape": (8, 8, 1)},
    "transformer.classifier": {"width": 8, "heads": 2, "vocabulary": 12, "input_shape": (6,)},
}


@pytest.mark.parametrize("name", FAMILIES)
def test_models_end_in_float32_under_mixed_precision(name: str) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    model = zoo.build(name, **FAMILIES[name])
    assert model.layers[-1].compute_dtype == "float32" and model.layers[-2].compute_dtype == "float16"


def test_a_softmax_in_float16_learns_nothing_from_what_is_surely_wrong() -> None:
    """Its answer is 0 and 1, the loss's limit cuts both off, and the gradient is exactly 0; in float32 it is 1."""
    found = []
    for kind in ("mixed_float16", "float32"):
        layer = keras.layers.Dense(2, activation="softmax", kernel_initializer="zeros", dtype=kind)
        layer.build((None, 3))
        layer.bias.assign([20.0, 0.0])
        with tf.GradientTape() as tape:
            loss = keras.losses.SparseCategoricalCrossentropy()(np.array([1]), layer(np.zeros((1, 3), "float32")))
        found.append(abs(float(tape.gradient(loss, layer.bias)[1])))
    assert found[0] == 0 and found[1] > 0.9


@pytest.mark.parametrize("name", ["lstm.last", "gru.bidirectional", "transformer.classifier"])
def test_padding_in_front_changes_nothing(name: str) -> None:
    family = {"units": 4} if "transformer" not in name else {"width": 8, "heads": 2}
    rng = np.random.default_rng(0)
    told = rng.integers(1, 12, (5, 6))
    padded = np.concatenate([np.zeros((5, 3), int), told], 1)
    for padding in (True, False):
        keras.utils.set_random_seed(0)
        model = zoo.build(name, vocabulary=12, input_shape=(9,), padding=padding, **family)
        longer = np.concatenate([np.zeros((5, 2), int), told, rng.integers(1, 12, (5, 1))], 1)
        whole = model.predict(padded, verbose=0)
        shorter = zoo.build(name, vocabulary=12, input_shape=(6,), padding=padding, **family)
        kept = [w[:6] if w.shape[0] == 9 and w.ndim == 2 and w.shape[1] == 8 else w for w in model.get_weights()]
        shorter.set_weights(kept)
        same = np.allclose(whole, shorter.predict(told, verbose=0), atol=1e-5)
        assert same == padding, "passed over only if asked for"
        assert not np.allclose(whole, model.predict(longer, verbose=0), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("lstm.last", {"depth": 0}),
        ("lstm.last", {"padding": True}),
        ("lstm.chrono", {"input_shape": (None, 2)}),
        ("gru.last", {"units": 0}),
        ("transformer.classifier", {"depth": 0}),
        ("transformer.classifier", {"heads": 0}),
        ("transformer.classifier", {"input_shape": (None,)}),
        ("transformer.language_model", {"padding": True}),
        ("transformer.vision", {"patch": 5}),
        ("resnet.cifar", {"stochastic_depth": 1.0}),
        ("resnet.cifar", {"stochastic_depth": -0.1}),
        ("unet.skips", {"input_shape": (None, None, 1)}),
        ("unet.skips", {"depth": 0}),
        ("cnn.small", {"depth": 0}),
        ("cnn.small", {"dropout": 0.5}),
        ("plain.relu", {"width": (3, 4)}),
    ],
)
def test_an_argument_out_of_range_is_named(name: str, override: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"Received: .*{next(iter(override))}="):
        zoo.build(name, **override)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [50, 101])
def test_weights_of_keras_applications_give_the_same_outputs(depth: int) -> None:
    theirs = getattr(keras.applications, f"ResNet{depth}")(weights=None, classifier_activation="softmax")
    ours = zoo.build("resnet.imagenet", depth=depth)
    rng = np.random.default_rng(0)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # a trained one has averages of its own
            shape = layer.gamma.shape
            layer.set_weights([rng.uniform(0.5, 1, shape), *rng.normal(0, 0.1, (2, *shape)), rng.uniform(0.5, 2, shape)])
    for one, other in _pairs(ours, theirs):
        weights = other.get_weights()
        one.set_weights(weights[:1] if isinstance(one, keras.layers.Conv2D) else weights)  # theirs have biases, of 0
    x = rng.normal(size=(2, 224, 224, 3)).astype("float32")
    assert np.allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-5, rtol=1e-3)


def _pairs(ours: keras.Model, theirs: keras.Model) -> list[tuple[Any, Any]]:
    """Layers with weights of both, block by block: the shortcut's stand first in Keras' blocks and last in ours."""
    stem = {"stem.conv": "conv1_conv", "stem.norm": "conv1_bn", "classes": "predictions"}
    found = []
    for layer in (layer for layer in ours.layers if layer.weights):
        name = stem.get(layer.name)
        if name is None:
            stage, block, kind = layer.name.split(".", 2)
            number = kind[-1] if kind[-1].isdigit() else "0"
            what = "conv" if "conv" in kind else "bn"
            name = f"conv{int(stage.removeprefix('stage')) + 1}_{block}_{number}_{what}"
        found.append((layer, theirs.get_layer(name)))
    return found
