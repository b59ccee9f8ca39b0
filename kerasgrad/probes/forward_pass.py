"""One forward pass through the layers that are compared, which can be differentiated again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasgrad.probes.tracing import Call, called, choice, named, not_of_each
from kerasgrad.taps.collector import LayerChoice
from kerasgrad.views.text import few

LOOKING_UP = (
    keras.layers.Embedding, keras.layers.CategoryEncoding, keras.layers.Discretization, keras.layers.IntegerLookup,
    keras.layers.Hashing,
)  # fmt: skip
"""LayerChoice that take their input for integers even where Keras hands it to them as floats, its default for an input."""


@dataclass
class ForwardPass:
    """One forward pass: what the layers gave, and the tape that can differentiate it.

    Attributes:
        paths: of the layers that are compared, in the order in which they were called.
        calls: their calls.
        nodes: where the passed begins, and then what each layer gave, each a list of tensors. It begins with the inputs, all
            of them together; in the place of integers, which have no derivative, stands what a layer makes of them.
        examples: how many went the passed.
        tape: persistent.
        left_out: why some layers that were chosen are not compared, by path.
    """

    paths: tuple[str, ...]
    calls: list[Call]
    nodes: list[list[Any]]
    examples: int
    tape: tf.GradientTape
    left_out: dict[str, str] = field(default_factory=dict)

    def back(self, upper: int, lower: Sequence[int], vectors: Any) -> list[list[Any]]:
        """The transposed Jacobians of one node with respect to others, times a vector for each example."""
        wanted = [self.nodes[row] for row in lower]
        found: list[list[Any]] = self.tape.gradient(self.nodes[upper][0], wanted, output_gradients=vectors)
        return found

    def begins_at(self, row: int) -> bool:
        """Whether the passed begins with what this layer gives."""
        return any(self.nodes[row][0] is tensor for tensor in self.nodes[0])

    def is_plain(self, row: int, random: np.random.Generator) -> bool:
        """Whether a layer gets what the node before gives, entry by entry, in whatever shape."""
        given, before = self.calls[row - 1].inputs[0], self.nodes[row - 1]
        if len(before) != 1 or not given.dtype.is_floating or entries([given]) != entries(before):
            return False
        if given is before[0]:
            return True
        signs = tf.constant(random.choice([-1.0, 1.0], given.shape), given.dtype)
        passed = self.tape.gradient(given, before[0], output_gradients=signs)
        same = ((given, before[0]), (signs, passed))
        return passed is not None and all(np.array_equal(np.ravel(a), np.ravel(b)) for a, b in same)


class Net:
    """A model and which of its layers are compared.

    Args:
        model: a model that is built.
        layers: the choice, as in `GradientMonitor`.
    """

    def __init__(self, model: keras.Model, layers: LayerChoice) -> None:
        self._model, self._choice = model, layers
        self._selects = choice(layers)

    @property
    def any_batch(self) -> bool:
        """Whether the model takes batches of any size; a layer that keeps its state from batch to batch does not."""
        return not any(getattr(layer, "stateful", False) for layer in self._model._flatten_layers())

    def forward(self, data: Any) -> ForwardPass:
        """Runs the model on a batch, as `predict` does.

        Raises:
            ValueError: fewer than two layers are chosen.
        """
        data = self._as_declared(data)
        inputs = [tensor for tensor in keras.tree.flatten(data) if tensor.dtype.is_floating]
        examples = int(keras.tree.flatten(data)[0].shape[0])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            calls = called(self._model, data, tape=tape)
        chosen = named([call for call in calls if self._selects(call.layer, call.path)])
        left_out = {path: why for path, call in chosen.items() if (why := _why_not(call, examples))}
        chosen = {path: call for path, call in chosen.items() if path not in left_out}
        if len(chosen) < 2:
            raise ValueError(
                "`jacobian` compares the outputs of at least two layers, each a single tensor of floats. The model called "
                f"{few([call.path for call in calls])}. Received: layers={self._choice!r}, which chooses {list(chosen)}"
            )
        begins = [call.outputs[0] for call in calls if _of_integers(call, examples)]
        nodes = [[*inputs, *begins], *(call.outputs for call in chosen.values())]
        return ForwardPass(tuple(chosen), list(chosen.values()), nodes, examples, tape, left_out)

    def _as_declared(self, data: Any) -> Any:
        """Integers as the floats that the model would make of them, such as pixels."""
        try:
            return keras.tree.map_structure(_as, _declared(self._model), data)
        except (TypeError, ValueError):  # another structure, which is the model's to understand
            return data


def entries(tensors: list[Any]) -> int:
    """Numbers in all of some tensors."""
    return sum(int(np.prod(tensor.shape)) for tensor in tensors)


def _declared(model: keras.Model) -> Any:
    """The inputs of a Functional or Sequential model; `[]` of others."""
    try:
        inputs = model.inputs or []
    except (AttributeError, ValueError):
        return []
    structure = getattr(model, "_inputs_struct", inputs)
    return structure[0] if isinstance(structure, list) and len(structure) == 1 else structure


def _as(declared: Any, tensor: Any) -> Any:
    wanted = keras.backend.standardize_dtype(declared.dtype)
    return tf.cast(tensor, wanted) if tensor.dtype.is_integer and "float" in wanted else tensor


def _why_not(call: Call, examples: int) -> str:
    """Why what a layer gives cannot be compared; `""` if it can."""
    if len(call.outputs) > 1:
        return "it gives several tensors"
    return not_of_each(call, examples)


def _of_integers(call: Call, examples: int) -> bool:
    """Whether a layer makes floats of each example's integers, as an embedding does."""
    integers = bool(call.inputs) and not any(tensor.dtype.is_floating for tensor in call.inputs)
    return (integers or isinstance(call.layer, LOOKING_UP)) and not _why_not(call, examples)
