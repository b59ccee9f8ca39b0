"""Where in a graph a remedy is to act: hidden layers with kernels, the block around each, what comes last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from kerasgrad.probes.tracing import NORMALIZATIONS, is_weight_layer
from kerasgrad.remedies.graph import Graph, Seen
from kerasgrad.remedies.remedy import Given
from kerasgrad.taps.activations import activation_of
from kerasgrad.taps.layers import RECURRENT

ACTIVATIONS = (
    keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU, keras.layers.ELU,
)  # fmt: skip
LEAVES_SHAPES = (*NORMALIZATIONS, *ACTIVATIONS, keras.layers.Dropout)
"""Layers that belong to the layer with a kernel before them."""


@dataclass(frozen=True)
class Block:
    """A layer with a kernel and what belongs to it: normalisation, activation, dropout behind it."""

    calls: tuple[Seen, ...]

    @property
    def first(self) -> Seen:
        """The layer with the kernel."""
        return self.calls[0]

    @property
    def last(self) -> Seen:
        """What comes last in it."""
        return self.calls[-1]

    @property
    def normalized(self) -> bool:
        """Whether there is a normalisation in it."""
        return any(isinstance(call.layer, NORMALIZATIONS) for call in self.calls)

    @property
    def activation(self) -> str:
        """Name of its activation."""
        names = [activation_of(call.layer).name for call in self.calls if not isinstance(call.layer, NORMALIZATIONS)]
        return next((name for name in names if name not in ("linear", "unknown")), "linear")


def has_kernel(layer: Any) -> bool:
    """Whether it multiplies its input by a kernel: dense, convolution, recurrent, attention."""
    return isinstance(layer, keras.layers.Layer) and not isinstance(layer, keras.Model) and is_weight_layer(layer)


def feeds_forward(layer: Any) -> bool:
    """Whether it is dense or a convolution: a kernel and perhaps an activation, and no loop."""
    if not has_kernel(layer) or isinstance(layer, RECURRENT):
        return False
    return hasattr(layer, "activation") and any(hasattr(layer, f"{of}_initializer") for of in ("kernel", "depthwise"))


def last_calls(graph: Graph) -> list[Seen]:
    """What comes last before each output: from it back to the layer with the kernel, frozen or not, or a model within.

    None in a model within whose output is not the end.
    """
    found: list[Seen] = []
    for tensor in graph.outputs if graph.ends else ():
        call = graph.maker(tensor)
        while call is not None:
            found.append(call)
            weighted = bool(getattr(call.layer, "weights", ())) and not isinstance(call.layer, LEAVES_SHAPES)
            call = None if weighted else graph.before(call)
    return found


def blocks(graph: Graph) -> list[Block]:
    """The hidden layers with kernels, each with what belongs to it, in order; layers that are called twice are left out."""
    last = {id(call) for call in last_calls(graph)}
    found = []
    for call in graph.calls:
        if not has_kernel(call.layer) or id(call) in last or not graph.once(call):
            continue
        chain = [call]
        while (after := graph.after(chain[-1])) is not None and isinstance(after.layer, LEAVES_SHAPES):
            if id(after) in last:
                break
            chain.append(after)
        found.append(Block(tuple(chain)))
    return found


def is_fed_normalized(graph: Graph, block: Block) -> bool:
    """Whether there is a normalisation, and nothing else but an activation, before a block, as in pre-norm nets."""
    before = graph.before(block.first)
    while before is not None and isinstance(before.layer, LEAVES_SHAPES):
        if isinstance(before.layer, NORMALIZATIONS):
            return True
        before = graph.before(before)
    return False


def named(given: Given, graph: Graph) -> list[Block]:
    """The blocks that the finding names; all hidden ones where it names none."""
    all_of_them = blocks(graph)
    if given.finding is None:
        return all_of_them
    paths = {*given.finding.layers, given.finding.starts_at} - {""}
    met = [block for block in all_of_them if any(_is_at(call.path, paths) for call in block.calls)]
    return met or all_of_them


def _is_at(path: str, paths: set[str]) -> bool:
    return any(path == other or other.startswith(path + "/") for other in paths)
