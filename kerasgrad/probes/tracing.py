"""The anatomy of a model: which layers it calls in which order, and how the graph connects them.

The model is traced once, symbolically, with no data; so a subclassed model is seen as well as a Functional one, and a
shortcut that is a plain `x + y` as well as an `Add` layer.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf

from kerasgrad.taps import seams
from kerasgrad.taps.collector import LayerChoice, chooses
from kerasgrad.taps.layers import below, unique

OPAQUE = (
    keras.layers.RNN, keras.layers.Bidirectional, keras.layers.TimeDistributed, keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention, keras.layers.Attention, keras.layers.AdditiveAttention,
)  # fmt: skip
"""LayerChoice that are seen as one, whatever they call inside."""
NORMALIZATIONS = (
    keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.GroupNormalization,
    keras.layers.UnitNormalization, keras.layers.SpectralNormalization,
)  # fmt: skip

LINEAR = {
    "MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "Conv2D", "Conv3D", "DepthwiseConv2dNative",
    "Conv2DBackpropInput", "Conv3DBackpropInputV2", "DepthwiseConv2dNativeBackpropInput", "BiasAdd", "Add", "AddV2", "Sub",
    "Neg", "Mul", "Mean", "Sum", "Cumsum", "AvgPool", "AvgPool3D", "Identity", "StopGradient", "Cast", "Reshape", "Squeeze",
    "ExpandDims", "Transpose", "Pad", "PadV2", "MirrorPad", "Slice", "StridedSlice", "Split", "SplitV", "Unpack", "Tile",
    "BroadcastTo", "ReverseV2", "SpaceToBatchND", "BatchToSpaceND", "SpaceToDepth", "DepthToSpace", "ResizeBilinear",
    "ResizeNearestNeighbor", "ResizeBicubic",
}  # fmt: skip
"""Operations of TensorFlow that are linear in one input, the others fixed; any that is not known is taken for non-linear."""
JOINING = {"ConcatV2", "Pack"}
"""Operations that are linear in all their inputs together and leave them apart. A sum does not: behind a shortcut, layers no
longer stand in a row, and a product of two is not linear."""
FORMING = {
    "Identity", "Cast", "Reshape", "Squeeze", "ExpandDims", "Tile", "BroadcastTo", "Add", "AddV2", "Sub", "Neg", "Mul",
}  # fmt: skip
"""Operations that a gate may pass on its way to what it multiplies, such as to `1 - gate`."""
SHAPES = {"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"}
"""Operations whose result says nothing of the values that they are given."""


@dataclass
class Call:
    """One call of a layer that has no layers inside, or is opaque.

    Attributes:
        layer: the layer.
        path: its path without the model.
        inputs: its float or integer input tensors.
        outputs: its output tensors.
        shortest: weight layers on the shortest way from the model's inputs to its output, itself included.
        straight: weight layers in a row that end in it, without a non-linearity between them; its own activation aside.
        gate: whether it does nothing but multiply another branch, as in squeeze-and-excite.
    """

    layer: keras.Layer
    path: str
    inputs: list[Any]
    outputs: list[Any]
    shortest: int = 0
    straight: int = 0
    gate: bool = False


@dataclass
class Anatomy:
    """What was seen of a model.

    Attributes:
        calls: of layers, in order.
        outputs: tensors that the model gives.
        terms: losses of its own that its layers add, such as those of `add_loss`; regularisers of weights aside.
        reason: why nothing was seen, if so.
    """

    calls: list[Call] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    terms: int = 0
    reason: str = ""

    @cached_property
    def _made(self) -> dict[Any, Call]:
        return {t.ref(): call for call in self.calls for t in call.outputs}

    def maker(self, tensor: Any) -> Call | None:
        """The call that gave a tensor, through operations that leave values as they are."""
        for _ in range(8):
            if tensor.ref() in self._made:
                return self._made[tensor.ref()]
            if tensor.op.type not in ("Identity", "Reshape", "Cast", "Squeeze", "ExpandDims") or not tensor.op.inputs:
                return None
            tensor = tensor.op.inputs[0]
        return None

    def last(self) -> Call | None:
        """The call that gives the model's output; None for several outputs, or one that no layer gives."""
        return self.maker(self.outputs[0]) if len(self.outputs) == 1 else None


class CallNotes(seams.Listener):
    """Notes each call of a layer that calls no layer, or is opaque, or has a matrix of its own; symbolic or eager."""

    def __init__(self, model: keras.Model, tape: tf.GradientTape | None = None) -> None:
        self.model, self.calls, self._tape = model, list[Call](), tape
        self._stack: list[list[bool]] = []
        self._opaque = 0

    def on_layer(self, call: Callable[..., Any], layer: keras.Layer, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Runs the layer and notes it, unless it only calls others."""
        hidden, opaque = self._opaque > 0, isinstance(layer, OPAQUE)
        if self._stack and not hidden:
            self._stack[-1].append(True)
        self._stack.append([])
        self._opaque += opaque
        try:
            outputs = call(*args, **kwargs)
        finally:
            inside = self._stack.pop()
            self._opaque -= opaque
        if layer is not self.model and not hidden and (opaque or not inside or _own_matrix(layer)):
            path = below(self.model, layer.path or layer.name)
            self.calls.append(Call(layer, path, _tensors((args, kwargs)), _tensors(outputs)))
            if self._tape is not None:
                self._tape.watch([tensor for tensor in self.calls[-1].outputs if tensor.dtype.is_floating])
        return outputs


def anatomy(model: keras.Model, sequence_length: int | None = None) -> Anatomy:
    """Traces a model.

    Args:
        model: a model that is built.
        sequence_length: in the place of a first axis after the batch whose length is open.

    Returns:
        What was seen, or the reason why nothing was.
    """
    specs = _specs(model, sequence_length)
    if isinstance(specs, str):
        return Anatomy(reason=specs)
    listener, seen = CallNotes(model), Anatomy()

    def run(inputs: Any) -> Any:
        listener.calls.clear()  # what makes variables in its first trace, as a PReLU inside a Dense does, is traced again
        with seams.listening(listener):
            outputs = model(inputs, training=True)
        seen.outputs = _tensors(outputs)
        seen.terms = len(model.losses) - sum(variable.regularizer is not None for variable in model.trainable_variables)
        return outputs

    try:
        # What Keras warns of while it traces is what the audit is about to say.
        with seams.installed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            concrete = tf.function(run, autograph=False).get_concrete_function(specs)
    except Exception as error:
        return Anatomy(reason=f"it could not be traced without data: {type(error).__name__}: {_said(error)[:200]}")
    finally:
        model._clear_losses()  # tensors of that graph, which nobody can read
    seen.calls = listener.calls
    _measure_ways(seen, concrete.graph)
    return seen


def _said(error: Exception) -> str:
    """The first line that says something: Keras puts before it in which layer it was."""
    lines = [line for line in re.sub(r"\x1b\[\d*m", "", str(error)).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith("Exception encountered")), "")


def called(model: keras.Model, data: Any, *, tape: tf.GradientTape | None = None) -> list[Call]:
    """Runs a model on data as `predict` does and notes what its layers give.

    Args:
        model: the model.
        data: its inputs, as tensors.
        tape: is to watch what each layer gives, since it follows neither integers nor frozen weights by itself.

    Returns:
        The calls of layers that give tensors of floats, in order; only these stand among their `outputs`.
    """
    notes, training = CallNotes(model, tape), {"training": False} if model._call_has_training_arg else {}
    with seams.installed(), seams.listening(notes):
        model(data, **training)
    for call in notes.calls:
        call.outputs = [tensor for tensor in call.outputs if tensor.dtype.is_floating]
    # A layer that is built only now is called symbolically first.
    return [call for call in notes.calls if call.outputs and not any(map(tf.is_symbolic_tensor, call.outputs))]


def not_of_each(call: Call, examples: int) -> str:
    """Why what a layer gives is not of each example; `""` if it is, be it as several rows in the first axis."""
    of_each = all(tensor.shape.rank and tensor.shape[0] % examples == 0 for tensor in call.outputs)
    return "" if of_each else "what it gives is not of the examples one by one"


def named(calls: list[Call]) -> dict[str, Call]:
    """Calls by path; of a layer that is called again the later ones are numbered."""
    found: dict[str, Call] = {}
    for call in calls:
        found[unique(call.path, found)] = call
    return found


def choice(layers: LayerChoice) -> Callable[[keras.Layer, str], bool]:
    """What a user chose, as a predicate of a layer and its path; None: all that multiply by a matrix, also frozen ones."""
    return chooses(layers) if layers is not None else lambda layer, path: has_matrix(layer)


def _specs(model: keras.Model, sequence_length: int | None) -> Any:
    if not model.built:
        return "it is not built: call model.build(input_shape), or the model itself on a batch, first"
    try:
        inputs = model.inputs  # of a Functional or Sequential model
    except (AttributeError, ValueError):
        inputs = None
    if inputs:
        structure = getattr(model, "_inputs_struct", inputs)
        one = structure[0] if isinstance(structure, list) and len(structure) == 1 else structure
        # A batch size that the model itself fixes is kept: a stateful layer has a state for each example.
        return keras.tree.map_structure(
            lambda t: tf.TensorSpec(_shape(t.shape, sequence_length, batch=t.shape[0]), t.dtype), one
        )
    shapes = getattr(model, "_build_shapes_dict", None) or {}
    if len(shapes) != 1:
        return "the shapes that it was built with are not known: it is subclassed, with more than one input or none"
    shape = next(iter(shapes.values()))
    integer = isinstance(next(iter(model._flatten_layers(include_self=False)), None), keras.layers.Embedding)
    return tf.TensorSpec(_shape(shape, sequence_length), "int32" if integer else "float32")


def _shape(shape: Any, sequence_length: int | None, *, batch: int | None = None) -> list[int | None]:
    open_batch = [batch, *list(shape)[1:]]
    if sequence_length is not None and len(open_batch) > 1 and open_batch[1] is None:
        open_batch[1] = sequence_length
    return open_batch


def _tensors(structure: Any) -> list[Any]:
    return [t for t in keras.tree.flatten(structure) if isinstance(t, tf.Tensor)]


def has_matrix(layer: keras.Layer) -> bool:
    """Whether it multiplies by a matrix: dense, convolution, recurrent, attention; not an embedding or a normalisation."""
    if isinstance(layer, (*NORMALIZATIONS, keras.layers.Embedding)):
        return False
    return any(map(_own_matrix, layer._flatten_layers()))


def _own_matrix(layer: keras.Layer) -> bool:
    """Frozen or not: only the properties without an underscore leave out what is frozen."""
    return any(len(variable.shape) >= 2 for variable in layer._trainable_variables)


def is_weight_layer(layer: keras.Layer) -> bool:
    """Whether it multiplies by a matrix that is trained."""
    return has_matrix(layer) and any(len(variable.shape) >= 2 for variable in layer.trainable_variables)


@dataclass
class _Way:
    """How a tensor was come by: `shortest` and `straight` as of a `Call`, and the last non-linear operation on any way."""

    shortest: int = 0
    straight: int = 0
    bend: int = -1


def _measure_ways(seen: Anatomy, graph: Any) -> None:
    """Fills `shortest`, `straight` and `gate` of each call, by one walk through the operations in their order."""
    makers: dict[str, list[Call]] = {}
    for call in seen.calls:
        # A layer that hands its input on, as Dropout may, has made nothing.
        handed_on = {t.ref() for t in call.inputs}
        for tensor in call.outputs:
            if tensor.ref() not in handed_on:
                makers.setdefault(tensor.name, []).append(call)
    ways: dict[str, _Way] = {}
    captured = {t.op.name for _, t in graph.captures}
    for place, op in enumerate(graph.get_operations()):
        if op.type == "Placeholder":
            if op.name not in captured:
                ways[op.outputs[0].name] = _Way()
            continue
        given = [ways[t.name] for t in op.inputs if t.name in ways]
        if not given or op.type in SHAPES:
            continue
        way = _through(op, given, place=place)
        for i, tensor in enumerate(op.outputs):
            # Functions with a gradient of their own hand their inputs on beside their results.
            own = ways.get(op.inputs[i].name) if op.type == "IdentityN" else way
            if own is None:
                continue
            for call in filter(lambda call: is_weight_layer(call.layer), makers.get(tensor.name, [])):
                own = _behind(call, own, inputs=[ways[t.name] for t in call.inputs if t.name in ways])
            for call in makers.get(tensor.name, []):
                call.shortest = own.shortest
            ways[tensor.name] = own
    for call in seen.calls:
        call.gate = bool(call.outputs) and all(_gates(tensor, ways) for tensor in call.outputs)


def _gates(tensor: Any, ways: dict[str, _Way]) -> bool:
    """Whether all that is made of a tensor are products with another branch."""
    uses = [op for op in tensor.consumers() if op.type not in SHAPES]
    for op in uses:
        others = [t for t in op.inputs if t is not tensor and t.name in ways]
        product = op.type == "Mul" and bool(others)
        if not product and (others or op.type not in FORMING or not all(_gates(t, ways) for t in op.outputs)):
            return False
    return bool(uses)


def _through(op: Any, given: list[_Way], *, place: int) -> _Way:
    """The way of what an operation gives."""
    shortest, straight = min(way.shortest for way in given), max(way.straight for way in given)
    if op.type in JOINING or (op.type in LINEAR and len(given) == 1):
        return _Way(shortest, straight, max(way.bend for way in given))
    return _Way(shortest, 0, place)


def _behind(call: Call, way: _Way, *, inputs: list[_Way]) -> _Way:
    """The way of what a weight layer gives: another one in the row, if nothing inside bends it; its own activation does."""
    before = max((one.straight for one in inputs), default=0)
    opaque = isinstance(call.layer, OPAQUE)
    bent = opaque or way.bend > max((one.bend for one in inputs), default=-1)
    call.straight = 1 if opaque else before + 1
    return _Way(way.shortest + 1, 0 if bent else before + 1, way.bend)
