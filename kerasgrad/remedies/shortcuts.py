"""Shortcuts around hidden layers, and normalisation that does not stand on them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import keras

from kerasgrad.remedies.graph import Edit, Graph, Seen, tensors
from kerasgrad.remedies.places import Block, blocks, feeds_forward, has_kernel
from kerasgrad.remedies.remedy import Given, by_graph
from kerasgrad.taps.activations import activation_of

MERGES = (keras.layers.Add, keras.layers.Concatenate, keras.layers.Average, keras.layers.Multiply)
OPEN = 4
"""Blocks from which on each branch is made smaller, so that their sum does not grow with depth."""


def add_shortcuts(given: Given, graph: Graph) -> Edit:
    """Adds the input of each hidden dense or convolution layer to what its block gives: x + f(x).

    Where widths differ the input passes a projection without bias, `NAME_project` (a convolution of 1 x 1, with strides
    where the block has them); where shapes do not allow that, nothing changes. The first hidden layer, and layers that a
    shortcut is around already, are left alone. With more than four of them each branch is made smaller (`NAME_scale`), so
    that neither activations nor gradients grow with depth: divided by the square root of their number, or, where what it
    gives is never negative, so that sums do not cancel, by their number. All weights are kept, though what they had learnt
    was for a net without shortcuts. A Sequential model becomes a Functional one.

    Source: He et al. 2016, Deep residual learning; Hayou et al. 2021, Stable ResNet, for the scale.
    """
    edit = Edit(branches=True)
    fit = [block for block in blocks(graph) if feeds_forward(block.first.layer) and _is_open(graph, block) and _fits(block)]
    for block in fit:
        start = block.first.inputs[0]
        plain = tuple(start.shape[1:]) == tuple(block.last.outputs[0].shape[1:])
        edit.said.append(f"{block.last.path}: + {'its input' if plain else 'a projection of its input'}")
        run = _around(block, _scale(block, len(fit)), graph)
        edit.around |= {id(block.first): run, id(block.last): run}
    return edit


def _scale(block: Block, count: int) -> float:
    positive = any(activation_of(call.layer).nonnegative for call in block.calls)
    return float(count) ** (-1.0 if positive else -0.5) if count > OPEN else 1.0


def _is_open(graph: Graph, block: Block) -> bool:
    """Whether there is something with weights before the block, and no shortcut around it."""
    if len(block.first.inputs) != 1 or graph.is_output(block.last):
        return False
    maker, weighted = graph.maker(block.first.inputs[0]), False
    while maker is not None and not weighted:
        weighted = bool(getattr(maker.layer, "weights", ()))
        maker = None if weighted or not maker.inputs else graph.maker(maker.inputs[0])
    start = graph.maker(block.first.inputs[0])
    beside = graph.users(start) if start is not None else []
    merged = any(_merges(user) for user in (*graph.users(block.last), *beside))
    return weighted and not merged


def _merges(call: Seen) -> bool:
    return isinstance(call.layer, MERGES) or (len(call.inputs) > 1 and not has_kernel(call.layer))


def _fits(block: Block) -> bool:
    """Whether the block's input can be brought to the shape of what it gives."""
    start, end = block.first.inputs[0].shape, block.last.outputs[0].shape
    if len(start) != len(end) or getattr(block.first.layer, "data_format", "channels_last") != "channels_last":
        return False
    if start[1:-1] == end[1:-1]:
        return True
    strides = _strides(start, end)
    return len(start) == 4 and strides is not None


def _strides(start: Any, end: Any) -> tuple[int, ...] | None:
    if any(
        s is None or e is None or not e or -(-s // (s // e or 1)) != e for s, e in zip(start[1:-1], end[1:-1], strict=True)
    ):
        return None
    return tuple(s // e for s, e in zip(start[1:-1], end[1:-1], strict=True))


def _around(block: Block, scale: float, graph: Graph) -> Any:
    """Runs the calls of a block: remembers what the first is given and adds it to what the last gives."""
    given: list[Any] = []

    def run(seen: Seen, layer: Any, args: Any, kwargs: Any) -> Any:
        if seen is block.first:
            given.append(args[0])
        outputs = layer(*args, **kwargs)
        return outputs if seen is not block.last else _summed(given.pop(), outputs, scale, block.first.layer.name, graph)

    return run


def _summed(way: Any, branch: Any, scale: float, name: str, graph: Graph) -> Any:
    if scale != 1:
        branch = keras.layers.Rescaling(scale, name=graph.free(f"{name}_scale"))(branch)
    projection = {"use_bias": False, "name": graph.free(f"{name}_project")}
    if tuple(way.shape[1:-1]) != tuple(branch.shape[1:-1]):
        way = keras.layers.Conv2D(branch.shape[-1], 1, _strides(way.shape, branch.shape), **projection)(way)
    elif way.shape[-1] != branch.shape[-1]:
        way = keras.layers.Dense(branch.shape[-1], **projection)(way)
    return keras.layers.Add(name=graph.free(f"{name}_sum"))([way, branch])


@dataclass(frozen=True, eq=False)
class _PostNorm:
    """A sublayer whose sum is normalised: z = norm(x + f(x))."""

    norm: Seen
    start: Any
    inside: frozenset[int]


def use_pre_norm(given: Given, graph: Graph) -> Edit:
    """Normalises what a sublayer is given, not the sum behind it: x + f(norm(x)) in the place of norm(x + f(x)).

    The way of the shortcuts is then free from the input to the output. Layer normalisations move with their weights and
    names; a last one, `final_norm`, is put behind the last sum. All weights are kept, though they were learnt for the other
    order. It sees sums of two whose one side is the input of the other.

    Source: Xiong et al. 2020, On layer normalization in the transformer architecture.
    """
    edit = Edit(branches=True)
    found = [post for call in graph.calls if (post := _post_norm(graph, call)) is not None]
    if not found:
        return edit
    made: dict[int, Any] = {}  # new tensors by identity of those that were seen
    normed: dict[int, Any] = {}
    for post in found:
        edit.said.append(f"{post.norm.path}: moves before its sublayer")
    last = found[-1].norm
    inside = {index: post for post in found for index in post.inside}

    def run(seen: Seen, layer: Any, args: Any, kwargs: Any) -> Any:
        for old, new in zip(seen.inputs, tensors((args, kwargs)), strict=True):
            made.setdefault(id(old), new)
        post = inside.get(id(seen))
        if post is not None:
            start = made[id(post.start)]

            def swapped(tensor: Any) -> Any:
                if tensor is not start:
                    return tensor
                if id(start) not in normed:
                    normed[id(start)] = fresh[id(post.norm.layer)](start)
                return normed[id(start)]

            args, kwargs = keras.tree.map_structure(swapped, (args, kwargs))
        moved = any(seen is post.norm for post in found)
        outputs = args[0] if moved else layer(*args, **kwargs)
        if seen is last:
            outputs = keras.layers.LayerNormalization(epsilon=seen.layer.epsilon, name=graph.free("final_norm"))(outputs)
        for old, new in zip(seen.outputs, keras.tree.flatten(outputs), strict=False):
            made[id(old)] = new
        return outputs

    # The new layers of the norms are needed before their own turn: made here, handed over when they are asked for.
    fresh: dict[int, Any] = {}
    for post in found:
        fresh[id(post.norm.layer)] = keras.layers.LayerNormalization.from_config(post.norm.layer.get_config())
        edit.replace[id(post.norm.layer)] = functools.partial(fresh.get, id(post.norm.layer))
    edit.around = {id(call): run for call in graph.calls}
    return edit


def _post_norm(graph: Graph, call: Seen) -> _PostNorm | None:
    if not isinstance(call.layer, keras.layers.LayerNormalization) or not graph.once(call):
        return None
    total = graph.before(call)
    if total is None or len(total.inputs) != 2 or len(graph.users(total)) != 1:
        return None
    if not isinstance(total.layer, keras.layers.Add) and not type(total.layer).__name__.startswith("Add"):
        return None
    for start, end in (total.inputs, total.inputs[::-1]):
        inside = _between(graph, start, end)
        if inside:
            return _PostNorm(call, start, frozenset(inside))
    return None


def _between(graph: Graph, start: Any, end: Any) -> set[int]:
    """The calls on the ways from one tensor to another; empty where another input than that one leads there."""
    found: set[int] = set()
    todo = [end]
    while todo:
        tensor = todo.pop()
        if tensor is start:
            continue
        call = graph.maker(tensor)
        if call is None:
            return set()
        if id(call) not in found:
            found.add(id(call))
            todo += list(call.inputs)
    return found


REMEDIES = (
    by_graph(
        add_shortcuts,
        "x = x + self.act(self.hidden(x))  # with keras.layers.Dense(units, use_bias=False)(x) where widths differ",
    ),
    by_graph(use_pre_norm, "x = x + self.sublayer(self.norm(x))  # in the place of x = self.norm(x + self.sublayer(x))"),
)
