"""Other activations in hidden layers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any

import keras

from kerasgrad.remedies.graph import Edit, Graph, Seen, copied
from kerasgrad.remedies.initializers import KERNELS, initializers_of
from kerasgrad.remedies.places import Block, blocks, feeds_forward
from kerasgrad.remedies.remedy import Given, by_graph
from kerasgrad.taps.activations import activation_of

SATURATING = ("sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "softsign", "softmax", "exponential")
RECTIFIERS = ("relu", "relu6", "threshold")
SLOPE = 0.2
"""Of a leaky ReLU below zero; Keras' own for the name `"leaky_relu"`."""


def use_relu(given: Given, graph: Graph) -> Edit:
    """ReLU in the place of sigmoid, tanh and the like, with He weights, and between layers that have no activation at all.

    Changes all hidden dense and convolution layers that saturate. Their kernels are drawn anew, for ReLU wants another size.
    It keeps all else. It does nothing to recurrent layers, whose state a ReLU would let grow, nor to functions of one's own.

    Source: Glorot et al. 2011, Deep sparse rectifier neural networks; He et al. 2015, Delving deep into rectifiers.
    """
    edit = _swapped(graph, SATURATING, "relu", redraw=True)
    return edit if edit.said else _between_linear_ones(graph)


def use_leaky_relu(given: Given, graph: Graph) -> Edit:
    """Leaky ReLU (slope 0.2 below zero) in the place of ReLU: a unit that is off still gets a gradient and can come back.

    Changes all hidden ReLUs and keeps all weights; where there are none, it replaces what saturates, with He weights.

    Source: Maas et al. 2013, Rectifier nonlinearities improve neural network acoustic models.
    """
    edit = _swapped(graph, RECTIFIERS, "leaky_relu", redraw=False)
    return edit if edit.said else _swapped(graph, SATURATING, "leaky_relu", redraw=True)


def use_prelu(given: Given, graph: Graph) -> Edit:
    """PReLU in the place of ReLU: the slope below zero begins at 0.25 and is learnt, one for each channel.

    Changes all hidden ReLUs and keeps all weights. A layer's own activation becomes a layer behind it, `NAME_act`. It does
    nothing to recurrent layers, whose activation is inside their loop.

    Source: He et al. 2015, Delving deep into rectifiers.
    """
    edit = Edit()
    for block in filter(_is_feed_forward, blocks(graph)):
        for call in block.calls:
            if activation_of(call.layer).name in RECTIFIERS:
                _with_prelu(edit, graph, call)
    return edit


def _with_prelu(edit: Edit, graph: Graph, call: Seen) -> None:
    shape = call.outputs[0].shape

    def prelu(name: str) -> Any:
        start = keras.initializers.Constant(0.25)
        return keras.layers.PReLU(start, shared_axes=list(range(1, len(shape) - 1)) or None, name=name)

    said = f"{call.path}: {activation_of(call.layer).name} -> prelu"
    if not feeds_forward(call.layer):
        edit.add(said, replace=(call.layer, lambda: prelu(call.layer.name)))
        return
    edit.add(said, replace=(call.layer, lambda: copied(call.layer, activation="linear")))
    edit.around[id(call)] = lambda seen, layer, args, kwargs: prelu(graph.free(f"{layer.name}_act"))(layer(*args, **kwargs))


def _swapped(graph: Graph, old: Collection[str], new: str, redraw: bool) -> Edit:
    edit = Edit()
    for block in filter(_is_feed_forward, blocks(graph)):
        changed = [call for call in block.calls if activation_of(call.layer).name in old]
        for call in changed:
            edit.add(
                f"{call.path}: {activation_of(call.layer).name} -> {new}",
                replace=(call.layer, _maker(call.layer, new, redraw)),
            )
        if changed and redraw:
            first = block.first.layer
            edit.redraw[id(first)] = KERNELS
            he = initializers_of(first, "he_normal")
            edit.replace.setdefault(id(first), functools.partial(copied, first, **he))
    return edit


def _maker(layer: Any, new: str, redraw: bool) -> Callable[[], Any]:
    """Makes the layer with another activation."""
    if feeds_forward(layer):
        more = initializers_of(layer, "he_normal") if redraw else {}
        return lambda: copied(layer, activation=new, **more)
    return lambda: keras.layers.Activation(new, name=layer.name, dtype=layer.dtype_policy)


def _is_feed_forward(block: Block) -> bool:
    return feeds_forward(block.first.layer)


def _between_linear_ones(graph: Graph) -> Edit:
    """Activations for layers that have none and are followed by another one like it: together they are one layer."""
    edit = Edit()
    for block in blocks(graph):
        after = graph.after(block.last)
        if block.activation == "linear" and len(block.calls) == 1 and feeds_forward(block.first.layer):
            if after is None or not feeds_forward(after.layer):
                continue
            layer = block.first.layer
            edit.add(f"{block.first.path}: linear -> relu", replace=(layer, _maker(layer, "relu", redraw=False)))
    return edit


REMEDIES = (
    by_graph(use_relu, 'self.hidden = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal")'),
    by_graph(use_leaky_relu, 'self.hidden = keras.layers.Dense(units, activation="leaky_relu")'),
    by_graph(
        use_prelu,
        "self.hidden, self.act = keras.layers.Dense(units), keras.layers.PReLU(keras.initializers.Constant(0.25))\n"
        "x = self.act(self.hidden(x))",
    ),
)
