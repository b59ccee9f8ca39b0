"""What a traced function does: which variables it changes, and whether another does the same."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

_CHANGES = re.compile(r"Assign.*Variable|ResourceApply|ResourceSparseApply|ResourceScatter|ResourceStridedSliceAssign")
_HANDS_ON = frozenset({"Identity", "Enter"})
# By operation the attributes that name the functions it calls; its last inputs are their arguments.
_CALLS = ("f", "then_branch", "else_branch", "cond", "body", "branches")


def assigned(program: Any, variables: Iterable[Any]) -> set[int]:
    """Which variables a graph changes when it runs.

    Args:
        program: a concrete function.
        variables: TensorFlow's own variables, as of `keras.Variable.value`.

    Returns:
        The ids of those among them that it assigns, wherever: in inner functions, conditions and loops too.
    """
    by_handle = {id(handle): id(v) for v in variables for handle in _handles(v)}
    captured = {
        inner.name.partition(":")[0]: by_handle[id(outer)]
        for outer, inner in program.graph.captures
        if id(outer) in by_handle
    }
    graph = program.graph.as_graph_def()
    library = {f.signature.name: f for f in graph.library.function}
    found: set[int] = set()
    waiting = [(graph.node, captured)]
    done: set[tuple[str, tuple[tuple[str, int], ...]]] = set()
    while waiting:
        nodes, known = waiting.pop()
        for name, inner in _followed(nodes, known, found):
            function = library.get(name)
            if function is None:
                continue
            names = [argument.name for argument in function.signature.input_arg]
            arguments = {names[place]: v for place, v in inner.items() if place < len(names)}
            key = name, tuple(sorted(arguments.items()))
            if arguments and key not in done:
                done.add(key)
                waiting.append((function.node_def, arguments))
    return found


def _handles(variable: Any) -> list[Any]:
    """All by which a variable may be captured: under a strategy one for each replica."""
    parts = getattr(variable, "values", None)
    if callable(parts) or parts is None:
        parts = ()
    return [part.handle for part in (*parts, variable) if hasattr(part, "handle")]


def _followed(nodes: Any, known: dict[str, int], found: set[int]) -> Iterator[tuple[str, dict[int, int]]]:
    """Adds what these nodes change to `found`, and gives the functions they call, with variables by place of argument."""
    known = dict(known)
    for node in nodes:
        inputs = [i.partition(":")[0] for i in node.input if not i.startswith("^")]
        held = {place: known[name] for place, name in enumerate(inputs) if name in known}
        if not held:
            continue
        if node.op in _HANDS_ON:
            known[node.name] = held[0]
        elif _CHANGES.match(node.op):
            found.update(held.values())
        for name in _called(node):
            chooses = node.op in ("If", "StatelessIf", "Case", "StatelessCase")  # their first input is the condition
            yield name, {place - chooses: v for place, v in held.items()}


def _called(node: Any) -> Iterator[str]:
    for name in _CALLS:
        if name in node.attr:
            value = node.attr[name]
            yield from [value.func.name] if value.HasField("func") else [f.name for f in value.list.func]


def same(one: Any, other: Any) -> bool:
    """Whether two graphs do the same: the same operations on the same variables, with the same constants.

    Args:
        one: a concrete function.
        other: another.
    """
    ours, others = one.graph.captures, other.graph.captures
    if len(ours) != len(others) or not all(_is_same(a, b) for (a, _), (b, _) in zip(ours, others, strict=True)):
        return False
    pairs = itertools.zip_longest(_canonical(one), _canonical(other))
    return all(a == b for a, b in pairs)


def _is_same(one: Any, other: Any) -> bool:
    """Whether two graphs capture the same there: a variable, or constants of the same values."""
    if one is other:
        return True
    if one.dtype in (tf.resource, tf.variant) or one.dtype != other.dtype or not hasattr(one, "numpy"):
        return False
    return bool(np.array_equal(one.numpy(), other.numpy()))


def _canonical(program: Any) -> Iterator[Any]:
    """The operations of a graph and of the functions that it calls, with numbers for names: TensorFlow counts those on."""
    graph = program.graph.as_graph_def()
    library = {f.signature.name: f for f in graph.library.function}
    functions: dict[str, int] = {}
    waiting: list[tuple[Any, list[str]]] = [(graph.node, [])]
    for nodes, arguments in waiting:  # grows while it is read
        names = {name: number for number, name in enumerate([*arguments, *(node.name for node in nodes)])}
        for node in nodes:
            for name in _called(node):
                if name not in functions and name in library:
                    function = library[name]
                    waiting.append((function.node_def, [argument.name for argument in function.signature.input_arg]))
                functions.setdefault(name, len(functions))
            inputs = [_numbered(name, names) for name in node.input]
            yield node.op, inputs, [functions[name] for name in _called(node)], _plain_attributes(node)


def _numbered(name: str, names: dict[str, int]) -> tuple[bool, int | str, str]:
    """An input by the number of its node, and which output of it; whether it is only waited for."""
    first, _, rest = name.removeprefix("^").partition(":")
    return name.startswith("^"), names.get(first, first), rest


def _plain_attributes(node: Any) -> list[tuple[str, bytes]]:
    """The attributes that say what a node does; those that TensorFlow keeps for itself count on too."""
    kept = ((k, v) for k, v in node.attr.items() if not k.startswith("_") and k not in _CALLS)
    return sorted((k, v.SerializeToString(deterministic=True)) for k, v in kept)
