"""Puts what the taps saw in one step together into an `Observation` with rows that stay the same from step to step."""

from __future__ import annotations

import contextlib
import fnmatch
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from kerasgrad.observation import LayerSeen, Observation, Part, VariableSeen
from kerasgrad.taps import seams
from kerasgrad.taps.activations import activation_of
from kerasgrad.taps.gradients import Applied, BackwardPass, Trained, key_of
from kerasgrad.taps.layers import NOT_FLOAT, Called, ForwardPass, below, inside
from kerasgrad.taps.reading import unobtrusive
from kerasgrad.taps.seams import Listener, PythonState

LayerChoice = str | list[str] | tuple[str, ...] | Callable[[keras.Layer], bool] | None
"""A choice of layers: names or patterns, of the path or the layer's own name; a predicate; or None for all."""

LATE = "it was called for the first time after the first sample, when the rows were fixed"
NOT_CALLED = "no layer that holds it was called in the training step"
NO_SIGNAL = "no gradient of the loss reaches its output"
BELOW = "nothing before it is trained, so that the step computes no gradient at its output"
NOT_ASKED = "it was not asked for: activations=False"
NO_UPDATE = "no optimizer of Keras was applied to the model's variables in the graph of its training step"
NO_GRADIENT = "no tf.GradientTape was asked for gradients of the model's variables in the training step"
HIDDEN = "gradients are computed in an inner graph (a loop, a condition, under jit_compile), which they cannot leave"
CALLED_BY_ITSELF = (
    "gradients are computed in a function under tf.function, called from a step that is not: put @tf.function around the "
    "whole step, or let `fit` trace it, and the taps look inside"
)
RAW = (
    "it is a tf.Variable, of which Keras 3 knows nothing: `fit` trains what `add_weight` or keras.Variable made, and no "
    "optimizer was given this one"
)
OWN = "the model itself has no row of its own layer: these are weights that it holds beside its layers"
AT_MOST = 50
"""Reasons for layers that come and go; a model that makes layers in its `call` has new ones at every step."""
RAW_INPUT = "the layer is fed by raw data, so that nothing is differentiated at its input; use kerasgrad.through_time"


def chooses(choice: LayerChoice) -> Callable[[keras.Layer, str], bool]:
    """Makes a predicate of a layer and its path out of what a user may write for `layers`.

    Args:
        choice: None, a pattern such as `"block*"`, several, or a predicate of the layer.

    Returns:
        The predicate.

    Raises:
        TypeError: the choice is none of those.
    """
    if choice is None:
        return lambda layer, path: True
    if callable(choice):
        predicate = choice
        return lambda layer, path: bool(predicate(layer))
    patterns = [choice] if isinstance(choice, str) else list(choice) if isinstance(choice, list | tuple) else [None]
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(
            "`layers` takes a name or pattern such as 'block*', a list of them, a function of a layer, or None for all. "
            f"Received: layers={choice!r}"
        )
    return lambda layer, path: any(
        fnmatch.fnmatchcase(path, str(p)) or fnmatch.fnmatchcase(layer.name, str(p)) for p in patterns
    )


@dataclass
class Rows:
    """The rows of a model, fixed by the first watched step, shared by traces, eager steps and replicas.

    Attributes:
        layers: row index by layer id.
        kinds: of each row's layer, where in the model and of which class.
        held: the layers themselves, so that their ids stay theirs.
        variables: the trainable variables in row order.
        owners: layer row of each variable, -1 for none.
        seen: what is the same in every step: path, units, activation, as empty `LayerSeen`.
        variable_paths: unique path of each variable.
        not_examined: why something has no numbers, by path.
        output: path of the layer that gives the model's output, the last that was called; `""` if it has no row.
        losses: how many losses the step differentiates, each for variables of its own.
        stale: layers of which `trainable` does not say what Keras does, see `trace_state.stale`.
    """

    layers: dict[int, int] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)
    held: list[keras.Layer] = field(default_factory=list)
    variables: list[Trained] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    seen: list[LayerSeen] = field(default_factory=list)
    variable_paths: list[str] = field(default_factory=list)
    not_examined: dict[str, str] = field(default_factory=dict)
    output: str = ""
    losses: int = 1
    stale: dict[str, list[str]] = field(default_factory=dict)
    fixed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Collector(Listener):
    """Listens to one step of one model.

    Args:
        model: the model that is trained.
        rows: its rows, filled by the first step.
        selected: which layers are watched.
        activations: whether to read what layers give and what reaches them, or gradients, weights and updates only.
    """

    def __init__(
        self, model: keras.Model, rows: Rows, selected: Callable[[keras.Layer, str], bool], activations: bool = True
    ) -> None:
        self.rows = rows
        self.activations = activations
        self.forward = ForwardPass(model, selected)
        self.backward = BackwardPass(model, with_signals=activations)
        self.examples: Any = None  # how many the step is given; told by whoever runs it
        self.failures: list[Exception] = []
        self._paused = False
        self._inlined: dict[int, tuple[Any, PythonState]] = {}

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Keeps a failure of the taps from the step that they watch; it is reported after the step."""
        try:
            yield
        except Exception as error:
            self.failures.append(error)

    @contextlib.contextmanager
    def _pause(self) -> Iterator[None]:
        """What runs inside differentiation or the update is not the model's forward pass."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    def on_layer(self, call: Callable[..., Any], layer: keras.Layer, args: tuple[Any, ...], kwargs: Any) -> Any:
        """See `seams.Listener`."""
        if self._paused:
            return call(*args, **kwargs)
        return self.forward.call(call, layer, args, kwargs, self.guarded)

    def on_function(self, call: Callable[..., Any], function: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """See `seams.Listener`. What a step does in a traced function of its own is made in the graph of the step.

        Tensors cannot leave a graph of its own. An eager step runs it as it is: it would round otherwise.
        """
        if self._paused or tf.executing_eagerly() or not self.forward.here() or not seams.can_be_inlined(function):
            return call(*args, **kwargs)
        root, first = self.forward.root, id(function) not in self._inlined
        _, moment = self._inlined.setdefault(id(function), (function, PythonState.now(root)))
        with contextlib.nullcontext() if first else moment.again(root):  # TensorFlow traces it once, for all its calls
            return seams.inlined(function, args, kwargs)

    def on_gradient(self, gradient: Callable[..., Any], tape: tf.GradientTape, target: Any, sources: Any, **kw: Any) -> Any:
        """See `seams.Listener`."""
        if self._paused:
            return gradient(target, sources, **kw)
        if not self.forward.here():
            self.backward.hidden = True
            return gradient(target, sources, **kw)
        with self._pause():
            return self.backward.differentiate(gradient, target, sources, self.forward, self.guarded, **kw)

    def on_apply(self, apply: Callable[..., Any], optimizer: Any, grads: Any, variables: Any) -> Any:
        """See `seams.Listener`."""
        if self._paused:
            return apply(grads, variables)
        if not self.forward.here():
            grads = list(grads)
            with self._pause(), self.guarded():
                self.backward.apply_inside(optimizer, variables, self.forward)
            return apply(grads, variables)
        with self._pause():
            return self.backward.apply(apply, optimizer, grads, variables, self.guarded)

    def observation(self) -> Observation:
        """All that was seen, in the model's rows."""
        with self.rows.lock:
            if not self.rows.fixed:
                self._fix_rows()
        layers = [LayerSeen(s.path, s.units, s.activation, not_examined=s.not_examined) for s in self.rows.seen]
        for called, row in self._in_rows():
            if row is None:
                self._excuse(called.path, LATE)
            elif self.activations:
                layers[row].parts = [Part(unobtrusive(p.output), p.mask, self.backward.signal_of(p)) for p in called.parts]
                layers[row].time_input = self._time_input(called)
        for layer, path, reason in self.forward.not_examined.values():
            # One that has a row was met besides while Keras worked out shapes in a graph of its own.
            fixed = bool(layer.weights)
            has_row = id(layer) in self.rows.layers if fixed else _kind(path, layer) in self.rows.kinds
            if not has_row:
                self._excuse(path, reason)
        scalars = self.backward.scalars
        return Observation(
            layers,
            [self._variable(row) for row in range(len(self.rows.variables))],
            self.backward.loss(),
            scalars.get("loss_scale"),
            scalars.get("learning_rate"),
            scalars.get("iteration"),
            self.examples,
        )

    def _in_rows(self) -> Iterator[tuple[Called, int | None]]:
        """The layers that were called, each with its row.

        A layer that the model makes anew in each `call` is another object every time: it gets the next row that was made
        for one of its kind and that no layer of this step has.
        """
        free = {row: kind for row, kind in enumerate(self.rows.kinds)}
        known = {key: self.rows.layers[key] for key in self.forward.called if key in self.rows.layers}
        for row in known.values():
            free.pop(row, None)
        for key, called in self.forward.called.items():
            made_anew = (row for row, kind in free.items() if kind == _kind(called.path, called.layer))
            place = known[key] if key in known else next(made_anew, None)
            if place is not None:
                free.pop(place, None)
            yield called, place

    def _excuse(self, path: str, reason: str) -> None:
        if len(self.rows.not_examined) < AT_MOST:
            self.rows.not_examined.setdefault(path, reason)

    def _variable(self, row: int) -> VariableSeen:
        variable = self.rows.variables[row]
        seen = self.backward.applied.get(key_of(variable), Applied())
        before = variable.value if seen.before is None else seen.before
        return VariableSeen(
            self.rows.variable_paths[row],
            self.rows.owners[row],
            _size(variable),
            self.backward.gradient_of(variable) if seen.gradient is None else seen.gradient,
            seen.clipped,
            tf.convert_to_tensor(before),
            tf.convert_to_tensor(variable.value) if seen.inside else seen.after,
        )

    def _time_input(self, called: Called) -> Part | None:
        part = called.time_input
        if part is None:
            return None
        signal = self.backward.signal_of(part)
        return None if signal is None else Part(part.output, part.mask, signal)

    def _fix_rows(self) -> None:
        rows = self.rows
        for key, called in self.forward.called.items():
            if not called.parts and not called.layer.trainable_variables:
                rows.not_examined[called.path] = NOT_FLOAT
                continue
            rows.layers[key] = len(rows.seen)
            rows.kinds.append(_kind(called.path, called.layer))
            rows.held.append(called.layer)
            rows.seen.append(self._row_of(called))
            rows.output = called.path if called.position > self.forward.passed_over else ""
        self._fix_variables()
        self._excuse_what_was_not_seen()
        self._excuse_raw_variables()
        rows.losses = self.backward.count()
        rows.fixed = True

    def _excuse_what_was_not_seen(self) -> None:
        """Says why there are no gradients, updates or loss, where the taps saw none."""
        reasons, seen = self.rows.not_examined, self.backward
        why = NO_GRADIENT if not seen.hidden else CALLED_BY_ITSELF if tf.executing_eagerly() else HIDDEN
        if not seen.losses:
            reasons["loss"] = why
        if self.rows.variables and not seen.applied:
            gradients = any(seen.gradient_of(v) is not None for v in self.rows.variables)
            what, reason = (
                ("updates", NO_UPDATE) if gradients else ("gradients and updates", why if seen.hidden else NO_UPDATE)
            )
            reasons[what] = reason

    def _excuse_raw_variables(self) -> None:
        """Says of variables of TensorFlow's own in layers that nothing trains them: few expect it."""
        rowed = {id(v.value) for v in self.rows.variables}
        for path, variable in seams.raw_variables(self.forward.root):
            if id(variable) not in rowed and len(self.rows.not_examined) < AT_MOST:
                self.rows.not_examined[below(self.forward.root, path)] = RAW

    def _row_of(self, called: Called) -> LayerSeen:
        if not self.activations:
            return LayerSeen(called.path, not_examined={"activation": NOT_ASKED, "signal": NOT_ASKED})
        units = {part.output.shape[-1] for part in called.parts if part.output.shape.rank}
        reasons = {}
        if not called.parts:
            reasons["activation"] = reasons["signal"] = NOT_FLOAT
        elif all(self.backward.signal_of(part) is None for part in called.parts):
            reasons["signal"] = BELOW if self.backward.is_below(called, self.forward) else NO_SIGNAL
        if called.time_input is not None and self._time_input(called) is None:
            reasons["signal_over_time"] = RAW_INPUT
        same = units.pop() if len(units) == 1 else None
        return LayerSeen(
            called.path, int(same or 0), activation_of(called.layer, called.has_sublayers), not_examined=reasons
        )

    def _fix_variables(self) -> None:
        """Gives each variable to the innermost examined layer that holds it, in the order of the layers."""
        rows = self.rows
        examined = [
            (rows.layers[k], c.layer.trainable_variables) for k, c in self.forward.called.items() if k in rows.layers
        ]
        owner: dict[int, tuple[int, int]] = {}
        for row, held in examined:
            for variable in held:
                if id(variable) not in owner or len(held) < owner[id(variable)][1]:
                    owner[id(variable)] = (row, len(held))
        for variable in self.backward.trainable:
            if id(variable) not in owner:
                # Where only some layers were chosen, what none of them holds has no row.
                owner[id(variable)] = (-1 if self.forward.passed_over >= 0 else self._row_without_call(variable), 0)
        rows.variables = sorted(self.backward.trainable, key=lambda v: owner[id(v)][0])
        rows.owners = [owner[id(v)][0] for v in rows.variables]
        holders = {rows.layers[k]: c.layer for k, c in self.forward.called.items() if k in rows.layers}
        taken: dict[str, int] = {}
        for variable, row in zip(rows.variables, rows.owners, strict=True):
            path = below(self.forward.root, variable.path)
            if row in holders:
                path = inside(self.forward.root, holders[row], rows.seen[row].path, path)
            taken[path] = taken.get(path, 0) + 1
            rows.variable_paths.append(path if taken[path] == 1 else f"{path}#{taken[path]}")

    def _row_without_call(self, variable: Trained) -> int:
        path = below(self.forward.root, variable.path).rpartition("/")[0] or self.forward.root.name
        for row, seen in enumerate(self.rows.seen):
            if seen.path == path:
                return row
        told = {path: reason for _, path, reason in self.forward.not_examined.values()}
        reason = told.get(path, OWN if path == self.forward.root.name else NOT_CALLED)
        self.rows.seen.append(LayerSeen(path, not_examined={"activation": reason, "signal": reason}))
        return len(self.rows.seen) - 1


def _kind(path: str, layer: keras.Layer) -> str:
    """Where in the model a layer is, and of which class: what stays of one that is made anew in each call."""
    return f"{path.rpartition('/')[0]}: {type(layer).__name__}"


def _size(variable: Trained) -> int:
    return int(tf.TensorShape(variable.shape).num_elements() or 0)
