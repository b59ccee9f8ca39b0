"""The moment at which a step is traced: the model's own function first, as Keras would, and its twin in the same state.

Whatever Python state a step reads while it is traced (a counter, a rate that a callback changes, numbers drawn by NumPy,
`trainable`) is baked into its graph. So the model's own function is traced when Keras would have traced it, the state that
it was traced in is kept, and set back while the twin is traced.

A function that was traced before anybody looked, as in an earlier `fit`, is traced once more, apart, in the state that is
now: where that gives the same graph the state is the same, in all that counts. Where it does not, what is frozen is set to
what the graph trains. Where that does not help either, nobody can watch this step without changing it.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras

from kerasgrad.taps import seams
from kerasgrad.taps.layers import below
from kerasgrad.taps.seams import PythonState

_known: weakref.WeakKeyDictionary[Any, PythonState] = weakref.WeakKeyDictionary()
"""By graph of a model's own step, the state in which it was traced."""

CHANGED = (
    "TensorFlow goes on with the step as it traced it before, and the code would do something else now{what}: compile the "
    "model again, or have the training watched from its first step on"
)


class NotWatchedError(Exception):
    """A step that cannot be watched as it is; the message says why."""


class _Noting(seams.Listener):
    """Notes the state whenever a step begins to be traced; what counts is the last time, the graph that is kept."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.moment: PythonState | None = None

    def on_run(self, run: Callable[..., Any], strategy: Any, function: Any, args: Any, kwargs: Any) -> Any:
        """See `seams.Listener`: every train function of Keras hands its step to a strategy first of all."""
        self.moment = PythonState.now(self.model)
        return run(function, args, kwargs)


class _NotingLayers(_Noting):
    """The same of a step of one's own, which begins nowhere in particular: before the first layer of each graph."""

    graph: Any = None

    def on_layer(self, call: Callable[..., Any], layer: keras.Layer, args: tuple[Any, ...], kwargs: Any) -> Any:
        """See `seams.Listener`."""
        graph = seams.outermost_graph()
        if graph is not self.graph:
            first, self.graph = self.graph is None, graph
            self.moment = self.moment if first and self.moment is not None else PythonState.now(self.model)
        return call(*args, **kwargs)


def traced(model: keras.Model, train_function: Any, iterator: Any, first: Any) -> Any:
    """The graph by which the model's own train function will run, traced now if it was not.

    Args:
        model: the model.
        train_function: its own, untouched.
        iterator: see `seams.settled`, as is `first`.
        first: see there.

    Returns:
        The concrete function, None where the step is eager.
    """
    return _noted(_Noting(model), lambda: seams.traced(train_function, iterator, first))


def traced_for(model: keras.Model, function: Any, args: Any, kwargs: Any) -> Any:
    """The graph by which a step of one's own will run, traced now if it was not.

    Args:
        model: the model that it trains.
        function: made by `tf.function`.
        args: what it will be given, as are `kwargs`.
        kwargs: likewise.

    Returns:
        The concrete function.
    """
    noting = _NotingLayers(model)
    count = function.experimental_get_tracing_count()
    if count == 0:
        noting.moment = PythonState.now(model)
    return _noted(noting, lambda: seams.concrete(function, args, kwargs))


def _noted(noting: _Noting, trace: Callable[[], Any]) -> Any:
    with seams.installed(), seams.listening(noting):
        program = trace()
    if program is not None and noting.moment is not None:
        _known[program] = noting.moment
    return program


Retrace = Callable[[], Any]
"""Traces a step once more, apart, and gives the graph."""


@contextlib.contextmanager
def like(model: keras.Model, program: Any, retrace: Retrace | None = None) -> Iterator[None]:
    """Within it the Python state is that in which a graph was traced.

    Args:
        model: the model.
        program: a graph of its step, as `traced` or `traced_for` gave it.
        retrace: how to trace that step once more; without it the state of now has to do where that of then is not known.

    Raises:
        NotWatchedError: it was traced before, in a state that cannot be found again.
    """
    if program not in _known:
        _known[program] = PythonState.now(model) if retrace is None else _reconciled(model, program, retrace)
    with _known[program].again(model):
        yield


def _reconciled(model: keras.Model, program: Any, retrace: Retrace) -> PythonState:
    """The state in which a graph was traced that nobody saw, as far as tracing again can tell."""
    own, now = seams.own_variables(model), PythonState.now(model)
    changed = seams.assigned(program, [v.value for v in own])
    trained = {id(v) for v in own if id(v.value) in changed}
    frozen = {id(v) for v in own if not v.trainable}
    attempts = [{id(v) for v in own} - (frozen - trained), trained]
    failure: Exception | None = None
    for attempt in attempts:
        with now.again(model), seams.trained_as(model, attempt):
            moment = PythonState.now(model)
            try:
                fresh = retrace()
            except Exception as error:  # as of an optimizer that was built without what is trained now
                failure = error
                continue
        if seams.same(program, fresh):
            return moment
    raise NotWatchedError(CHANGED.format(what=_differs(model, trained))) from failure


def _differs(model: keras.Model, trained: set[int]) -> str:
    told = stale(model, [(v, id(v) in trained) for v in seams.own_variables(model)])
    parts = [f"`{path}` is trained although `trainable` is False" for path in told.get("trained", [])[:1]]
    parts += [f"`{path}` is not trained although `trainable` is True" for path in told.get("untrained", [])[:1]]
    return f" ({', and '.join(parts)})" if parts else ""


def another(model: keras.Model, train_step: Callable[..., Any] | None = None) -> Any:
    """A second train function of a model, which is left as it was.

    Args:
        model: a compiled model.
        train_step: what it is to run in the place of the model's own step.
    """
    beneath, kept = model.train_function, model.__dict__.get("train_step")
    if train_step is not None:
        model.__dict__["train_step"] = train_step
    try:
        model.make_train_function(force=True)
        return model.train_function
    finally:
        if train_step is not None:
            del model.__dict__["train_step"]
        if kept is not None:
            model.__dict__["train_step"] = kept
        model.train_function = beneath


Flags = list[tuple[keras.Variable, bool]]
"""Of each variable that was made to be trained, whether it is."""


def flags(model: keras.Model) -> Flags:
    """What `trainable` says of the variables now."""
    return [(v, bool(v.trainable)) for v in seams.own_variables(model)]


def stale(model: keras.Model, then: Flags) -> dict[str, list[str]]:
    """Where `trainable` does not say what Keras does, since it was changed after the step was traced.

    Args:
        model: the model.
        then: what it said at that time.

    Returns:
        `"trained"`: paths of layers that are trained although `trainable` is False; `"untrained"`: the other way round.
        Empty where all is well.
    """
    found: dict[str, dict[str, None]] = {}
    for variable, was in then:
        if variable.trainable != was:
            path = below(model, variable.path).rpartition("/")[0] or model.name
            found.setdefault("trained" if was else "untrained", {})[path] = None
    return {what: list(paths) for what, paths in found.items()}


def trained_in_truth(model: keras.Model) -> set[int]:
    """The ids of the variables that the steps which Keras has traced of a model train, whatever `trainable` says now.

    Args:
        model: a model; one that has not been trained since it was compiled has no such steps.
    """
    own = seams.own_variables(model)
    graphs = seams.graphs_of(getattr(model, "train_function", None))
    changed = {key for graph in graphs for key in seams.assigned(graph, [v.value for v in own])}
    return {id(v) for v in own if id(v.value) in changed}
