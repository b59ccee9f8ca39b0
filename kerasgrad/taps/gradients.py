"""Follows the backward pass: what is differentiated, and what the optimizer is given and does with it.

The model's own tape does the work. It is asked for the layers' outputs besides the variables, in the same call, so
that nothing is inserted into the forward pass and nothing is computed twice.

One long file: a step may differentiate and apply several times in any order, which only one account can follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from kerasgrad.observation import Part
from kerasgrad.taps import seams
from kerasgrad.taps.layers import Called, ForwardPass, Guard
from kerasgrad.taps.reading import unobtrusive_sum


@dataclass
class Applied:
    """One variable as one optimizer left it."""

    gradient: Any = None
    clipped: Any = None
    before: Any = None
    after: Any = None
    inside: bool = False  # in an inner graph, so that its value afterwards is that at the end of the step


@dataclass(frozen=True)
class Raw:
    """A variable of TensorFlow's own that an optimizer of Keras moves, with the names that one of Keras would have."""

    value: tf.Variable
    path: str

    @property
    def shape(self) -> Any:
        """Its shape."""
        return self.value.shape


Trained: TypeAlias = "keras.Variable | Raw"


def key_of(variable: Trained) -> int:
    """By what a variable is known: its own id, or that of TensorFlow's."""
    return id(variable.value) if isinstance(variable, Raw) else id(variable)


@dataclass
class BackwardPass:
    """The gradient calls and the updates of one step.

    Attributes:
        model: the model; an eager step may be the one that builds it, so that its variables are asked for when needed.
        with_signals: whether to ask for the gradients at the layers' outputs too.
        losses: per gradient call, its target and the variables it trains (by id).
        signals: per tapped tensor (by id), its gradients, each with the gradient call it came from.
        applied: per variable (by id), what the optimizer did.
        scales: per variable (by id), the loss scale of its optimizer, where it has one.
        scalars: learning rate, iteration and loss scale of the first optimizer applied.
        given: per variable (by id), what the tape gave for it, each with the gradient call it came from.
        hidden: whether something was differentiated in a graph that its tensors cannot leave.
        others: variables that are not the model's and that an optimizer was given all the same, by id.
    """

    model: keras.Model
    with_signals: bool = True
    losses: list[tuple[Any, frozenset[int]]] = field(default_factory=list)
    signals: dict[int, list[tuple[Any, int]]] = field(default_factory=dict)
    applied: dict[int, Applied] = field(default_factory=dict)
    scales: dict[int, Any] = field(default_factory=dict)
    scalars: dict[str, Any] = field(default_factory=dict)
    given: dict[int, list[tuple[Any, int]]] = field(default_factory=dict)
    hidden: bool = False
    others: dict[int, Trained] = field(default_factory=dict)

    @property
    def trainable(self) -> list[Trained]:
        """The model's trainable variables, and the others that an optimizer of Keras was given."""
        return [*self.model.trainable_variables, *self.others.values()]

    def is_below(self, called: Called, forward: ForwardPass) -> bool:
        """Whether nothing before a layer is trained, so that no gradient is computed at its output."""
        keys = self._keys()
        return called.position < first_trained(forward, frozenset(keys.values()), keys)

    def _keys(self) -> dict[int, int]:
        """Ids of the variables by the id of what stands for them: the Keras variable or the one inside it."""
        return {id(native): key_of(v) for v in self.trainable for native in (v, v.value)}

    def differentiate(
        self, gradient: Callable[..., Any], target: Any, sources: Any, forward: ForwardPass, guarded: Guard, **kwargs: Any
    ) -> Any:
        """Runs one gradient call, with the outputs of the layers it trains as further sources."""
        flat, wanted, number = tf.nest.flatten(sources), {}, len(self.losses)
        with guarded():
            keys = self._keys()
            trained = frozenset(keys[id(s)] for s in flat if id(s) in keys)
            if trained:
                self.losses.append((target, trained))
                wanted = _tensors(reached(forward, trained, keys)) if self.with_signals else {}
        if not wanted:
            results = gradient(target, sources, **kwargs)
            self._note_given(flat, tf.nest.flatten(results), number)
            return results
        results = gradient(target, [*flat, *wanted.values()], **kwargs)
        self._note_given(flat, results, number)
        for key, signal in zip(wanted, results[len(flat) :], strict=True):
            if signal is not None:
                self.signals.setdefault(key, []).append((tf.convert_to_tensor(signal), number))
        return tf.nest.pack_sequence_as(sources, results[: len(flat)])

    def _note_given(self, sources: list[Any], gradients: Any, number: int) -> None:
        for source, gradient in zip(sources, gradients, strict=False):
            if gradient is not None and number < len(self.losses):
                self.given.setdefault(id(source), []).append((gradient, number))

    def gradient_of(self, variable: Trained) -> Any:
        """What the tape gave for a variable, unscaled, summed over gradient calls and replicas; None for nothing."""
        given = self.given.get(id(variable)) or self.given.get(id(variable.value)) or []
        parts = [_divided(gradient, self._scale_of(number)) for gradient, number in given]
        if not parts:
            return None
        total = parts[0] if len(parts) == 1 else tf.add_n([tf.convert_to_tensor(part) for part in parts])
        return _all_reduced({0: total})[0]

    def apply_inside(self, optimizer: Any, variables: Any, forward: ForwardPass) -> None:
        """Reads what an optimizer is about to update in an inner graph, before that graph runs."""
        variables = optimizer._trainable_variables if variables is None else list(variables)
        with forward.outside() as is_ours:
            if not is_ours:
                return
            keys = self._keys_with(variables)
            for v in variables:
                if id(v) in keys and keys[id(v)] not in self.applied:
                    before = tf.convert_to_tensor(_native(v))
                    self.applied[keys[id(v)]] = Applied(before=before, inside=True)
            if not self.scalars and optimizer.built:
                self.scalars = _scalars(optimizer, _loss_scale(optimizer))

    def _keys_with(self, variables: list[Any]) -> dict[int, int]:
        """The keys, with those of variables that are not the model's among them from now on."""
        keys = self._keys()
        for v in variables:
            if id(v) not in keys:
                other = v if isinstance(v, keras.Variable) else Raw(v, seams.name_of(self.model, v))
                self.others[key_of(other)] = other
        return self._keys() if self.others else keys

    def apply(self, apply: Callable[..., Any], optimizer: Any, grads: Any, variables: Any, guarded: Guard) -> Any:
        """Runs one update, with the weights read before and after it; what is ours runs within `guarded`."""
        grads = list(grads)
        seen: dict[int, Any] = {}
        with guarded():
            seen = self._before(optimizer, grads, optimizer._trainable_variables if variables is None else list(variables))
        result = apply(grads, variables)
        with guarded():
            for key, variable in seen.items():
                self.applied[key].after = tf.convert_to_tensor(_native(variable))
        return result

    def _before(self, optimizer: Any, grads: list[Any], variables: list[Any]) -> dict[int, Any]:
        """Notes what the optimizer is given, and gives back the model's variables among what it updates, by key."""
        scale, keys = _loss_scale(optimizer), self._keys_with(variables)
        seen = {keys[id(v)]: (g, v) for g, v in zip(grads, variables, strict=False) if id(v) in keys}
        own = {key: _divided(g, scale) for key, (g, _) in seen.items() if g is not None}
        unscaled, clipped = _all_reduced(own), _all_reduced(_clipped(optimizer, own))
        if not self.scalars:
            self.scalars = _scalars(optimizer, scale)
        for key, (_, v) in seen.items():
            self.applied[key] = Applied(unscaled.get(key), clipped.get(key), tf.convert_to_tensor(_native(v)))
            if scale is not None:
                self.scales[key] = scale
        return {key: v for key, (_, v) in seen.items()}

    def signal_of(self, part: Part) -> Any:
        """The unscaled gradient of the loss w.r.t. a tensor, summed over the gradient calls; None where none came.

        Keras takes cross-entropy from the logits that the last softmax or sigmoid remembers, so that the output itself
        is not on the way to the loss: there the signal is that of the logits.
        """
        logits = getattr(part.output, "_keras_logits", None)
        found = self.signals.get(id(part.output)) or self.signals.get(id(logits))
        if not found:
            return None
        total = None
        for signal, number in found:
            signal = _divided(signal, self._scale_of(number))
            total = signal if total is None else total + signal
        return total

    def loss(self) -> Any:
        """What the step differentiated, unscaled and summed over gradient calls and replicas."""
        if not self.losses:
            return None
        total = tf.add_n(
            [
                tf.cast(
                    _divided(
                        tf.add_n([tf.reduce_sum(unobtrusive_sum(t)) for t in tf.nest.flatten(target)]), self._scale_of(i)
                    ),
                    tf.float64,
                )
                for i, (target, _) in enumerate(self.losses)
            ]
        )
        return _all_reduced({0: total})[0]

    def count(self) -> int:
        """How many losses there are, each for variables of its own, as those of a GAN; 1 for the parts of one."""
        targets = {tuple(id(t) for t in tf.nest.flatten(target)) for target, _ in self.losses}
        return min(len(targets), len({trained for _, trained in self.losses})) or 1

    def _scale_of(self, number: int) -> Any:
        return next((self.scales[key] for key in self.losses[number][1] if key in self.scales), None)


def reached(forward: ForwardPass, trained: frozenset[int], keys: dict[int, int]) -> list[Called]:
    """The layers that a gradient call is about, from the first one with something to train.

    Asking below that, in a frozen backbone, would make the step compute gradients that it does not need.
    """
    first = first_trained(forward, trained, keys)
    return [c for c in forward.called.values() if c.position >= first and _belongs(c, trained, keys)]


def first_trained(forward: ForwardPass, trained: frozenset[int], keys: dict[int, int]) -> int:
    """Position of the first layer, among all that were called, that holds one of the variables."""
    held = (any(keys.get(id(v)) in trained for v in layer.trainable_variables) for layer in forward.finished)
    return next((position for position, holds in enumerate(held) if holds), len(forward.finished))


def _belongs(called: Called, trained: frozenset[int], keys: dict[int, int]) -> bool:
    """Whether a gradient call is about this layer: it trains the layer or, where that has nothing to train, its owner.

    In a GAN the generator's loss passes through the discriminator without training it; that is not its signal.
    """
    for layer in (called.layer, *called.ancestors):
        own = {keys[id(v)] for v in layer.trainable_variables if id(v) in keys}
        if own:
            return bool(own & trained)
    return True


def _tensors(called: Iterable[Called]) -> dict[int, Any]:
    """The tensors to ask the tape for, each once, by id."""
    wanted: dict[int, Any] = {}
    for entry in called:
        inputs = [entry.time_input] if entry.time_input is not None else []
        for part in [*entry.parts, *inputs]:
            for tensor in (part.output, getattr(part.output, "_keras_logits", None)):
                if tensor is not None:
                    wanted.setdefault(id(tensor), tensor)
    return wanted


def _native(variable: Any) -> Any:
    return variable.value if isinstance(variable, keras.Variable) else variable


def without_scaling(optimizer: Any) -> Any:
    """The optimizer, without loss scaling around it."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _loss_scale(optimizer: Any) -> Any:
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        scale = optimizer.dynamic_scale.value if optimizer.built else optimizer.initial_scale
    else:
        scale = optimizer.loss_scale_factor
    return None if scale is None else tf.convert_to_tensor(scale, tf.float32)


def _divided(gradient: Any, scale: Any) -> Any:
    if scale is None:
        return gradient
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(_divided(gradient.values, scale), gradient.indices, gradient.dense_shape)
    wide = tf.float64 if gradient.dtype == tf.float64 else tf.float32
    return tf.cast(gradient, wide) / tf.cast(scale, wide)


def _clipped(optimizer: Any, gradients: dict[int, Any]) -> dict[int, Any]:
    """The gradients after the optimizer's own clipping; empty where it does not clip.

    Under gradient accumulation it clips the mean of several steps, which is no property of this one.
    """
    inner = without_scaling(optimizer)
    clips = any(getattr(inner, name, None) for name in ("clipnorm", "global_clipnorm", "clipvalue"))
    if not clips or not gradients or inner.gradient_accumulation_steps:
        return {}
    return dict(zip(gradients, inner._clip_gradients(list(gradients.values())), strict=True))


def _all_reduced(gradients: dict[int, Any]) -> dict[int, Any]:
    """Sums over the replicas of a strategy, so that the row is the gradient that was applied."""
    context = tf.distribute.get_replica_context()
    if not gradients or context is None or context.num_replicas_in_sync == 1:
        return gradients
    summed = context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients.values()))
    return dict(zip(gradients, summed, strict=True))


def _scalars(optimizer: Any, scale: Any) -> dict[str, Any]:
    inner = without_scaling(optimizer)
    try:
        rate = tf.convert_to_tensor(inner.learning_rate)
    except AttributeError:  # of several optimizers in one, each has its own
        rate = None
    return {
        "learning_rate": rate,
        "iteration": tf.convert_to_tensor(_native(inner.iterations)),
        "loss_scale": scale,
    }
