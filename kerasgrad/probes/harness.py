"""How a model is asked: what it is given, and that it is left as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasgrad.probes.numbers import bad
from kerasgrad.taps import seams


def check_model(model: object, probe: str, *, compiled: bool = False) -> None:
    """Makes sure that a model can be asked.

    Args:
        model: what was given for one.
        probe: name of the probe, for the message.
        compiled: whether it needs a loss and an optimizer.

    Raises:
        TypeError: it is no model of Keras 3.
        ValueError: it is not compiled, or without an optimizer.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"`{probe}` takes a Keras model. Received: model of type {type(model).__name__}")
    if compiled and (not getattr(model, "compiled", False) or model.optimizer is None):
        raise ValueError(
            f"`{probe}` asks what a training step would do, so the model needs a loss and an optimizer: call "
            f"model.compile(optimizer, loss) first. Received: model={model.name!r}, compiled={bool(model.compiled)}"
        )


def as_batch(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """One batch as `fit` hands it to a training step: floats in Keras' own precision, all else as it is.

    Args:
        x: inputs, `[examples, ...]`, or a structure of such arrays.
        y: targets, likewise, or None.
        sample_weight: likewise, or None.

    Returns:
        The data of one `train_step`.

    Raises:
        ValueError: there is no example, or the arrays differ in their number.
    """
    return keras.utils.pack_x_y_sample_weight(*_tensors(x, y, sample_weight))


def as_inputs(x: Any) -> Any:
    """Inputs alone, likewise: a tensor, or a structure of tensors."""
    return _tensors(x)[0]


def check_no_dataset(*parts: Any) -> None:
    """Makes sure that no dataset, generator or the like was given in the place of arrays.

    Raises:
        ValueError: one was.
    """
    for part in keras.tree.flatten(list(parts)):
        if isinstance(part, tf.data.Dataset | keras.utils.PyDataset | Iterator):
            raise ValueError(
                "Arrays are asked for: of a dataset take one batch, `x, y = next(iter(dataset))`, or more of it, "
                f"`next(iter(dataset.rebatch(1000)))`. Received: a {type(part).__name__}"
            )


def check_arrays(*parts: Any) -> None:
    """Makes sure that inputs, targets and the like are arrays, or structures of them.

    Raises:
        ValueError: they are a dataset, or lists of numbers.
    """
    check_no_dataset(*parts)
    given = [part for part in keras.tree.flatten(list(parts)) if part is not None]
    single = sum(not (part.shape.rank if tf.is_tensor(part) else np.ndim(part)) for part in given)
    if single:
        raise ValueError(
            "A list or tuple counts as several inputs or outputs, each an array with the examples along its first axis: of "
            "lists of numbers make one array, `np.asarray(x)`, and give a single example as a batch of one, `x[None]`. "
            f"Received: {len(given)} inputs and outputs, {single} of which are single values"
        )


def check_finite(probe: str, **parts: Any) -> None:
    """Makes sure that inputs or labels hold no NaN and no infinity, which would make all that is asked NaN.

    Args:
        probe: its name, for the message.
        **parts: arrays or tensors or structures of them, by the name of the argument.

    Raises:
        ValueError: some example does.
    """
    for name, part in parts.items():
        rows = bad(part)
        if rows.any():
            raise ValueError(
                f"`{probe}` takes finite numbers: leave out the examples with NaN or infinity, or fill these in. Received: "
                f"{name} with such numbers in {rows.sum()} of {len(rows)} examples, the first of them {rows.argmax()}"
            )


def _tensors(*parts: Any) -> list[Any]:
    check_arrays(*parts)
    given = [keras.tree.map_structure(_tensor, part) for part in parts]
    lengths = [int(tensor.shape[0]) for tensor in tf.nest.flatten(given) if tf.is_tensor(tensor)]
    if len(set(lengths)) != 1 or not lengths[0]:
        raise ValueError(
            "A batch takes arrays with the same number of examples, at least one, along their first axis. Received: "
            f"{len(lengths)} arrays, of {lengths[:8]} examples"
        )
    return given


def _tensor(values: Any) -> Any:
    if values is None:
        return None
    tensor = values if tf.is_tensor(values) else tf.convert_to_tensor(np.asarray(values))
    return tf.cast(tensor, keras.config.floatx()) if tensor.dtype.is_floating else tensor


def build(model: keras.Model, inputs: Any) -> None:
    """Builds a model that is not built yet by calling it, as its first training step would."""
    if not model.built:
        with preserved(model):
            model(inputs)


class _Held(seams.Listener):
    """Keeps the optimizer from updating anything."""

    def on_apply(self, apply: Any, optimizer: Any, grads: Any, variables: Any) -> None:
        """Does nothing in the place of the update."""


def step_without_update(model: keras.Model, data: Any, listener: seams.Listener) -> None:
    """Runs the model's own `train_step` once, eagerly, and holds its updates back.

    Args:
        model: a compiled model; what the forward pass changes of it is for `preserved` to put back.
        data: see `as_batch`.
        listener: is told of layers, tape and the gradients that would be applied.
    """
    # The last one to listen is the nearest to the optimizer: the listener sees the gradients before they are held.
    with seams.installed(), seams.listening(listener), seams.listening(_Held()):
        model.train_step(data)


@contextlib.contextmanager
def preserved(model: keras.Model) -> Iterator[None]:
    """Afterwards, whatever happened, the variables of a model and its optimizer are what they were, bit for bit.

    Weights, moving averages, seeds of dropout, metrics, the optimizer's own. A metric that Keras builds meanwhile is as if
    it had never been updated.
    """
    kept = [(variable, np.array(variable)) for variable in _variables(model)]
    known = {id(variable) for variable, _ in kept}
    try:
        yield
    finally:
        for metric in model.metrics:
            if any(id(variable) not in known for variable in metric.variables):
                metric.reset_state()
        for variable, value in kept:
            variable.assign(value)


def _variables(model: keras.Model) -> list[Any]:
    optimizer = getattr(model, "optimizer", None)
    of_metrics = [variable for metric in model.metrics for variable in metric.variables]
    return [*model.variables, *of_metrics, *(optimizer.variables if optimizer is not None else ())]
