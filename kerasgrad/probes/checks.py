"""The checks of the audit, each a function from what is known before training to findings, or to why it cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerasgrad.finding import Finding, Severity, counted
from kerasgrad.monitoring.progress import loss_name
from kerasgrad.probes.tracing import NORMALIZATIONS, Anatomy, Call, is_weight_layer
from kerasgrad.rules.last_activation import misfit
from kerasgrad.taps.activations import activation_of
from kerasgrad.taps.gradients import without_scaling

DEPTH_NOTE, DEPTH_WARNING = 20, 30
"""Weight layers without a shortcut around them (design: 20 to 30 layers want shortcuts; He et al. 2016)."""
SMALL_BATCH = 8
"""Below this the batch statistics of BatchNormalization are noise (Wu & He 2018, Group normalization, figure 1)."""
LONG, VERY_LONG = 100, 512
"""Time steps that want gates and clipping, and attention."""
SIGMOIDS = 3
"""Hidden sigmoid layers in a row from which on the signal is below 1/64."""
RATES = {
    "sgd": (1e-4, 1.0), "adam": (1e-5, 1e-2), "adamw": (1e-5, 1e-2), "nadam": (1e-5, 1e-2), "adamax": (1e-5, 2e-2),
    "rmsprop": (1e-5, 1e-2), "adagrad": (1e-3, 1.0), "adadelta": (1e-2, 2.0), "lion": (1e-6, 3e-3), "ftrl": (1e-3, 1.0),
    "lamb": (1e-4, 2e-2), "adafactor": (1e-4, 5e-2),
}  # fmt: skip
"""Usual learning rates (the optimizers' papers and Keras' defaults)."""
FAR = 10.0
"""Factor beyond the usual range from which on it is far out of it."""
ROUNDING = 1e-6
GATED = (keras.layers.LSTM, keras.layers.GRU, keras.layers.ConvLSTM2D)
ATTENTION = (
    keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention, keras.layers.Attention, keras.layers.AdditiveAttention
)  # fmt: skip

Verdict = list[Finding] | str


@dataclass
class Asked:
    """What an audit is about.

    Attributes:
        model: the model.
        anatomy: what its trace shows.
        batch_size, sequence_length: as they will be in training, None if that is not said.
    """

    model: keras.Model
    anatomy: Anatomy
    batch_size: int | None
    sequence_length: int | None

    @property
    def optimizer(self) -> Any:
        """The optimizer, without loss scaling around it; None of a model that is not compiled."""
        return without_scaling(getattr(self.model, "optimizer", None))

    @property
    def weights(self) -> list[Call]:
        """Calls of layers with kernels, in order."""
        return [call for call in self.anatomy.calls if is_weight_layer(call.layer)]

    @property
    def last(self) -> Call | None:
        """The last weight layer: what comes behind it belongs to the output."""
        return self.weights[-1] if self.weights else None


def _found(
    severity: Severity,
    said: str,
    *,
    paths: Sequence[str] = (),
    remedies: tuple[str, ...],
    measured: tuple[str, float, float] = ("", float("nan"), float("nan")),
) -> list[Finding]:
    """One finding; the audit gives it the name of its check."""
    quantity, value, threshold = measured
    first = paths[0] if paths else ""
    return [
        Finding(
            severity=severity, summary=said, layers=tuple(paths), starts_at=first, quantity=quantity, measured=value,
            threshold=threshold, remedies=remedies,
        )
    ]  # fmt: skip


def deep_without_shortcuts(asked: Asked) -> Verdict:
    """The shortest way from the input to the output is long."""
    shortest = max((call.shortest for call in asked.weights), default=0)
    if shortest <= DEPTH_NOTE:
        return []
    severity = Severity.WARNING if shortest > DEPTH_WARNING else Severity.NOTE
    said = f"The shortest way through the model passes {shortest} layers with weights; there is no shortcut around them."
    return _found(severity, said, remedies=("add_shortcuts", "add_normalization"),
                  measured=("weight layers on the shortest way", float(shortest), float(DEPTH_NOTE)))  # fmt: skip


def saturating_activation(asked: Asked) -> Verdict:
    """Sigmoids, and tanh in deep nets, in hidden layers; a gate is on no way that the signal has to take."""
    rows = [(call, activation_of(call.layer).saturates) for call in asked.anatomy.calls]
    end = max((i for i, (call, _) in enumerate(rows) if is_weight_layer(call.layer)), default=-1)
    sigmoid, tanh = (
        [call.path for call, kind in rows[:end] if kind == which and not call.gate] for which in ("sigmoid", "tanh")
    )
    if len(sigmoid) >= 1:
        severity = Severity.WARNING if len(sigmoid) >= SIGMOIDS else Severity.NOTE
        said = counted(len(sigmoid), "hidden layer is a sigmoid: it leaves", many="hidden layers are sigmoids: each leaves")
        said = f"{said} at most 1/4 of the signal."
        return _found(severity, said, paths=sigmoid, remedies=("use_relu", "use_glorot_initializer"))
    if len(tanh) > DEPTH_NOTE:
        said = f"{len(tanh)} hidden layers are tanh; their signal holds only with weights of just the right size."
        return _found(Severity.NOTE, said, paths=tanh, remedies=("use_relu", "add_normalization"))
    return []


def initializer_against_activation(asked: Asked) -> Verdict:
    """Kernels of one value; He's scale before tanh or sigmoid; Glorot's in a deep stack of ReLUs."""
    constant: list[str] = []
    too_large: list[str] = []
    too_small: list[str] = []
    many = len(asked.weights) > DEPTH_NOTE // 2
    for call in asked.weights:
        kernel = getattr(call.layer, "kernel", None)
        if kernel is None or call is asked.last:
            continue
        values, name = np.asarray(kernel), type(getattr(call.layer, "kernel_initializer", None)).__name__
        if values.size > 1 and (values == values.flat[0]).all():
            constant.append(call.path)
        kind = activation_of(call.layer)
        if kind.saturates and name.startswith("He"):
            too_large.append(call.path)
        if many and kind.name == "relu" and name.startswith("Glorot"):
            too_small.append(call.path)
    if constant:
        said = f"All weights of {constant[0]} are equal: its units get the same gradient and stay copies of each other."
        return _found(Severity.WARNING, said, paths=constant, remedies=("use_glorot_initializer",))
    found: list[Finding] = []
    for paths, what, remedy in (
        (too_large, "He's initialiser, which is for ReLUs, before a tanh or sigmoid", "use_glorot_initializer"),
        (too_small, "Glorot's initialiser before a ReLU in a deep stack, where He's keeps the size", "use_he_initializer"),
    ):
        if paths:
            said = f"{counted(len(paths), 'layer has', many='layers have')} {what}."
            found += _found(Severity.NOTE, said, paths=paths, remedies=(remedy,))
    return found


def small_batch(asked: Asked) -> Verdict:
    """BatchNormalization of a handful of examples."""
    layers = [
        c.path for c in asked.anatomy.calls if isinstance(c.layer, keras.layers.BatchNormalization) and c.layer.trainable
    ]
    if not layers:
        return []
    if asked.batch_size is None:
        return "it has BatchNormalization, and the batch size was not said: audit(model, batch_size=...)"
    if asked.batch_size >= SMALL_BATCH:
        return []
    said = f"BatchNormalization takes its statistics from {asked.batch_size} examples."
    return _found(Severity.WARNING, said, paths=layers, remedies=("larger_batch", "use_group_normalization"),
                  measured=("batch size", float(asked.batch_size), float(SMALL_BATCH)))  # fmt: skip


def long_recurrence(asked: Asked) -> Verdict:
    """Recurrent layers over many steps without gates, clipping or attention."""
    calls = [(c, _recurrent(c.layer)) for c in asked.anatomy.calls if _recurrent(c.layer) is not None]
    if not calls:
        return []
    lengths = {c.path: asked.sequence_length or _length(c) for c, _ in calls}
    if not any(lengths.values()):
        return "the length of its sequences was not said: audit(model, sequence_length=...)"
    optimizer = asked.optimizer
    clips = any(getattr(optimizer, what, None) for what in ("clipnorm", "clipvalue", "global_clipnorm"))
    attends = any(isinstance(c.layer, ATTENTION) for c in asked.anatomy.calls)
    found: list[Finding] = []
    for call, layer in calls:
        steps = lengths[call.path] or 0
        measured = ("time steps", float(steps), float(LONG))
        if steps > LONG and not isinstance(layer, GATED):
            said = f"{call.path} carries its state over {steps} steps without gates."
            found += _found(Severity.WARNING, said, paths=[call.path], remedies=("use_lstm", "use_gru"), measured=measured)
        elif steps > LONG and not clips:
            said = f"{call.path} runs over {steps} steps and the optimizer does not clip."
            found += _found(Severity.NOTE, said, paths=[call.path], remedies=("clip_gradients",), measured=measured)
        if steps > VERY_LONG and not attends:
            said = f"{call.path} runs over {steps} steps, and nothing attends to them."
            measured = ("time steps", float(steps), float(VERY_LONG))
            found += _found(Severity.NOTE, said, paths=[call.path], remedies=("add_attention",), measured=measured)
    return found


def _recurrent(layer: Any) -> Any:
    if isinstance(layer, keras.layers.Bidirectional):
        layer = layer.forward_layer
    return layer if isinstance(layer, keras.layers.RNN | keras.layers.ConvLSTM2D) else None


def _length(call: Call) -> int | None:
    shape = call.inputs[0].shape if call.inputs else None
    return shape[1] if shape is not None and shape.rank and shape.rank > 2 else None


def attention_without_positions(asked: Asked) -> Verdict:
    """Attention that cannot tell in which order its inputs come."""
    attention = [c.path for c in asked.anatomy.calls if isinstance(c.layer, ATTENTION)]
    if not attention:
        return []
    first = next(i for i, c in enumerate(asked.anatomy.calls) if isinstance(c.layer, ATTENTION))
    ordered = (keras.layers.RNN, keras.layers.Bidirectional, keras.layers.Conv1D, keras.layers.Conv2D)
    if any(isinstance(c.layer, ordered) for c in asked.anatomy.calls[:first]):
        return []
    words = [c.path + type(c.layer).__name__ for c in asked.anatomy.calls] + [v.path for v in asked.model.variables]
    if any(word in name.lower() for name in words for word in ("pos", "rotary", "rope", "alibi", "time2vec")):
        return []
    said = "Nothing before the attention is called a position: if order matters, it cannot be known."
    return _found(Severity.NOTE, said, paths=attention, remedies=("add_positions",))


def _batch_normalized(asked: Asked) -> Iterator[tuple[Call, Call]]:
    """Each call of BatchNormalization, with the call that made what it normalises."""
    for call in asked.anatomy.calls:
        maker = asked.anatomy.maker(call.inputs[0]) if call.inputs else None
        if isinstance(call.layer, keras.layers.BatchNormalization) and maker is not None:
            yield call, maker


def bias_before_normalization(asked: Asked) -> Verdict:
    """A bias that BatchNormalization takes off again."""
    paths = []
    for _, maker in _batch_normalized(asked):
        linear = activation_of(maker.layer).name == "linear"
        if linear and getattr(maker.layer, "use_bias", False) and is_weight_layer(maker.layer):
            paths.append(maker.path)
    if not paths:
        return []
    said = counted(len(paths), "layer has a bias that a normalisation", many="layers have a bias that a normalisation")
    said = f"{said} behind takes off again: its gradient is zero."
    return _found(Severity.NOTE, said, paths=paths, remedies=("set_use_bias_false",))


def normalization_after_activation(asked: Asked) -> Verdict:
    """BatchNormalization of what has passed the activation."""
    paths = []
    for call, maker in _batch_normalized(asked):
        kind = activation_of(maker.layer).name
        if kind not in ("linear", "unknown", "recurrent") and not isinstance(maker.layer, NORMALIZATIONS):
            paths.append(call.path)
    if not paths:
        return []
    said = counted(len(paths), "normalisation comes", many="normalisations come")
    said = f"{said} after the activation; before it is usual (Ioffe & Szegedy 2015)."
    return _found(Severity.NOTE, said, paths=paths, remedies=("normalize_before_activation",))


def last_activation(asked: Asked) -> Verdict:
    """What the model ends in, against the loss."""
    loss, logits = loss_name(getattr(asked.model, "loss", None))
    if not loss:
        return "it is not compiled, or with several losses or a nameless one"
    call = asked.anatomy.last()
    if call is None:
        return "its output is not one that a layer gives"
    kind, units = activation_of(call.layer).name, call.outputs[0].shape[-1]
    severity, said, remedies = misfit(kind, units or 0, loss=loss, logits=logits)
    if severity is None and "crossentropy" not in loss and kind == "relu":
        severity, said, remedies = (
            Severity.NOTE,
            "The output passes a ReLU, which may be off for good.",
            ("use_linear_output",),
        )
    return [] if severity is None else _found(severity, said, paths=[call.path], remedies=remedies)


def linear_stack(asked: Asked) -> Verdict:
    """Layers without a non-linearity between them are one layer."""
    rows = [call for call in asked.weights if call.straight >= 2]
    if not rows:
        return []
    bent = len(rows) < len(asked.weights) - 1
    said = counted(len(rows), "layer follows", many="layers follow")
    said = f"{said} a linear one without a non-linearity between them: together they are one layer."
    severity = Severity.NOTE if bent else Severity.WARNING
    return _found(severity, said, paths=[call.path for call in rows], remedies=("use_relu",))


def nothing_trainable(asked: Asked) -> Verdict:
    """A training that changes nothing."""
    if not asked.model.built:
        return "it is not built, so that it has no weights yet"
    if asked.model.trainable_variables:
        return []
    frozen = [variable for variable in asked.model.variables if len(variable.shape)]
    said = f"None of the {len(frozen)} weights of the model is trainable" if frozen else "The model has no weights"
    return _found(Severity.ERROR, f"{said}: a training changes nothing.", remedies=("unfreeze",))


def learning_rate(asked: Asked) -> Verdict:
    """The rate at the first step, against what is usual for the optimizer."""
    optimizer = asked.optimizer
    name = type(optimizer).__name__.lower()
    if optimizer is None or name not in RATES:
        return "it is not compiled" if optimizer is None else f"what is usual for {type(optimizer).__name__} is not known"
    rate, (low, high) = float(np.asarray(optimizer.learning_rate)), RATES[name]
    # Rates are float32: one set to just a bound counts as on it.
    if low / FAR * (1 + ROUNDING) < rate < high * FAR * (1 - ROUNDING):
        return []
    times = f"{rate / high:.3g} times the highest" if rate > high else f"{rate / low:.2g} of the lowest"
    said = f"The learning rate of {type(optimizer).__name__} is {rate:.2g}, {times} that is usual ({low:g} to {high:g})."
    remedy = ("lower_learning_rate",) if rate > high else ("raise_learning_rate",)
    return _found(Severity.WARNING, said, remedies=remedy,
                  measured=("learning rate", rate, high * FAR if rate > high else low / FAR))  # fmt: skip


CHECKS: tuple[Callable[[Asked], Verdict], ...] = (
    nothing_trainable, last_activation, linear_stack, learning_rate, saturating_activation, initializer_against_activation,
    deep_without_shortcuts, small_batch, long_recurrence, attention_without_positions, bias_before_normalization,
    normalization_after_activation,
)  # fmt: skip
UNTRACED = ("learning_rate", "nothing_trainable")
"""Checks that need no trace of the model."""
