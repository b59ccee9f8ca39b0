"""`through_time`: how far back a recurrent layer's gradient reaches, exactly, step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasgrad.probes.harness import as_batch, build, check_model, preserved, step_without_update
from kerasgrad.taps import seams
from kerasgrad.taps.layers import RECURRENT, below, unique
from kerasgrad.views.text import bar, number

ROWS = 10
"""Time steps that the `repr` shows."""


@dataclass(frozen=True, repr=False)
class Memory:
    """What each time step of a recurrent layer receives of the loss. Its `repr` is the answer.

    Attributes:
        layer: path of the layer.
        gradients: dL/dh_t by cell, float32 `[examples, steps, ...units]`, unscaled, in loss/activation: of the cell's first
            state (LSTM: h, not c) as it leaves step t, along all ways to the loss. Steps are in the order in which the cell
            takes them: a backward layer begins at the end of the sequence. NaN where a step is masked.
        masked: the steps at which the cell is masked, bool `[examples, steps]`, by cell; of one without masks nothing.
        gives_all_steps: whether the layer gives all steps, so that the loss may reach each of them past the recurrence.
        backwards: the cells that begin at the end of the sequence.
    """

    layer: str
    gradients: dict[str, NDArray[np.float32]]
    masked: dict[str, NDArray[np.bool_]]
    gives_all_steps: bool
    backwards: frozenset[str]

    @property
    def signal(self) -> dict[str, NDArray[np.float64]]:
        """RMS of dL/dh_t over examples and units, by cell, `[steps]`, in loss/activation; NaN where all are masked.

        Sequences of different lengths end together, whichever side they are padded on: the last number is that of the last
        step of each that is not masked. The mean over those that happen to reach a step t would mix the last step of one
        with the middle of another. Gradients that are NaN are left out; the `repr` tells of them.
        """
        return {name: _rms(_ending_together(values, self.masked.get(name))) for name, values in self.gradients.items()}

    @property
    def factor(self) -> dict[str, float]:
        """What one step back leaves of the signal, by cell: exp(-slope) of the line through log(signal) against t.

        Below 1 the gradient vanishes through time, above 1 it explodes. NaN where fewer than two steps have a signal.
        """
        return {name: _factor(values) for name, values in self.signal.items()}

    @property
    def half_life(self) -> dict[str, float]:
        """Steps back after which half of the signal is left, by cell: -ln 2 / ln(factor), or infinite."""
        return {name: _half_life(factor) for name, factor in self.factor.items()}

    def __repr__(self) -> str:
        """The answer: half-lives, and the signal at some of the steps."""
        examples, steps = next(iter(self.gradients.values())).shape[:2]
        lines = [f"{self.layer}: dL/dh_t over {steps} steps, {examples} examples"]
        for name, signal in self.signal.items():
            factor, life = self.factor[name], self.half_life[name]
            left = "is never gone" if np.isinf(life) else f"is gone after {number(life)} steps"
            lines += ["", f"{name}: one step back leaves {number(factor)} of the signal, half of it {left}"]
            for step in np.unique(np.linspace(0, len(signal) - 1, ROWS).round().astype(int)):
                value = float(signal[step])
                lines.append(f"  step {step:>5}  {number(value):>8}  {bar(value, signal)}".rstrip())
            lines += self._said_of(name)
        if self.gives_all_steps:
            lines += [
                "",
                "The layer gives all its steps: the loss may reach each past the recurrence, which then looks longer.",
            ]
        return "\n".join(lines)

    def _said_of(self, name: str) -> list[str]:
        """What one has to know to read the steps of a cell."""
        gradients, lines = self.gradients[name], list[str]()
        masked = self.masked.get(name, np.zeros(gradients.shape[:2], bool))
        if name in self.backwards:
            lines.append("step 0 is the end of the sequence, where the layer begins")
        if masked.any():
            lines.append(f"{masked.mean():.0%} of the steps are masked and left out; sequences are laid to end together")
        bad = (np.isnan(gradients) & ~masked.reshape(*masked.shape, *[1] * (gradients.ndim - 2))).reshape(len(gradients), -1)
        if bad.any():
            lines.append(f"the gradient of {bad.any(axis=1).sum()} of {len(bad)} examples has NaN, which is left out")
        return [f"  {line}" for line in lines]


def through_time(
    model: keras.Model, layer: keras.Layer | str | None, x: Any, y: Any = None, sample_weight: Any = None
) -> Memory:
    """The exact gradient of the loss at a recurrent layer's state after each time step, dL/dh_t, on one batch.

    The model's own `train_step` runs once, eagerly, with its own tape, which is asked for the states besides the variables;
    its update is held back, and all variables are put back afterwards. Eagerly a loop over time is a loop of Python, so
    that what the cell gives at each step can be differentiated; on a GPU the fused kernels, which have no steps, are
    switched off meanwhile.

    Args:
        model: a compiled model.
        layer: a recurrent layer of it, its path or name: `SimpleRNN`, `LSTM`, `GRU`, `RNN` around a cell of your own or
            around several that are stacked, `Bidirectional`, `ConvLSTM`. None for the first one.
        x: inputs of one batch, `[examples, steps, ...]`, or a structure of arrays as `fit` takes it.
        y: targets of the batch.
        sample_weight: weights of the examples, or None.

    Returns:
        The gradients by cell, their RMS per step, and the half-life in steps; `kerasgrad.views.memory` draws it.

    Raises:
        TypeError: the model is none of Keras 3.
        ValueError: it is not compiled, the layer is not recurrent or not called eagerly, or the batch is unequal.

    Example:
        >>> kerasgrad.through_time(model, "lstm", x[:32], y[:32])
        >>> kerasgrad.through_time(model, "lstm", x, y).half_life["lstm/lstm_cell"]

    References:
        Pascanu et al. 2013, On the difficulty of training recurrent neural networks, equations 3 to 5.
        Bengio et al. 1994, Learning long-term dependencies with gradient descent is difficult.
    """
    check_model(model, "through_time", compiled=True)
    data = as_batch(x, y, sample_weight)
    build(model, data[0])
    asked = _find(model, layer)
    listener = _States(model, asked)
    with preserved(model), _stepwise(asked):
        step_without_update(model, data, listener)
    path = below(model, asked.path or asked.name)
    gradients, masked, backwards = listener.answer()
    if not gradients:
        raise ValueError(f"No step of the layer was seen: {listener.why_nothing(model)}. Received: layer={path!r}")
    inner = asked.forward_layer if isinstance(asked, keras.layers.Bidirectional) else asked
    return Memory(path, gradients, masked, bool(inner.return_sequences), backwards)


def _find(model: keras.Model, layer: Any) -> Any:
    recurrent = {below(model, one.path or one.name): one for one in model._flatten_layers(include_self=False)}
    recurrent = {path: one for path, one in recurrent.items() if isinstance(one, RECURRENT)}
    for path, one in recurrent.items():
        if layer is None or layer is one or layer in (path, one.name):
            return one
    named = layer if isinstance(layer, str) else getattr(layer, "name", layer)
    raise ValueError(f"`layer` takes a recurrent layer of the model: one of {list(recurrent)}. Received: layer={named!r}")


def _loops(layer: Any) -> list[Any]:
    """The layers that loop over time."""
    return [layer.forward_layer, layer.backward_layer] if isinstance(layer, keras.layers.Bidirectional) else [layer]


def _cells(loop: Any) -> list[Any]:
    return list(loop.cell.cells) if isinstance(loop.cell, keras.layers.StackedRNNCells) else [loop.cell]


@contextlib.contextmanager
def _stepwise(layer: Any) -> Iterator[None]:
    """Within it no fused kernel stands in for the steps."""
    kept = [(loop, loop.use_cudnn) for loop in _loops(layer) if hasattr(loop, "use_cudnn")]
    for loop, _ in kept:
        loop.use_cudnn = False
    try:
        yield
    finally:
        for loop, value in kept:
            loop.use_cudnn = value


@dataclass
class _Call:
    """One call of a loop: how many steps it takes, in which order, which of them count, and the states of its cells."""

    steps: int
    backwards: bool
    mask: Any
    states: dict[int, list[Any]] = field(default_factory=dict)


class _States(seams.Listener):
    """Notes the state that each cell gives at each step, and has the tape differentiate the loss with respect to it."""

    def __init__(self, model: keras.Model, layer: Any) -> None:
        self._names: dict[int, str] = {}
        self._loops = {id(loop): loop for loop in _loops(layer)}
        for loop in self._loops.values():
            for cell in _cells(loop):
                self._names[id(cell)] = below(model, getattr(cell, "path", None) or cell.name)
        self._calls: list[_Call] = []
        self._open: list[_Call] = []
        self._found: dict[int, Any] = {}
        self._scale = 1.0

    def on_layer(self, call: Callable[..., Any], layer: keras.Layer, args: tuple[Any, ...], kwargs: Any) -> Any:
        """See `seams.Listener`."""
        if not tf.executing_eagerly():
            return call(*args, **kwargs)
        if id(layer) in self._loops:
            return self._loop(call, layer, args, kwargs)
        outputs = call(*args, **kwargs)
        if id(layer) in self._names and self._open:
            self._open[-1].states.setdefault(id(layer), []).append(keras.tree.flatten(outputs[1])[0])
        return outputs

    def _loop(self, call: Callable[..., Any], layer: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        inputs = keras.tree.flatten((args, kwargs))[0]
        mask = kwargs.get("mask")
        mask = getattr(inputs, "_keras_mask", None) if mask is None else mask
        if mask is not None and layer.go_backwards:
            mask = mask[:, ::-1]
        self._open.append(_Call(int(inputs.shape[1]), bool(layer.go_backwards), mask))
        try:
            return call(*args, **kwargs)
        finally:
            self._calls.append(self._open.pop())

    def on_gradient(self, gradient: Callable[..., Any], tape: Any, target: Any, sources: Any, **kw: Any) -> Any:
        """See `seams.Listener`."""
        states = [state for call in self._calls for given in call.states.values() for state in given]
        flat = tf.nest.flatten(sources)
        results = gradient(target, [*flat, *states], **kw)
        for state, found in zip(states, results[len(flat) :], strict=True):
            if found is not None:
                self._found[id(state)] = found + self._found.get(id(state), 0)
        return tf.nest.pack_sequence_as(sources, results[: len(flat)])

    def on_apply(self, apply: Callable[..., Any], optimizer: Any, grads: Any, variables: Any) -> Any:
        """See `seams.Listener`; the scale of the loss is the optimizer's."""
        self._scale = float(optimizer.scale_loss(tf.constant(1.0)))
        return apply(grads, variables)

    def answer(self) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.bool_]], frozenset[str]]:
        """Gradients and masks by cell, and which run backwards; of a layer called again the later calls are numbered."""
        found: dict[str, NDArray[np.float32]] = {}
        masked: dict[str, NDArray[np.bool_]] = {}
        backwards: set[str] = set()
        for call in self._calls:
            for key, states in call.states.items():
                # Keras calls a cell before the loop too, to learn what it gives; those calls come first.
                steps = [self._of(state) for state in states[-call.steps :]]
                name = unique(self._names[key], found)
                found[name] = np.stack(steps, axis=1)
                if call.mask is not None:
                    masked[name] = ~np.asarray(call.mask).reshape(found[name].shape[:2])
                    found[name][masked[name]] = np.nan
                backwards |= {name} if call.backwards else set()
        return found, masked, frozenset(backwards)

    def why_nothing(self, model: keras.Model) -> str:
        """Why no step was seen, and the way out."""
        if self._calls:
            return "its cell is no keras.Layer, so that what it gives cannot be met; derive it from keras.Layer"
        for one in model._flatten_layers():
            inside = one._flatten_layers() if isinstance(one, keras.layers.TimeDistributed) else ()
            if any(id(inner) in self._loops for inner in inside):
                return f"{one.name!r} (TimeDistributed) runs it in a map; ask a model that takes the sequences as examples"
        return "it was not called in the training step, or not eagerly (inside a tf.function of your own)"

    def _of(self, state: Any) -> NDArray[np.float32]:
        value = self._found.get(id(state))
        if value is None:
            return np.zeros(state.shape, np.float32)
        return np.asarray(value, np.float32) / np.float32(self._scale)


def _ending_together(values: NDArray[np.float32], masked: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """The steps of each example moved so that the last one that is not masked is the last."""
    if masked is None:
        return values
    moved = values.copy()
    for row, given in enumerate(~masked):
        behind = int(np.argmax(given[::-1])) if given.any() else 0
        moved[row] = np.roll(values[row], behind, axis=0)
    return moved


def _rms(values: NDArray[np.float32]) -> NDArray[np.float64]:
    squares = np.square(values.astype(np.float64))
    given = ~np.isnan(squares)
    axes = (0, *range(2, values.ndim))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(np.where(given, squares, 0.0).sum(axis=axes) / given.sum(axis=axes)))


def _factor(signal: NDArray[np.float64]) -> float:
    steps = np.flatnonzero(np.isfinite(signal) & (signal > 0))
    if len(steps) < 2:
        return float("nan")
    return float(np.exp(-np.polyfit(steps, np.log(signal[steps]), 1)[0]))


def _half_life(factor: float) -> float:
    if np.isnan(factor):
        return float("nan")
    return float(np.log(0.5) / np.log(factor)) if factor < 1 else float("inf")
