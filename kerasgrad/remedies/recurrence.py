"""Recurrent layers with gates, and gates that begin open."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerasgrad.remedies.graph import ALL, Edit, Graph
from kerasgrad.remedies.remedy import Given, by_graph

SHARED = (
    "name", "trainable", "dtype", "return_sequences", "return_state", "go_backwards", "stateful", "unroll", "units",
    "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer", "recurrent_regularizer", "bias_regularizer",
    "activity_regularizer", "kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout",
    "zero_output_for_mask",
)  # fmt: skip
"""Entries of its configuration that a simple cell has in common with one that has gates."""


def use_lstm(given: Given, graph: Graph) -> Edit:
    """LSTM in the place of each SimpleRNN, also in Bidirectional: the state is carried by a gate and not by a matrix.

    Units, sequences, regularisers and the name stay. The layer's weights begin anew, with orthogonal recurrent kernels and
    forget gates open; there are four times as many. All other layers keep theirs. A layer that hands its state on
    (`return_state`) is left alone, since an LSTM has two.

    Source: Hochreiter & Schmidhuber 1997, Long short-term memory; Gers et al. 2000, Learning to forget.
    """
    return _gated(graph, keras.layers.LSTM)


def use_gru(given: Given, graph: Graph) -> Edit:
    """GRU in the place of each SimpleRNN, with three times the weights. Else as `use_lstm`.

    Source: Cho et al. 2014, Learning phrase representations using RNN encoder-decoder.
    """
    return _gated(graph, keras.layers.GRU)


def _gated(graph: Graph, cls: Any) -> Edit:
    edit = Edit()
    for call in graph.calls:
        layer = call.layer
        one = getattr(layer, "forward_layer", layer)
        if not isinstance(one, keras.layers.SimpleRNN) or one.return_state or id(layer) in edit.replace:
            continue
        said = f"{call.path}: SimpleRNN -> {cls.__name__}"
        edit.add(said, replace=(layer, functools.partial(_with_gates, layer, cls)), redraw=(layer, ALL))
    return edit


def _with_gates(layer: Any, cls: Any) -> Any:
    def one(of: Any) -> Any:
        return cls(**{name: value for name, value in of.get_config().items() if name in SHARED})

    if not isinstance(layer, keras.layers.Bidirectional):
        return one(layer)
    back = one(layer.backward_layer)
    return keras.layers.Bidirectional(one(layer.forward_layer), layer.merge_mode, backward_layer=back, name=layer.name)


def set_forget_bias(given: Given, graph: Graph) -> Edit:
    """The gate that keeps the memory begins open: bias 1 at an LSTM's forget gate and at a GRU's update gate.

    All other weights are kept. It does nothing for SimpleRNN, which has no gate.

    Source: Gers et al. 2000, Learning to forget; Jozefowicz et al. 2015, An empirical exploration of recurrent networks.
    """
    return _biased(graph, lambda units, steps: np.ones(units), False, "1")


def set_chrono_bias(given: Given, graph: Graph) -> Edit:
    """Gates that begin with memories of all lengths up to the sequence's: bias log u, u uniform in 1 to T - 1.

    At an LSTM's forget gate, with the opposite at its input gate, and at a GRU's update gate. T is the length of the
    sequences that the model or the sample has. All other weights are kept.

    Source: Tallec & Ollivier 2018, Can recurrent neural networks warp time, section 2.1.
    """
    return _biased(graph, chrono, True, "log u", _steps(given))


def _steps(given: Given) -> int | None:
    shapes = [np.shape(values) for values in keras.tree.flatten(given.x)] if given.x is not None else []
    return shapes[0][1] if shapes and len(shapes[0]) > 1 else None


def _biased(graph: Graph, biases: Callable[[int, int], Any], opposite: bool, word: str, length: int | None = None) -> Edit:
    edit = Edit()
    for call in graph.calls:
        layer = call.layer
        one = getattr(layer, "forward_layer", layer)
        kind = keras.layers.LSTM, keras.layers.GRU
        if not isinstance(one, kind) or not one.use_bias or id(layer) in edit.values:
            continue
        shape = call.inputs[0].shape
        steps = (shape[1] if len(shape) > 2 else None) or length
        if opposite and steps is None:
            continue
        gate = "forget" if isinstance(one, keras.layers.LSTM) else "update"
        edit.add(
            f"{call.path}: bias {word} at the {gate} gate", values=(layer, _set(one, biases, int(steps or 0), opposite))
        )
    return edit


def _set(one: Any, biases: Callable[[int, int], Any], steps: int, opposite: bool) -> Any:
    def changed(weights: dict[str, Any]) -> dict[str, Any]:
        of_gates = [name for name in weights if name.rpartition("/")[2] == "bias"]
        return weights | {name: opened(weights[name], biases(one.units, steps), opposite) for name in of_gates}

    return changed


def chrono(units: int, steps: int) -> Any:
    """Biases of gates that forget over times spread evenly in 1 to T - 1, `[units]`."""
    return np.log(np.array(keras.random.uniform((units,), 1.0, max(2.0, steps - 1.0))))


def opened(bias: Any, kept: Any, opposite: bool) -> Any:
    """The bias of an LSTM or GRU with that of the gate that keeps the memory set.

    Args:
        bias: as Keras has it: `[4 units]` of an LSTM (input, forget, candidate, output), `[2, 3 units]` or `[3 units]` of a
            GRU (update, reset, candidate; the first of two rows belongs to the input).
        kept: what the gate is to begin with, `[units]`.
        opposite: whether an LSTM's input gate is to begin with the opposite.

    Returns:
        Another array of the same shape.
    """
    value, units = np.array(bias), len(kept)
    if value.shape == (4 * units,):
        value[units : 2 * units] = kept
        if opposite:
            value[:units] = -kept
    else:
        (value[0] if value.ndim == 2 else value)[:units] = kept
    return value


REMEDIES = (
    by_graph(use_lstm, "self.recurrent = keras.layers.LSTM(units)  # in the place of SimpleRNN"),
    by_graph(use_gru, "self.recurrent = keras.layers.GRU(units)  # in the place of SimpleRNN"),
    by_graph(set_forget_bias, "self.recurrent = keras.layers.LSTM(units, unit_forget_bias=True)"),
    by_graph(
        set_chrono_bias,
        "memory = np.log(np.random.uniform(1, steps - 1, units))\n"
        "bias = np.array(lstm.cell.bias)\n"
        "bias[:units], bias[units : 2 * units] = -memory, memory  # after the layer is built\n"
        "lstm.cell.bias.assign(bias)",
        needs=("x",),
    ),
)
