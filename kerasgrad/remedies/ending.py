"""What comes last: the output's activation and the loss that fits it; dropout and freezing."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras

from kerasgrad.monitoring.progress import loss_name
from kerasgrad.remedies.graph import Edit, Graph, Seen, copied, is_graph, rebuilt
from kerasgrad.remedies.places import blocks, feeds_forward, last_calls
from kerasgrad.remedies.remedy import KEPT, Given, Remedied, Remedy, by_graph, subclassed
from kerasgrad.remedies.training import compiled_with, recompiled
from kerasgrad.taps.activations import activation_of

RATE = 0.2
LOSSES: dict[str, Callable[..., Any]] = {
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
}


def use_sigmoid(given: Given) -> Remedied:
    """A sigmoid at the end of a model with one unit, and binary cross-entropy of probabilities.

    All weights are kept. It does nothing for several units under a categorical loss, which want a softmax.

    Source: Bishop 2006, Pattern recognition and machine learning, section 4.3.6 (canonical links).
    """

    def fits(units: int, loss: str) -> str | None:
        if "crossentropy" not in loss or (units > 1 and "categorical" in loss):
            return None
        return "binary_crossentropy"

    return _ended(given, "use_sigmoid", "sigmoid", fits)


def use_binary_crossentropy(given: Given) -> Remedied:
    """Binary cross-entropy, and the sigmoid that goes with it, for one unit. All weights are kept.

    Source: Bishop 2006, Pattern recognition and machine learning, section 4.3.6 (canonical links).
    """
    return _ended(
        given, "use_binary_crossentropy", "sigmoid", lambda units, loss: "binary_crossentropy" if units == 1 else None
    )


def use_softmax(given: Given) -> Remedied:
    """A softmax at the end of a model with several units under a categorical cross-entropy. All weights are kept.

    Source: Bishop 2006, section 4.3.6.
    """
    return _ended(given, "use_softmax", "softmax", lambda units, loss: loss if units > 1 and "categorical" in loss else None)


def use_linear_output(given: Given) -> Remedied:
    """No activation at the end, for regression; under a cross-entropy the loss is given logits then. All weights are kept.

    Source: Bishop 2006, section 4.3.6.
    """
    return _ended(given, "use_linear_output", "linear", lambda units, loss: loss)


def set_from_logits(given: Given) -> Remedied:
    """Tells a cross-entropy that it is given logits, and takes the activation off the end. All weights are kept.

    Metrics of a binary cross-entropy that count at a probability of 0.5 then count at a logit of 0.

    Source: the documentation of Keras' losses, `from_logits`.
    """
    return _ended(given, "set_from_logits", "linear", lambda units, loss: loss if loss in LOSSES else None)


def _ended(given: Given, name: str, activation: str, fits: Callable[[int, str], str | None]) -> Remedied:
    model = given.model
    if not is_graph(model):
        return subclassed(name, model, f'self.head = keras.layers.Dense(units, activation="{activation}")')
    loss, logits = loss_name(getattr(model, "loss", None))
    nothing = Remedied(name, advice=f"There is nothing at the end of {model.name}, with its loss, that {name} would change.")
    units = int(model.outputs[0].shape[-1] or 0) if len(model.outputs) == 1 else 0
    new = fits(units, loss) if loss and units else None
    if new is None:
        return nothing
    wants_logits = activation == "linear" and new in LOSSES

    def editor(graph: Graph) -> Edit:
        edit = Edit()
        for number, call in enumerate(last_calls(graph)):
            kind = activation_of(call.layer).name
            target = activation if number == 0 else "linear"
            if isinstance(call.layer, keras.Model):  # its own end comes in its own turn
                continue
            if kind != target and (kind != "linear" or number == 0) and kind != "unknown":
                edit.add(f"{call.path}: {kind} -> {target}", replace=(call.layer, _maker(call.layer, target)))
        return edit

    copy, said = rebuilt(model, editor)
    changes: dict[str, Any] = {}
    if new != loss or (new in LOSSES and logits != wants_logits):
        changes["loss"] = LOSSES[new](from_logits=wants_logits)
        said.append(f"loss: {new}{' of logits' if wants_logits else ''}")
    if not said:
        return nothing
    if wants_logits and new == "binary_crossentropy":
        compiled = compiled_with(model)
        given_metrics = {what: compiled[what] for what in ("metrics", "weighted_metrics") if compiled.get(what)}
        told = keras.tree.map_structure(functools.partial(_told_at_zero, units), given_metrics)
        if any(a is not b for a, b in zip(*map(keras.tree.flatten, (given_metrics, told)), strict=True)):
            changes |= told
            said.append("metrics: classes are told apart at a logit of 0")
    return Remedied(name, recompiled(copy, model, **changes), tuple(said), KEPT)


def _told_at_zero(units: int, metric: Any) -> Any:
    """Of a metric that tells classes apart at a probability of 0.5 one that does at a logit of 0; any other as it is."""
    if metric == "binary_accuracy" or (metric in ("accuracy", "acc") and units == 1):
        return keras.metrics.BinaryAccuracy(name=metric, threshold=0.0)
    config = metric.get_config() if isinstance(metric, keras.metrics.Metric) else {}
    if isinstance(metric, keras.metrics.AUC):
        return type(metric).from_config(config | {"from_logits": True})
    if isinstance(metric, keras.metrics.FBetaScore):  # takes no threshold of 0
        return metric
    halves = [name for name in ("threshold", "thresholds") if name in config and config[name] in (None, 0.5)]
    return type(metric).from_config(config | dict.fromkeys(halves, 0.0)) if halves else metric


def _maker(layer: Any, activation: str) -> Callable[[], Any]:
    if hasattr(layer, "activation"):
        return lambda: copied(layer, activation=activation)
    return lambda: keras.layers.Activation(activation, name=layer.name)


def add_dropout(given: Given, graph: Graph) -> Edit:
    """Drops a fifth of what each hidden dense or convolution block gives while it trains. All weights are kept.

    Source: Srivastava et al. 2014, Dropout.
    """
    edit = Edit()
    for block in blocks(graph):
        dropped = any(isinstance(call.layer, keras.layers.Dropout) for call in block.calls)
        if feeds_forward(block.first.layer) and not dropped:
            edit.said.append(f"{block.last.path}: dropout of {RATE:g} behind it")
            edit.around[id(block.last)] = functools.partial(_dropped, graph)
    return edit


def _dropped(graph: Graph, seen: Seen, layer: Any, args: Any, kwargs: Any) -> Any:
    return keras.layers.Dropout(RATE, name=graph.free(f"{layer.name}_dropout"))(layer(*args, **kwargs))


def unfreeze(given: Given, graph: Graph) -> Edit:
    """Sets `trainable` of the layers that the finding names, or of all that are not trained. All weights are kept.

    Source: Yosinski et al. 2014, How transferable are features in deep neural networks.
    """
    edit = Edit(thaws=True)
    paths = {*given.finding.layers, given.finding.starts_at} - {""} if given.finding else set()
    for call in graph.calls:
        frozen = bool(getattr(call.layer, "weights", None)) and not call.layer.trainable
        if frozen and (not paths or call.path in paths) and id(call.layer) not in edit.replace:
            edit.add(f"{call.path}: trained", replace=(call.layer, functools.partial(_trained, call.layer)))
    return edit


def _trained(layer: Any) -> Any:
    new = copied(layer)
    new.trainable = True
    return new


REMEDIES = (
    *(
        Remedy(act.__name__, act, inspect.getdoc(act) or "")
        for act in (use_sigmoid, use_binary_crossentropy, use_softmax, use_linear_output, set_from_logits)
    ),
    by_graph(add_dropout, "x = keras.layers.Dropout(0.2)(x)"),
    by_graph(unfreeze, "layer.trainable = True  # then compile again"),
)
