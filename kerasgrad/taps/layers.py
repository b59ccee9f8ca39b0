"""Follows the forward pass: which layers are called, in which order, and what they give."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from kerasgrad.observation import Part

INNER_GRAPH = "it runs inside an inner graph (a loop, a condition, a vectorised map), which its tensors cannot leave"
PER_STEP = "it runs once per time step inside {outer}, whose row holds its variables; kerasgrad.through_time looks inside"
NOT_FLOAT = "its output is not a floating-point tensor"

Guard = Callable[[], AbstractContextManager[None]]
"""Within it a failure of the taps is noted and goes no further."""

_PER_STEP_LAYERS = (keras.layers.RNN, keras.layers.TimeDistributed)
RECURRENT = (keras.layers.RNN, keras.layers.Bidirectional)
_WRAPPERS = (keras.layers.Wrapper, keras.layers.Bidirectional)


@dataclass
class Called:
    """A layer that was called in the step, with all its calls."""

    layer: keras.Layer
    path: str
    position: int
    has_sublayers: bool = False
    parts: list[Part] = field(default_factory=list)
    time_input: Part | None = None
    ancestors: tuple[keras.Layer, ...] = ()


@dataclass
class _Frame:
    layer: keras.Layer
    path: str
    inside: list[Called] = field(default_factory=list)


class ForwardPass:
    """The calls of one step, in the order in which their outputs were ready.

    Args:
        root: the model that is trained; it gets no row of its own.
        selected: whether a layer, given with its path, is to be watched.
    """

    def __init__(self, root: keras.Model, selected: Callable[[keras.Layer, str], bool]) -> None:
        self.root = root
        self.selected = selected
        self.called: dict[int, Called] = {}
        self.not_examined: dict[int, tuple[keras.Layer, str, str]] = {}
        self.finished: list[keras.Layer] = []  # every layer that was called, whether it is selected or not
        self.passed_over = -1  # position among them of the last one that was left out because it is not selected
        self._graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        self._frames: list[_Frame] = []
        self._paths: set[str] = set()

    def here(self) -> bool:
        """Whether ops made now belong to the graph that the step belongs to."""
        if self._graph is None:
            return bool(tf.executing_eagerly())
        return not tf.executing_eagerly() and tf.compat.v1.get_default_graph() is self._graph

    @contextlib.contextmanager
    def outside(self) -> Iterator[bool]:
        """From an inner graph, the graph of the step, so that ops made within come before what the inner one does.

        It gives whether the graph of now is one inside the step's at all.
        """
        graph = tf.compat.v1.get_default_graph()
        while self._graph is not None and graph is not self._graph and getattr(graph, "outer_graph", None) is not None:
            graph = graph.outer_graph
        if self._graph is None or graph is not self._graph:
            yield False
            return
        with graph.as_default(), tf.control_dependencies(None):
            yield True

    def call(self, call: Callable[..., Any], layer: keras.Layer, args: tuple[Any, ...], kwargs: Any, guarded: Guard) -> Any:
        """Runs a layer and notes what it gave; what is ours runs within `guarded`."""
        frame = None
        with guarded():
            frame = self._enter(layer)
        try:
            outputs = call(*args, **kwargs)
        finally:
            if frame is not None:
                self._frames.remove(frame)
        if frame is not None:
            with guarded():
                self._note(frame, outputs, args, kwargs)
        return outputs

    def _enter(self, layer: keras.Layer) -> _Frame | None:
        """Opens a frame for a layer that can be examined."""
        if layer is self.root:
            return None
        path, reason = self._path_of(layer), self._why_not()
        if reason:
            self.not_examined.setdefault(id(layer), (layer, path, reason))
            return None
        self._frames.append(_Frame(layer, path))
        return self._frames[-1]

    def _why_not(self) -> str:
        for frame in self._frames:
            if isinstance(frame.layer, _PER_STEP_LAYERS):
                return PER_STEP.format(outer=frame.path)
        return "" if self.here() else INNER_GRAPH

    def _path_of(self, layer: keras.Layer) -> str:
        if id(layer) in self.called:
            return self.called[id(layer)].path
        if layer.path:
            path = below(self.root, layer.path)
            return inside(self.root, self._frames[-1].layer, self._frames[-1].path, path) if self._frames else path
        return "/".join([*(frame.path for frame in self._frames[-1:]), layer.name])

    def _note(self, frame: _Frame, outputs: Any, args: tuple[Any, ...], kwargs: Any) -> None:
        self.finished.append(frame.layer)
        parts = [Part(t, _mask(t)) for t in keras.tree.flatten(outputs) if _is_float(t)]
        # A container that hands on what its last layer gave adds nothing to that layer's row.
        handed_on = {id(part.output) for inner in frame.inside for part in inner.parts}
        only_hands_on = bool(frame.inside) and all(id(part.output) in handed_on for part in parts)
        if only_hands_on and not _own_variables(frame.layer):
            for part in (part for inner in frame.inside for part in inner.parts):
                part.mask = _mask(part.output) if part.mask is None else part.mask  # it may have come by one only now
            self._tell_outer(frame.inside)
            return
        if not self.selected(frame.layer, frame.path):
            self.passed_over = len(self.finished) - 1
            self._tell_outer(frame.inside)
            return
        entry = self.called.get(id(frame.layer))
        if entry is None:
            entry = Called(frame.layer, unique(frame.path, self._paths), len(self.finished) - 1)
            self._paths.add(entry.path)
            entry.ancestors = tuple(f.layer for f in reversed(self._frames))
            self.called[id(frame.layer)] = entry
        entry.has_sublayers = entry.has_sublayers or bool(frame.inside)
        entry.parts += parts
        if isinstance(frame.layer, RECURRENT) and not any(isinstance(f.layer, RECURRENT) for f in self._frames):
            entry.time_input = entry.time_input or _time_input(args, kwargs)
        self._tell_outer([*frame.inside, entry])

    def _tell_outer(self, inner: list[Called]) -> None:
        if self._frames:
            self._frames[-1].inside += inner


def unique(path: str, taken: Container[str]) -> str:
    """A path that is not taken yet: itself, or with a number, as of a layer that is called again."""
    name, number = path, 1
    while name in taken:
        number += 1
        name = f"{path}#{number}"
    return name


def below(root: keras.Model, path: str) -> str:
    """A path without the model that all are in: Keras puts its name in front or not, by how and when the model was built."""
    return path.removeprefix(f"{root.name}/")


def inside(root: keras.Model, layer: keras.Layer, name: str, path: str) -> str:
    """A path of something in a layer, below the name of that layer's row.

    When Keras loads or clones a model it builds what is in a `Bidirectional` or `TimeDistributed` before the wrapper, and so
    leaves the wrapper's name out of the paths. Rows must not depend on that: a training that is resumed goes on with the run
    that has the same rows.

    Args:
        root: the model that is trained.
        layer: the layer around it.
        name: of that layer's row.
        path: of a layer or variable in it, without the model's name.
    """
    own = below(root, layer.path or layer.name)
    if name.endswith(f"/{own}") and path.startswith(f"{own}/"):
        return name + path.removeprefix(own)
    return f"{name}/{path}" if isinstance(layer, _WRAPPERS) and not path.startswith(f"{own}/") else path


def _is_float(tensor: Any) -> bool:
    return isinstance(tensor, tf.Tensor) and tensor.dtype.is_floating


def _mask(tensor: Any) -> Any:
    """The mask that came with a tensor, if it is one of its leading axes.

    A layer that pools time away may still hand its input's mask on; it says nothing about the output then. Only attention
    scores have a mask of all their axes, of which there are more than two.
    """
    mask = getattr(tensor, "_keras_mask", None)
    if mask is None or mask.shape.rank is None or mask.shape.rank > tensor.shape.rank:
        return None
    if mask.shape.rank == tensor.shape.rank <= 2:
        return None
    axes = zip(mask.shape[1:], tensor.shape[1:], strict=False)
    return mask if all(m == t or m == 1 for m, t in axes) else None


def _own_variables(layer: keras.Layer) -> bool:
    """Whether the layer holds trainable variables that no layer inside it holds."""
    inner = {id(v) for sub in layer._flatten_layers(include_self=False) for v in sub.trainable_variables}
    return any(id(v) not in inner for v in layer.trainable_variables)


def _time_input(args: tuple[Any, ...], kwargs: Any) -> Part | None:
    inputs = next((t for t in keras.tree.flatten((args, kwargs)) if _is_float(t)), None)
    if inputs is None or inputs.shape.rank is None or inputs.shape.rank < 3:
        return None
    return Part(inputs, _mask(inputs))
