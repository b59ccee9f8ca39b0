"""What goes into the model: the size of its inputs, the size of its batches."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np

from kerasgrad.remedies.graph import Edit, Graph, is_graph, rebuilt, unchanged
from kerasgrad.remedies.remedy import KEPT_ALL, Given, Remedied, Remedy, by_graph

LEAST_DEVIATION = 1e-2
"""Deviation of a column at least, relative to the root mean square of all: one that hardly varies is not blown up."""
BATCH, LARGER = 32, 4
SCALES = (keras.layers.Normalization, keras.layers.Rescaling, keras.layers.BatchNormalization)
"""Layers that bring inputs to another size."""


def standardize_inputs(given: Given, graph: Graph) -> Edit:
    """Subtracts the mean of each input column and divides by its deviation, in a `Normalization` layer behind the input.

    Both are taken from the sample `x` over all axes but the last; without a sample, but with a finding that says how large
    the inputs are, they are divided by that. Columns that hardly vary are divided by a hundredth of what the others have.
    All weights are kept, which had perhaps grown used to the old size. Integer inputs (symbols) are left alone, and those
    that the model scales itself.

    Source: LeCun et al. 1998, Efficient backprop, section 4.3.
    """
    values = _columns(given, graph)
    edit = Edit()
    if values is not None:
        flat = values.reshape(-1, values.shape[-1]).astype(np.float64)
        mean, deviation = flat.mean(0), flat.std(0)
        typical = float(np.sqrt(np.mean(deviation**2))) or 1.0
        variance = np.maximum(deviation, LEAST_DEVIATION * typical) ** 2
        if np.abs(mean).max() > typical / 10 or not 0.5 < typical < 2:
            edit.inputs = lambda t: keras.layers.Normalization(-1, mean, variance, name=_beside(graph, t))(t)
            edit.said.append(f"inputs: mean {mean.mean():.3g} and deviation {typical:.3g} of the sample -> 0 and 1")
    elif given.finding is not None and given.finding.rule == "unscaled_inputs" and _takes_scale(graph):
        size = given.finding.measured
        edit.inputs = lambda t: keras.layers.Rescaling(1 / size, name=_beside(graph, t))(t)
        edit.said.append(f"inputs: divided by {size:.3g}, their RMS by the finding")
    return edit


def rescale_pixels(given: Given, graph: Graph) -> Edit:
    """Divides the inputs by 255, in a `Rescaling` layer behind the input: pixels then go from 0 to 1. All weights are kept.

    Nothing changes where a sample of inputs shows that they are no pixels, or where they are integers of other meaning.

    Source: the range that Keras' own image models are given.
    """
    values = _columns(given, graph)
    fits = _takes_scale(graph) and (values is None or (values.min() >= 0 and 1.5 < values.max() <= 255))
    if not fits or graph.inner:
        return Edit()
    return Edit(inputs=lambda t: keras.layers.Rescaling(1 / 255, name=_beside(graph, t))(t), said=["inputs: divided by 255"])


def add_input_normalization(given: Given, graph: Graph) -> Edit:
    """Batch normalisation of the inputs, without scale and shift: means and deviations are learnt while it trains.

    It needs no sample. All weights are kept. Integer inputs are left alone.

    Source: Ioffe & Szegedy 2015, Batch normalization.
    """
    if not _takes_scale(graph) or graph.inner:
        return Edit()
    layer = {"center": False, "scale": False, "momentum": 0.9}
    return Edit(
        inputs=lambda t: keras.layers.BatchNormalization(**layer, name=_beside(graph, t))(t),
        said=["inputs: batch-normalised"],
    )


def _takes_scale(graph: Graph) -> bool:
    """Whether there is one input, of floats, that the model does not scale itself."""
    if len(graph.inputs) != 1 or "float" not in str(graph.inputs[0].dtype):
        return False
    fed = [call.layer for call in graph.calls if any(tensor is graph.inputs[0] for tensor in call.inputs)]
    return not any(isinstance(layer, SCALES) for layer in fed)


def _columns(given: Given, graph: Graph) -> Any:
    """The sample as an array; None without one, and for several inputs or symbols."""
    if given.x is None or graph.inner or not _takes_scale(graph):
        return None
    leaves = keras.tree.flatten(given.x)
    return np.asarray(leaves[0]) if len(leaves) == 1 else None


def _beside(graph: Graph, tensor: Any) -> str:
    return graph.free(f"{tensor.name}_scaled")


def larger_batch(given: Given) -> Remedied:
    """Four times as many examples in a step, at least 32: the model is a plain copy; the number goes to `fit`.

    All weights are kept. An epoch then has fewer steps.

    Source: McCandlish et al. 2018, An empirical model of large-batch training; Masters & Luschi 2018 for small ones.
    """
    size = max(BATCH, LARGER * (given.batch_size or BATCH // LARGER))
    said = f"batches of {size} examples"
    if not is_graph(given.model):
        return Remedied("larger_batch", advice=f"model.fit(x, y, batch_size={size})", batch_size=size)
    copy, _ = rebuilt(given.model, unchanged)
    return Remedied("larger_batch", copy, (said,), KEPT_ALL, batch_size=size)


REMEDIES = (
    by_graph(standardize_inputs, "x = (x - x_train.mean(axis=0)) / x_train.std(axis=0)", needs=("x", "finding")),
    by_graph(rescale_pixels, "x = x / 255"),
    by_graph(add_input_normalization, "x = keras.layers.BatchNormalization(center=False, scale=False)(x)"),
    Remedy("larger_batch", larger_batch, inspect.getdoc(larger_batch) or ""),
)
