"""How to read a tensor of the training step without changing what the runtime makes of the step.

A graph optimizer may merge an operation into its only reader. A second reader forbids that, and where the merged kernel
rounds differently, so does the training from then on. Found so far, on CPU, by training with and without each tap:

- an addition feeding only another addition (a normalised branch that joins its shortcut): both become one sum;
- a loss that is a sum and goes into a metric's sum;
- a contraction with bias feeding only a tanh, sigmoid, ELU or an addition (`Dense` followed by its activation as a
  layer of its own, or joined to a shortcut at once): all become one kernel.

There we read a twin of the operation instead: the same numbers, computed once more, and the original left alone. Readers
that are merged but round the same (ReLU, LeakyReLU, GELU, SiLU) need no twin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

_ADDITIONS = frozenset({"AddV2", "Add", "AddN", "Sub"})
_MERGED_WITH_BIAS = _ADDITIONS | {"Tanh", "Sigmoid", "Elu"}
_CONTRACTIONS = frozenset({"MatMul", "Conv2D", "Conv3D", "DepthwiseConv2dNative"})


_ARRAYS = (tf.Tensor, tf.RaggedTensor, tf.SparseTensor, np.ndarray)
SCOPE = "kerasgrad_taps"
"""Name scope of all that is added to a step, so that our own readers are told from the step's."""


def examples(given: Any) -> Any:
    """How many examples a step is given: the length of the first axis of the first tensor that has one.

    Args:
        given: the arguments of the step, in any structure; of data in the order of Keras the inputs come first.

    Returns:
        A number, a scalar tensor where only the run knows it, or None where no argument has an axis, as of an iterator.
    """
    arrays = (value for value in tf.nest.flatten(given) if isinstance(value, _ARRAYS))
    for value in arrays:
        shape = tf.TensorShape(value.shape)
        if shape.rank:
            return tf.shape(value)[0] if shape[0] is None else shape[0]
    return None


def unobtrusive(tensor: Any) -> Any:
    """A tensor with the same values, to be read by statistics.

    Args:
        tensor: an output in the graph of the step, complete but for what we add in `SCOPE`; or an eager tensor.

    Returns:
        The tensor itself, or its twin where reading it would undo a merger.
    """
    if tf.executing_eagerly():
        return tensor
    op, readers = tensor.op, [reader for reader in tensor.consumers() if SCOPE not in reader.name]
    if len(readers) != 1:
        return tensor
    if op.type == "AddV2" and readers[0].type in _ADDITIONS:
        # The older op of the same meaning: two equal ops of one type would be made one again.
        return tf.raw_ops.Add(x=unobtrusive(op.inputs[0]), y=unobtrusive(op.inputs[1]))
    if op.type == "BiasAdd" and readers[0].type in _MERGED_WITH_BIAS and op.inputs[0].op.type in _CONTRACTIONS:
        return tf.raw_ops.BiasAdd(value=_twin(op.inputs[0].op), bias=op.inputs[1], data_format=_attribute(op, "data_format"))
    return tensor


def unobtrusive_sum(tensor: Any) -> Any:
    """A loss with the same value: what is a sum of terms is added up once more, whoever reads it.

    A loss that is the sum of terms often goes into the sum of a metric next, and all become one sum.

    Args:
        tensor: the target of a gradient call.
    """
    if tf.executing_eagerly() or tensor.op.type != "AddV2":
        return tensor
    return tf.raw_ops.Add(x=unobtrusive_sum(tensor.op.inputs[0]), y=unobtrusive_sum(tensor.op.inputs[1]))


def _twin(contraction: Any) -> Any:
    """The same contraction once more, of a kernel that the graph optimizer cannot see to be the same."""
    names = [argument.name for argument in contraction.op_def.input_arg]
    inputs = dict(zip(names, contraction.inputs, strict=True))
    kernel = inputs[names[1]]
    inputs[names[1]] = tf.raw_ops.PlaceholderWithDefault(input=kernel, shape=kernel.shape)
    attributes = {a.name: _attribute(contraction, a.name) for a in contraction.op_def.attr if a.type != "type"}
    return getattr(tf.raw_ops, contraction.type)(**inputs, **attributes)


def _attribute(op: Any, name: str) -> Any:
    value = op.get_attr(name)
    return value.decode() if isinstance(value, bytes) else value
