"""Recurrent nets: one cell or another, stacked or both ways, with the gate biases that decide how far they reach."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from kerasgrad.remedies.recurrence import chrono, opened
from zoo.parts import answer, assemble, at_least, check

CELLS = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


def recurrent(
    *,
    cell: str = "lstm",
    depth: int = 1,
    units: int = 32,
    activation: str = "tanh",
    recurrent_gain: float = 1.0,
    memory_bias: float | str | None = None,
    normalization: str | None = None,
    bidirectional: bool = False,
    sequence: bool = False,
    vocabulary: int | None = None,
    embedding: int = 16,
    padding: bool = False,
    dropout: float = 0.0,
    input_shape: tuple[int, ...] = (100, 2),
    outputs: int = 1,
    output_activation: str | None = None,
    name: str = "recurrent",
) -> keras.Model:
    """A net of recurrent layers that reads a sequence and gives one answer, or one at each step.

    Args:
        cell: `"simple_rnn"`, `"lstm"` or `"gru"`.
        depth: number of recurrent layers, one on the other.
        units: of each layer, and of each direction.
        activation: of the cells.
        recurrent_gain: factor of the orthogonal recurrent kernels; a linear cell with 1 keeps the length of its state, above
            it grows.
        memory_bias: what the bias of the gate that keeps the memory begins with (an LSTM's forget gate, a GRU's update
            gate): a number; `"chrono"`, `log u` with u uniform in 1 to T - 1 for sequences of T steps, and for an LSTM the
            opposite at the input gate; or None, Keras' own: 1 in an LSTM, 0 in a GRU.
        normalization: `"layer"` to normalise what each recurrent layer gives, or None.
        bidirectional: whether each layer reads both ways.
        sequence: whether there is an answer at each step; otherwise one, after the last.
        vocabulary: number of different symbols, for sequences of symbols, which are embedded first; None for numbers.
        embedding: length of the vector of a symbol.
        padding: whether symbol 0 stands for nothing, which fills short sequences up and is passed over.
        dropout: share that is dropped of what the recurrent layers are given and of what the answer is made of.
        input_shape: `(steps, features)`, or `(steps,)` for symbols.
        outputs: how many numbers an answer has.
        output_activation: `"softmax"` for classes, None for numbers.
        name: name of the model.

    Returns:
        The model; its layers are called `embedding`, `rnn1`, `rnn1_norm` ... and `answer`.

    Raises:
        ValueError: an argument is out of its range, or `memory_bias` is given for a cell without gates.

    References:
        Hochreiter & Schmidhuber 1997; Gers et al. 2000, Learning to forget; Jozefowicz et al. 2015; Tallec & Ollivier 2018,
        Can recurrent neural networks warp time, section 2.1; Pascanu et al. 2013.
    """
    check("cell", cell, CELLS)
    check("normalization", normalization, ("layer", None))
    if isinstance(memory_bias, str):
        check("memory_bias", memory_bias, ("chrono",))
    if memory_bias is not None and cell == "simple_rnn":
        raise ValueError(f"A simple_rnn has no gate whose bias could be set. Received: memory_bias={memory_bias!r}")
    at_least(1, depth=depth, units=units)
    if memory_bias == "chrono" and input_shape[0] is None:
        raise ValueError(f"`chrono` needs the length of the sequences. Received: input_shape={input_shape}")
    if padding and vocabulary is None:
        raise ValueError(f"Only symbols can be padding. Received: padding={padding}, vocabulary={vocabulary}")
    x = inputs = layers.Input(input_shape, name="input", dtype="float32" if vocabulary is None else "int32")
    if vocabulary is not None:
        x = layers.Embedding(vocabulary, embedding, mask_zero=padding, name="embedding")(x)
    x = layers.Dropout(dropout, name="input_drop")(x) if dropout else x
    made = []
    for number in range(1, depth + 1):
        layer = CELLS[cell](
            units,
            activation=activation,
            recurrent_initializer=keras.initializers.Orthogonal(recurrent_gain),
            return_sequences=sequence or number < depth,
            name=f"rnn{number}",
        )
        made.append(layers.Bidirectional(layer, name=f"rnn{number}") if bidirectional else layer)
        x = made[-1](x)
        if normalization is not None:
            x = layers.LayerNormalization(name=f"rnn{number}_norm")(x)
    x = layers.Dropout(dropout, name="answer_drop")(x) if dropout else x
    model = assemble(inputs, answer(outputs, activation=output_activation, name="answer")(x), name)
    if memory_bias is not None:
        for layer in made:
            for way in (layer.forward_layer, layer.backward_layer) if bidirectional else (layer,):
                _set_memory_bias(way.cell, memory_bias, input_shape[0])
    return model


def _set_memory_bias(cell: Any, memory_bias: float | str, steps: int) -> None:
    """Writes the biases into the built cell: an initialiser of our own would make saved models need this package."""
    is_chrono = isinstance(memory_bias, str)
    kept = chrono(cell.units, steps) if is_chrono else np.full(cell.units, memory_bias)
    cell.bias.assign(opened(cell.bias, kept, opposite=is_chrono))
