"""What `tf.function` made: how it is traced, and a second one like it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import random_seed

_LOOP, _STEP = "multi_step_on_iterator", "one_step_on_data"
_OF_DATASETS = (tf.data.Iterator, tf.distribute.DistributedIterator)


def is_traced(function: Any) -> bool:
    """Whether a function was made by `tf.function`."""
    return isinstance(function, tf.types.experimental.PolymorphicFunction)


def converted(function: Callable[..., Any], by_default: bool = True) -> Callable[..., Any]:
    """A Python function as AutoGraph makes it where it is on; `by_default` says what holds where nothing is said."""
    autograph = tf.__internal__.autograph
    return autograph.tf_convert(function, autograph.control_status_ctx(), by_default)  # type: ignore[no-any-return]


def traced_like(function: Any, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[..., Any]:
    """A traced function with the settings of another, around the Python function of that one.

    Args:
        function: made by `tf.function`.
        make: from its Python function to the one that is to be traced.

    Returns:
        The function. AutoGraph rewrites the inner one as it was asked to, and nothing around it.
    """
    inner = function.python_function
    if function._autograph:
        inner = converted(inner)
    signature, compiled = function.input_signature, function._jit_compile
    return tf.function(  # type: ignore[no-any-return]
        make(inner), input_signature=signature, autograph=False, jit_compile=compiled, reduce_retracing=True
    )


def can_be_inlined(function: Any) -> bool:
    """Whether a step may run what is in a traced function in its own graph: it is a user's, and nothing special.

    What XLA compiles apart rounds apart; what TensorFlow and Keras trace for themselves trains nothing.
    """
    module = str(getattr(function.python_function, "__module__", "") or "")
    special = function._jit_compile or function._attributes or function.input_signature is not None
    return not special and module.partition(".")[0] not in ("keras", "tensorflow")


def inlined(function: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    """What a traced function gives, made in the graph that is traced now instead of in one of its own.

    AutoGraph and the seeds of random operations are those that it would have there.
    """
    inner = function.python_function
    if function._autograph:
        context = tf.__internal__.autograph.control_status_ctx()
        enabled = type(context)(status=type(context.status).ENABLED)
        inner = tf.__internal__.autograph.tf_convert(inner, enabled, True, True)
    args, kwargs = tf.nest.map_structure(_as_argument, (args, kwargs))
    with _own_seeds():
        outputs = inner(*args, **kwargs)
    return tf.nest.map_structure(lambda v: v if v is None or tf.is_tensor(v) else tf.convert_to_tensor(v), outputs)


def _as_argument(value: Any) -> Any:
    return tf.convert_to_tensor(value) if isinstance(value, np.ndarray | np.generic) else value


@contextlib.contextmanager
def _own_seeds() -> Iterator[None]:
    """Within it random operations count from 0, as in a graph of their own."""
    counts, graph = random_seed._graph_to_seed_dict, tf.compat.v1.get_default_graph()
    before, counts[graph] = counts.get(graph, 0), 0
    try:
        yield
    finally:
        counts[graph] = before


def concrete(function: Any, args: Any, kwargs: Any) -> Any:
    """The graph by which a traced function will run for such arguments, traced if it was not; None where all is eager."""
    return None if tf.config.functions_run_eagerly() else function.get_concrete_function(*args, **kwargs)


def outermost_graph() -> Any:
    """The graph that is traced now, under all graphs of inner functions; None where the step is eager."""
    if tf.executing_eagerly():
        return None
    graph = tf.compat.v1.get_default_graph()
    while getattr(getattr(graph, "outer_graph", None), "building_function", False):
        graph = graph.outer_graph
    return graph


def settled(iterator: Any) -> tuple[Any, Any]:
    """The iterator that Keras hands to a train function, so that what it is traced for can be seen before it runs.

    Args:
        iterator: of a dataset, which says what it gives, or of Python, as in `train_on_batch`, which does not.

    Returns:
        One that gives the same, and the first batch of one of Python, else None.
    """
    if isinstance(iterator, _OF_DATASETS):
        return iterator, None
    iterator = iter(iterator)
    first = next(iterator)
    return itertools.chain([first], iterator), first


def graphs_of(train_function: Any) -> list[Any]:
    """The graphs that were traced of a train function so far; none where it is eager, or has not run."""
    held = _held(train_function)
    found = [graph for name in (_LOOP, _STEP) if name in held for graph in held[name]._list_all_concrete_functions()]
    return [graph for graph in found if hasattr(graph, "graph")]


def traced(train_function: Any, iterator: Any, first: Any = None) -> Any:
    """The graph by which a train function will run; it is traced if it was not, which runs and consumes nothing.

    Args:
        train_function: as `Model.make_train_function` made it.
        iterator: see `settled`, as is `first`.
        first: see there.

    Returns:
        The concrete function, always the same object for the same graph; None where nothing is traced: the step is eager,
        or this Keras keeps its functions where we do not know.
    """
    if tf.config.functions_run_eagerly():
        return None
    held = _held(train_function)
    if isinstance(iterator, _OF_DATASETS):
        return held[_LOOP].get_concrete_function(iterator) if _LOOP in held else None
    if _STEP not in held:
        return None
    data = keras.tree.map_structure(lambda value: None if isinstance(value, tf.experimental.Optional) else value, first)
    return held[_STEP].get_concrete_function(data)


def _held(train_function: Any) -> dict[str, Any]:
    """The traced functions in the closure of a train function."""
    code, cells = getattr(train_function, "__code__", None), getattr(train_function, "__closure__", None)
    if code is None:
        return {}
    return dict(_traced_ones(zip(code.co_freevars, cells or (), strict=True)))


def _traced_ones(cells: Any) -> Iterator[tuple[str, Any]]:
    for name, cell in cells:
        function = cell.cell_contents
        if not is_traced(function):
            function = getattr(function, "__wrapped__", None)  # it is under what turns optionals into None
        if is_traced(function):
            yield name, function
