"""Normalisation between a layer's kernel and its activation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

from kerasgrad.remedies.graph import Edit, Graph, Seen, copied
from kerasgrad.remedies.places import blocks, feeds_forward, is_fed_normalized
from kerasgrad.remedies.remedy import Given, by_graph
from kerasgrad.taps.activations import activation_of

MOMENTUM = 0.9
"""Of the averages that batch normalisation predicts with; with Keras' 0.99 they still show the start after 200 steps."""
GROUPS = 32
"""Groups of the group normalisation, fewer where there are fewer than four channels for each (Wu & He 2018: 32)."""

Norm = Callable[[Seen, str], Any]


def add_normalization(given: Given, graph: Graph) -> Edit:
    """Normalisation before the activation of each hidden layer: layer normalisation for dense ones, batch for others.

    Others are convolutions, and layers that saturate: what all examples have in common, in which a deep net of sigmoids
    drowns, layer normalisation leaves where it is. Where a block, or what it is given, is normalised already nothing
    changes. All weights are kept; the new layers are called `NAME_norm`, and an activation that was part of the layer
    becomes `NAME_act`. It does not reach into recurrent layers and attention.

    Source: Ioffe & Szegedy 2015, Batch normalization; Ba, Kiros & Hinton 2016, Layer normalization.
    """

    def fitting(seen: Seen, name: str) -> Any:
        saturates = activation_of(seen.layer).saturates or any(activation_of(u.layer).saturates for u in graph.users(seen))
        return (_batch if saturates or len(seen.outputs[0].shape) > 3 else _layer)(seen, name)

    return _inserted(graph, fitting)


def add_batch_normalization(given: Given, graph: Graph) -> Edit:
    """Batch normalisation before the activation of each hidden layer. Wants 8 examples a step.

    Else as `add_normalization`.

    Source: Ioffe & Szegedy 2015, Batch normalization.
    """
    return _inserted(graph, _batch)


def add_layer_normalization(given: Given, graph: Graph) -> Edit:
    """Layer normalisation before the activation of each hidden layer: over the units of each example, whatever the batch.

    Source: Ba, Kiros & Hinton 2016, Layer normalization.
    """
    return _inserted(graph, _layer)


def add_group_normalization(given: Given, graph: Graph) -> Edit:
    """Group normalisation before the activation of each hidden layer: for convolutions with small batches.

    Source: Wu & He 2018, Group normalization.
    """
    return _inserted(graph, _group)


def use_group_normalization(given: Given, graph: Graph) -> Edit:
    """Group normalisation in the place of batch normalisation, whose statistics are noise in small batches.

    Scales and shifts are kept, moving averages go, the name stays.

    Source: Wu & He 2018, Group normalization, figure 1.
    """
    edit = Edit()
    for call in graph.calls:
        if isinstance(call.layer, keras.layers.BatchNormalization):
            edit.around[id(call)] = lambda seen, layer, args, kwargs: layer(args[0])  # it takes no mask
            if id(call.layer) not in edit.replace:
                new = functools.partial(_group, call, call.layer.name)
                edit.add(f"{call.path}: batch -> group normalisation", replace=(call.layer, new))
    return edit


def lower_batchnorm_momentum(given: Given, graph: Graph) -> Edit:
    """Momentum 0.9 in batch normalisation: the averages that it predicts with follow the training ten times as fast.

    All weights are kept.

    Source: Ioffe & Szegedy 2015, section 3.1, for what the averages are; with 0.99 the start fades after some 500 steps.
    """
    edit = Edit()
    for call in graph.calls:
        if isinstance(call.layer, keras.layers.BatchNormalization) and call.layer.momentum > MOMENTUM:
            said = f"{call.path}: momentum {call.layer.momentum:g} -> {MOMENTUM:g}"
            edit.add(said, replace=(call.layer, functools.partial(copied, call.layer, momentum=MOMENTUM)))
    return edit


def set_use_bias_false(given: Given, graph: Graph) -> Edit:
    """No bias in a layer whose output batch normalisation centres: it takes the bias off again. All else is kept.

    Source: Ioffe & Szegedy 2015, section 3.2.
    """
    edit = Edit()
    for block in blocks(graph):
        layer, second = block.first.layer, block.calls[1].layer if len(block.calls) > 1 else None
        linear = activation_of(layer).name == "linear" and getattr(layer, "use_bias", False)
        if linear and isinstance(second, keras.layers.BatchNormalization):
            edit.add(f"{block.first.path}: no bias", replace=(layer, functools.partial(copied, layer, use_bias=False)))
    return edit


def _inserted(graph: Graph, norm: Norm) -> Edit:
    edit = Edit()
    for block in blocks(graph):
        if not feeds_forward(block.first.layer) or block.normalized or is_fed_normalized(graph, block):
            continue
        layer = block.first.layer
        said = f"{block.first.path}: {type(norm(block.first, 'norm')).__name__} before its activation"
        fused = activation_of(layer).name != "linear"
        replace = {"replace": (layer, functools.partial(copied, layer, activation="linear"))} if fused else {}
        edit.add(said, **replace)
        edit.around[id(block.first)] = _normalized(norm, layer.activation if fused else None, graph)
    return edit


def _normalized(norm: Norm, activation: Any, graph: Graph) -> Any:
    def run(seen: Seen, layer: Any, args: Any, kwargs: Any) -> Any:
        outputs = norm(seen, graph.free(f"{layer.name}_norm"))(layer(*args, **kwargs))
        if activation is None:
            return outputs
        return keras.layers.Activation(activation, name=graph.free(f"{layer.name}_act"))(outputs)

    return run


def _batch(seen: Seen, name: str) -> Any:
    return keras.layers.BatchNormalization(momentum=MOMENTUM, name=name)


def _layer(seen: Seen, name: str) -> Any:
    return keras.layers.LayerNormalization(name=name)


def _group(seen: Seen, name: str) -> Any:
    channels = seen.outputs[0].shape[-1]
    groups = next(g for g in range(min(GROUPS, max(1, channels // 4)), 0, -1) if channels % g == 0)
    return keras.layers.GroupNormalization(groups, name=name)


_CODE = (
    "self.hidden, self.norm, self.act = keras.layers.Dense(units), keras.layers.{}(), keras.layers.ReLU()\n"
    "x = self.act(self.norm(self.hidden(x)))"
)
REMEDIES = (
    by_graph(add_normalization, _CODE.format("LayerNormalization")),
    by_graph(add_batch_normalization, _CODE.format("BatchNormalization")),
    by_graph(add_layer_normalization, _CODE.format("LayerNormalization")),
    by_graph(add_group_normalization, _CODE.format("GroupNormalization")),
    by_graph(use_group_normalization, "self.norm = keras.layers.GroupNormalization(groups)"),
    by_graph(lower_batchnorm_momentum, "self.norm = keras.layers.BatchNormalization(momentum=0.9)"),
    by_graph(set_use_bias_false, "self.hidden = keras.layers.Dense(units, use_bias=False)"),
)
