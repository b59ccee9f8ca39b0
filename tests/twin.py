"""An independent second implementation: a plain, eager GradientTape on the same batch and weights, and float64 NumPy.

It shares nothing with the package: outputs are caught at `layer.call` on the instance rather than at `__call__`, the
gradients are its own, and every statistic is computed from its definition.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Arrays = dict[str, Any]


def named(model: keras.Model, thing: Any) -> str:
    """The path of a layer or variable, without the model's own name in front."""
    return (thing.path or thing.name).removeprefix(f"{model.name}/")


@contextlib.contextmanager
def recorded_outputs(model: keras.Model) -> Iterator[dict[str, list[Any]]]:
    """Catches what each layer's `call` gives, by layer path, in order of completion.

    Keras hangs a mask on an output after `call`, and MultiHeadAttention takes it off its input again; so masks are noted
    in between, whenever a next layer begins, as `t.mask_then`.
    """
    outputs: dict[str, list[Any]] = {}

    def note_masks() -> None:
        for tensor in (t for tensors in outputs.values() for t in tensors):
            if getattr(tensor, "_keras_mask", None) is not None:
                tensor.mask_then = tensor._keras_mask

    layers = [layer for layer in model._flatten_layers(include_self=False)]
    for layer in layers:

        def call(*args: Any, _layer: Any = layer, _original: Any = layer.call, **kwargs: Any) -> Any:
            note_masks()
            given = _original(*args, **kwargs)
            if tf.executing_eagerly():
                tensors = [t for t in keras.tree.flatten(given) if isinstance(t, tf.Tensor) and t.dtype.is_floating]
                outputs.setdefault(named(model, _layer), []).extend(tensors)
            return given

        layer.__dict__["call"] = call
    try:
        yield outputs
        note_masks()
    finally:
        for layer in layers:
            layer.__dict__.pop("call", None)


def backward(
    model: keras.Model, x: Any, y: Any, sample_weight: Any = None
) -> tuple[Any, list[Any], dict[str, list[Any]], dict[str, list[Any]]]:
    """One forward and backward pass: loss, gradients, and per layer path its outputs and signals."""
    with recorded_outputs(model) as outputs, tf.GradientTape(persistent=True) as tape:
        predicted = model(x, training=True)
        loss = model.compute_loss(x=x, y=y, y_pred=predicted, sample_weight=sample_weight, training=True)
    gradients = [dense(g) for g in tape.gradient(loss, model.trainable_variables)]
    signals = {path: [signal(tape, loss, t) for t in tensors] for path, tensors in outputs.items()}
    return loss, gradients, outputs, signals


def signal(tape: tf.GradientTape, loss: Any, tensor: Any) -> Any:
    found = tape.gradient(loss, tensor)
    if found is None and hasattr(tensor, "_keras_logits"):
        found = tape.gradient(loss, tensor._keras_logits)
    return None if found is None else dense(found)


def dense(gradient: Any) -> Any:
    return None if gradient is None else tf.convert_to_tensor(gradient).numpy().astype(np.float64)


def of_gradient(gradient: Any) -> Arrays:
    """The statistics of one gradient, or of several flattened together."""
    g = gradient.reshape(-1)
    return {
        "gradient_norm": np.linalg.norm(g),
        "gradient_mean": g.mean(),
        "gradient_std": g.std(),
        "gradient_max": np.abs(g).max(),
        "gradient_zeros": (g == 0).mean(),
        "gradient_nonfinite": (~np.isfinite(g)).sum(),
    }


def of_activation(parts: list[Any], masks: list[Any]) -> Arrays:
    a = kept(parts, masks)
    return {
        "activation_mean": a.mean(),
        "activation_std": a.std(),
        "activation_max": np.abs(a).max(),
        "activation_zeros": (a == 0).mean(),
        "activation_nonfinite": (~np.isfinite(a)).sum(),
    }


def kept(parts: list[Any], masks: list[Any]) -> Any:
    """The entries that are not masked, of all parts together, in float64."""
    flat = []
    for part, mask in zip(parts, masks, strict=True):
        values = np.asarray(part, np.float64)
        flat.append(values.reshape(-1) if mask is None else values[spread(mask, values)])
    return np.concatenate(flat)


def spread(mask: Any, values: Any) -> Any:
    """A mask of the leading axes, for every entry."""
    mask = np.asarray(mask)
    return np.broadcast_to(mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim)), values.shape)


def scale_of(name: str, values: Any) -> float:
    """What an error is measured against: the norm for norms, the RMS for means and deviations, the maximum for extremes."""
    if name.endswith("norm"):
        return float(np.linalg.norm(values))
    if name.endswith("max"):
        return float(np.abs(values).max(initial=0.0))
    if name.endswith(("zeros", "nonfinite")):
        return 0.0
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
