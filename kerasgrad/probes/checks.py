"""The audit's checks of a model's layers, each from what is known before training to findings, or to why it cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerasgrad.finding import Finding, Severity, counted
from kerasgrad.probes.audit_context import Asked, CheckResult, found
from kerasgrad.probes.tracing import NORMALIZATIONS, Call, is_weight_layer
from kerasgrad.taps.activations import activation_of

DEPTH_NOTE, DEPTH_WARNING = 20, 30
"""Weight layers without a shortcut around them (design: 20 to 30 layers want shortcuts; He et al. 2016)."""
LONG, VERY_LONG = 100, 512
"""Time steps that want gates and clipping, and attention."""
SIGMOIDS = 3
"""Hidden sigmoid layers in a row from which on the signal is below 1/64."""
GATED = (keras.layers.LSTM, keras.layers.GRU, keras.layers.ConvLSTM2D)
UNBOUNDED = {"relu", "elu", "selu", "softplus", "leaky_relu", "linear", "exponential"}
"""Activations with which the state of a cell can grow from step to step."""
ATTENTION = (
    keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention, keras.layers.Attention, keras.layers.AdditiveAttention
)  # fmt: skip


def deep_without_shortcuts(asked: Asked) -> CheckResult:
    """The shortest way from the input to the output is long."""
    shortest = max((call.shortest for call in asked.weights), default=0)
    if shortest <= DEPTH_NOTE:
        return []
    severity = Severity.WARNING if shortest > DEPTH_WARNING else Severity.NOTE
    said = f"The shortest way through the model passes {shortest} layers with weights; there is no shortcut around them."
    return found(severity, said, remedies=("add_shortcuts", "add_normalization"),
                  measured=("weight layers on the shortest way", float(shortest), float(DEPTH_NOTE)))  # fmt: skip


def saturating_activation(asked: Asked) -> CheckResult:
    """Sigmoids, and tanh in deep nets, in hidden layers; a gate and a head are on no way that the signal has to take."""
    rows = [(call, activation_of(call.layer).saturates) for call in asked.anatomy.calls]
    end, heads = max((i for i, (call, _) in enumerate(rows) if is_weight_layer(call.layer)), default=-1), asked.heads
    sigmoid, tanh = (
        [call.path for call, kind in rows[:end] if kind == which and not call.gate and call not in heads]
        for which in ("sigmoid", "tanh")
    )
    if len(sigmoid) >= 1:
        severity = Severity.WARNING if len(sigmoid) >= SIGMOIDS else Severity.NOTE
        said = counted(len(sigmoid), "hidden layer is a sigmoid: it leaves", many="hidden layers are sigmoids: each leaves")
        said = f"{said} at most 1/4 of the signal."
        return found(severity, said, paths=sigmoid, remedies=("use_relu", "use_glorot_initializer"))
    if len(tanh) > DEPTH_NOTE:
        said = f"{len(tanh)} hidden layers are tanh; their signal holds only with weights of just the right size."
        return found(Severity.NOTE, said, paths=tanh, remedies=("use_relu", "add_normalization"))
    return []


def initializer_against_activation(asked: Asked) -> CheckResult:
    """Kernels of one value; He's scale before tanh or sigmoid; Glorot's in a deep stack of ReLUs.

    A head may well begin at zero, and so may a branch with a way around it (ReZero, Bachlechner et al. 2020).
    """
    constant: list[str] = []
    too_large: list[str] = []
    too_small: list[str] = []
    many = len(asked.weights) > DEPTH_NOTE // 2
    heads = asked.heads
    for i, call in enumerate(asked.weights):
        kernel = getattr(call.layer, "kernel", None)
        if kernel is None or call is asked.last or call in heads:
            continue
        values, name = np.asarray(kernel), type(getattr(call.layer, "kernel_initializer", None)).__name__
        branch = not values.any() and any(later.shortest <= call.shortest for later in asked.weights[i + 1 :])
        if values.size > 1 and (values == values.flat[0]).all() and not branch:
            constant.append(call.path)
        kind = activation_of(call.layer)
        if kind.saturates and name.startswith("He"):
            too_large.append(call.path)
        if many and kind.name == "relu" and name.startswith("Glorot"):
            too_small.append(call.path)
    if constant:
        said = f"All weights of {constant[0]} are equal: its units get the same gradient and stay copies of each other."
        return found(Severity.WARNING, said, paths=constant, remedies=("use_glorot_initializer",))
    told: list[Finding] = []
    for paths, what, remedy in (
        (too_large, "He's initialiser, which is for ReLUs, before a tanh or sigmoid", "use_glorot_initializer"),
        (too_small, "Glorot's initialiser before a ReLU in a deep stack, where He's keeps the size", "use_he_initializer"),
    ):
        if paths:
            said = f"{counted(len(paths), 'layer has', many='layers have')} {what}."
            told += found(Severity.NOTE, said, paths=paths, remedies=(remedy,))
    return told


def long_recurrence(asked: Asked) -> CheckResult:
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
    told: list[Finding] = []
    for call, layer in calls:
        steps = lengths[call.path] or 0
        measured = ("time steps", float(steps), float(LONG))
        if steps > LONG and not isinstance(layer, GATED):
            said = f"{call.path} carries its state over {steps} steps without gates."
            told += found(Severity.WARNING, said, paths=[call.path], remedies=("use_lstm", "use_gru"), measured=measured)
        elif steps > LONG and not clips:
            said = f"{call.path} runs over {steps} steps and the optimizer does not clip."
            told += found(Severity.NOTE, said, paths=[call.path], remedies=("clip_gradients",), measured=measured)
        if steps > VERY_LONG and not attends:
            said = f"{call.path} runs over {steps} steps, and nothing attends to them."
            measured = ("time steps", float(steps), float(VERY_LONG))
            told += found(Severity.NOTE, said, paths=[call.path], remedies=("add_attention",), measured=measured)
    return told


def _recurrent(layer: Any) -> Any:
    if isinstance(layer, keras.layers.Bidirectional):
        layer = layer.forward_layer
    return layer if isinstance(layer, keras.layers.RNN | keras.layers.ConvLSTM2D) else None


def _length(call: Call) -> int | None:
    shape = call.inputs[0].shape if call.inputs else None
    return shape[1] if shape is not None and shape.rank and shape.rank > 2 else None


def attention_without_positions(asked: Asked) -> CheckResult:
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
    return found(Severity.NOTE, said, paths=attention, remedies=("add_positions",))


def _batch_normalized(asked: Asked) -> Iterator[tuple[Call, Call]]:
    """Each call of BatchNormalization, with the call that made what it normalises."""
    for call in asked.anatomy.calls:
        maker = asked.anatomy.maker(call.inputs[0]) if call.inputs else None
        if isinstance(call.layer, keras.layers.BatchNormalization) and maker is not None:
            yield call, maker


def bias_before_normalization(asked: Asked) -> CheckResult:
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
    return found(Severity.NOTE, said, paths=paths, remedies=("set_use_bias_false",))


def normalization_after_activation(asked: Asked) -> CheckResult:
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
    return found(Severity.NOTE, said, paths=paths, remedies=("normalize_before_activation",))


def _narrow(calls: Sequence[Call]) -> bool:
    """Whether a layer between has fewer units than what it joins: linear layers then are of a rank, as in factorisations."""
    units = [int(call.outputs[0].shape[-1] or 0) for call in calls if call.outputs]
    inputs = int(calls[0].inputs[0].shape[-1] or 0) if calls and calls[0].inputs and calls[0].inputs[0].shape.rank else 0
    return len(units) > 1 and min(units[:-1]) < min(inputs, units[-1])


def linear_stack(asked: Asked) -> CheckResult:
    """Layers without a non-linearity between them are one layer."""
    rows = [call for call in asked.weights if call.straight >= 2]
    if not rows:
        return []
    bent = len(rows) < len(asked.weights) - 1 or _narrow(asked.weights) or asked.anatomy.terms > 0
    said = counted(len(rows), "layer follows", many="layers follow")
    said = f"{said} a linear one without a non-linearity between them: together they are one layer."
    severity = Severity.NOTE if bent else Severity.WARNING
    return found(severity, said, paths=[call.path for call in rows], remedies=("use_relu",))


def unbounded_state(asked: Asked) -> CheckResult:
    """A recurrent layer with gates whose state has no bound, since its activation is a ReLU."""
    layers = [(call.path, _recurrent(call.layer)) for call in asked.anatomy.calls]
    names = {path: str(getattr(layer.activation, "__name__", "")) for path, layer in layers if isinstance(layer, GATED)}
    paths = [path for path, name in names.items() if name in UNBOUNDED]
    if not paths:
        return []
    said = counted(len(paths), "recurrent layer has", many="recurrent layers have")
    said = f"{said} {names[paths[0]]} in the place of tanh: the state has no bound, and grows over long sequences."
    return found(Severity.NOTE, said, paths=paths, remedies=("clip_gradients",))
