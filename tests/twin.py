"""An independent second implementation: a plain, eager GradientTape on the same batch and weights, and float64 NumPy.

It shares nothing with the package: outputs are caught at `layer.call` on the instance rather than at `__call__`, the
gradients are its own, and every statistic is computed from its definition.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


@dataclass
class Row:
    """What a row held in one step, as flat float64 arrays; None where there was nothing.

    Attributes:
        gradient: of all the row's variables, dense.
        clipped: the same after the optimizer's clipping.
        weight: before the update.
        update: what was added to it.
        update_before: the same in the step before.
        activation: entries that no mask leaves out, of all calls.
        signal: the gradient that reached them.
        curve: `"tanh"` or `"sigmoid"` where entries can saturate, else `""`.
        activity: per unit the sum of |a|; None where units are not followed.
        unit_signal: per unit the sum of |s|.
    """

    gradient: Any = None
    clipped: Any = None
    weight: Any = None
    update: Any = None
    update_before: Any = None
    activation: Any = None
    signal: Any = None
    curve: str = ""
    activity: Any = None
    unit_signal: Any = None


@dataclass(frozen=True)
class Twin:
    """A statistic from its definition.

    Attributes:
        of: of a row.
        scale: what an error of it is measured against, since rounding leaves noise about zero; 0 where it is exact.
    """

    of: Callable[[Row], float]
    scale: Callable[[Row], float] = lambda row: 0.0


def _size(quantity: str, how: Callable[[Any], Any]) -> Callable[[Row], float]:
    return lambda row: float(how(np.abs(getattr(row, quantity)))) if getattr(row, quantity).size else 0.0


def _norm(quantity: str) -> Twin:
    return Twin(*[lambda row: float(np.linalg.norm(getattr(row, quantity)))] * 2)


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _entries(quantity: str, prefix: str) -> dict[str, Twin]:
    def of(name: str) -> Callable[[Row], Any]:
        return {
            "mean": lambda row: getattr(row, quantity).mean(),
            "std": lambda row: getattr(row, quantity).std(),
            "max": lambda row: np.abs(getattr(row, quantity)).max(),
            "zeros": lambda row: (getattr(row, quantity) == 0).mean(),
            "nonfinite": lambda row: (~np.isfinite(getattr(row, quantity))).sum(),
        }[name]

    rms, largest = _size(quantity, _rms), _size(quantity, np.max)
    scales = {"mean": rms, "std": rms, "max": largest}
    return {
        f"{prefix}_{name}": Twin(of(name), scales[name]) if name in scales else Twin(of(name))
        for name in ("mean", "std", "max", "zeros", "nonfinite")
    }


def _ratio(row: Row) -> float:
    weight = np.linalg.norm(row.weight)
    return float(np.linalg.norm(row.update) / weight) if weight else float("nan")


def _cosine(row: Row) -> float:
    norms = np.linalg.norm(row.update) * np.linalg.norm(row.update_before)
    return float(row.update @ row.update_before / norms) if norms else float("nan")


def _saturated(row: Row) -> float:
    if not row.curve:
        return float("nan")
    return float((np.abs(row.activation if row.curve == "tanh" else 2 * row.activation - 1) > 0.97).mean())


def _followed(quantity: str, below: float) -> Twin:
    def share(row: Row) -> float:
        sums = getattr(row, quantity)
        return float("nan") if sums is None else float((sums <= below * sums.mean()).mean())

    return Twin(share)


TWINS: dict[str, Twin] = {
    "gradient_norm": _norm("gradient"),
    **_entries("gradient", "gradient"),
    "gradient_norm_clipped": _norm("clipped"),
    "weight_norm": _norm("weight"),
    "update_norm": _norm("update"),
    "update_ratio": Twin(_ratio, _ratio),
    "update_cosine": Twin(_cosine, lambda row: 1.0),
    **_entries("activation", "activation"),
    "signal_rms": Twin(lambda row: _rms(row.signal), lambda row: _rms(row.signal)),
    "dead_fraction": Twin(lambda row: float("nan") if row.activity is None else float((row.activity == 0).mean())),
    "dormant_fraction": _followed("activity", 0.025),
    "dormant_signal_fraction": _followed("unit_signal", 0.01),
    "saturated_fraction": Twin(_saturated),
}
"""A twin for each statistic of a variable or a layer. Add yours here."""


def _decay(signal: Any) -> float:
    return float(np.exp(-np.polyfit(np.arange(len(signal)), np.log(signal), 1)[0]))


def _through_depth(signal: Any) -> float:
    quarter = max(1, len(signal) // 4)
    return _rms(signal[:quarter]) / _rms(signal[-quarter:])


OVERALL_TWINS: dict[str, Callable[[list[Row], dict[str, float]], float]] = {
    **{name: lambda rows, given, name=name: given[name] for name in ("loss", "learning_rate", "iteration", "examples")},
    "loss_scale": lambda rows, given: given.get("loss_scale", 1.0),
    "loss_scale_overflow": lambda rows, given: 0.0,
    "sample_seconds": lambda rows, given: given["sample_seconds"],
    "overhead": lambda rows, given: given["overhead"],
    "gradient_norm": lambda rows, given: float(np.linalg.norm(np.concatenate([row.gradient for row in rows]))),
    "dead_fraction": lambda rows, given: float(
        (np.concatenate([row.activity for row in rows if row.activity is not None]) == 0).mean()
    ),
    "depth_ratio": lambda rows, given: _through_depth(np.array([_rms(row.signal) for row in rows])),
    "decay_factor": lambda rows, given: _decay(np.array([_rms(row.signal) for row in rows])),
}
"""Likewise of the whole model, from its layers and from what the step and the monitor say."""


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
