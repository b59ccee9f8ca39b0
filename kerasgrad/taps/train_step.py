"""Makes a second train function for a model: the same step, watched.

`fit` reads `model.train_function` at every step. The model keeps its own, untouched; the watched one is assigned just
before a step that is to be observed and takes itself off again before that step begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from kerasgrad.observation import Observation
from kerasgrad.taps import seams, trace_state
from kerasgrad.taps.collector import Collector, Rows
from kerasgrad.taps.reading import SCOPE, examples

Measure = Callable[[Observation], Any]
"""Turns what was seen into the vector that leaves the step; handed in by whoever watches."""

_LOGS, _MEASURED = "logs", "measured"


@dataclass
class WatchedStep:
    """A train function that also observes. Callable in the place of `model.train_function`.

    Attributes:
        model: the model.
        beneath: the function that it stands for: the model's own, or another monitor's watched step.
        train_step: the wrapped `train_step`, so that another monitor can wrap it again.
        function: the watched twin of the model's own train function.
        rows: the model's rows, known after the first step.
        failures: what went wrong in the taps; the step itself then runs as if they were not there.
        receive: is handed what was measured, `[replicas, entries]`, and the rows after each step.
        on_failure: is told when the step could not be built and the model's own ran instead.
        expected: whether a watched step is waited for; not so if a fit broke off after it was put in place.
        may_be_odd: whether the step that comes may have a batch of another size, for which it would be built again;
            None where that does not matter.
    """

    model: keras.Model
    beneath: Any
    train_step: Callable[..., Any]
    function: Callable[..., Any]
    rows: Rows
    receive: Callable[[Any, Rows], None]
    on_failure: Callable[[Exception], None]
    expected: Callable[[], bool]
    may_be_odd: Callable[[], bool] | None = None
    failures: list[Exception] = field(default_factory=list)
    traced: bool = False
    _flags: trace_state.Flags = field(default_factory=list)
    _ready: dict[int, Any] = field(default_factory=dict)  # the model's own graphs that have a twin, by id

    @property
    def plain(self) -> Callable[..., Any]:
        """The model's own train function, under all monitors."""
        return self.beneath.plain if isinstance(self.beneath, WatchedStep) else self.beneath

    def __call__(self, iterator: Any) -> Any:
        """Runs the step. If it cannot be built, the model's own runs in its place."""
        self.model.train_function = self.plain
        iterator, first = seams.settled(iterator)
        program = trace_state.traced(self.model, self.plain, iterator, first)
        if not self.wanted(iterator):
            return self.beneath(iterator)
        if program is not None and id(program) not in self._ready:
            try:
                self._trace(program, iterator, first)
            except Exception as error:
                self.on_failure(error)
                return self.beneath(iterator)
        return self._run(iterator)

    def _trace(self, program: Any, iterator: Any, first: Any) -> None:
        """Traces the twin in the Python state in which the model's own graph was traced."""

        def retrace() -> Any:
            return seams.traced(trace_state.another(self.model), iterator, first)

        with trace_state.like(self.model, program, retrace), seams.installed():
            self._note_flags()
            seams.traced(self.function, iterator, first)
        self._ready[id(program)] = program
        self.traced = True

    def _note_flags(self) -> None:
        """Keeps what `trainable` says while the step is traced, for all monitors: what it says later changes nothing."""
        self._flags = trace_state.flags(self.model)
        if isinstance(self.beneath, WatchedStep):
            self.beneath._note_flags()

    def _run(self, iterator: Any) -> Any:
        try:
            with seams.installed():
                outputs = self.function(iterator)
        except (StopIteration, tf.errors.OutOfRangeError):
            raise
        except Exception as error:
            if not self._is_ours(error):
                raise
            logs = self.beneath(iterator)  # an error of the user's own comes again here, and is not ours to report
            self.on_failure(error)
            return logs
        self.traced = True
        return self.unpack(outputs)

    def wanted(self, iterator: Any) -> bool:
        """Whether to observe the step that comes, now that its data can be seen."""
        if not self.expected():
            return False
        return self.may_be_odd is None or not self.may_be_odd() or _has_static_batch(iterator)

    def unpack(self, outputs: Any) -> Any:
        """Hands the measured tensors on and gives back the logs, through all monitors beneath."""
        if self.failures:
            self.on_failure(self.failures[0])
        else:
            self.rows.stale = trace_state.stale(self.model, self._flags)
            self.receive(outputs[_MEASURED], self.rows)
        logs = outputs[_LOGS]
        return self.beneath.unpack(logs) if isinstance(self.beneath, WatchedStep) else logs

    def _is_ours(self, error: Exception) -> bool:
        """Whether to go on without the taps: nothing of the step has run, it lacked memory for them, or they failed in it.

        Any other runtime error of a step that has been traced is the user's (bad data, a failing assertion) and must be
        seen.
        """
        if isinstance(error, tf.errors.ResourceExhaustedError | tf.errors.UnimplementedError):
            return True
        if is_of_taps(error):
            return True
        return not self.traced and not isinstance(error, tf.errors.OpError)


def is_of_taps(error: Exception) -> bool:
    """Whether an operation that we added to a step failed while it ran: TensorFlow names it in the message."""
    return isinstance(error, tf.errors.OpError) and f"{SCOPE}/" in error.message


def watched_twin(
    model: keras.Model,
    measure: Measure,
    selected: Callable[[keras.Layer, str], bool],
    receive: Callable[[Any, Rows], None],
    on_failure: Callable[[Exception], None],
    expected: Callable[[], bool],
    may_be_odd: Callable[[], bool] | None = None,
    activations: bool = True,
) -> WatchedStep:
    """Makes the watched twin of `model.train_function`; the model is left as it was.

    Args:
        model: a compiled model inside `fit`.
        measure: what to compute from an observation, inside the step.
        selected: which layers are watched.
        receive: see `WatchedStep`, as are the others.
        on_failure: see there.
        expected: see there.
        may_be_odd: see there.
        activations: see `Collector`.

    Returns:
        The step, ready to be assigned to `model.train_function`.
    """
    beneath = model.train_function
    original = beneath.train_step if isinstance(beneath, WatchedStep) else model.train_step
    rows, failures = Rows(), list[Exception]()

    step = observed(original, model, measure, selected, rows, failures, activations)

    def train_step(*args: Any, **kwargs: Any) -> dict[str, Any]:
        logs, measured = step(*args, **kwargs)
        return {_LOGS: logs, _MEASURED: measured}

    function = trace_state.another(model, train_step)
    return WatchedStep(model, beneath, train_step, function, rows, receive, on_failure, expected, may_be_odd, failures)


def observed(
    step: Callable[..., Any],
    model: keras.Model,
    measure: Measure,
    selected: Callable[[keras.Layer, str], bool],
    rows: Rows,
    failures: list[Exception],
    activations: bool = True,
) -> Callable[..., tuple[Any, Any]]:
    """The same step, observed; `seams.installed` must hold while it is traced or runs.

    Args:
        step: a training step of the model, as a function of whatever it takes.
        model: see `watched_twin`, as are `measure`, `selected` and `activations`.
        measure: see there.
        selected: see there.
        rows: the model's rows, filled by the first step.
        failures: is given what goes wrong in the taps.
        activations: see there.

    Returns:
        A function of the same arguments that gives what the step gives, and what was measured, `[replicas, entries]`.
    """

    def run(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        collector = Collector(model, rows, selected, activations)
        with seams.listening(collector):
            outputs = step(*args, **kwargs)
        measured: Any = ()
        with collector.guarded(), tf.name_scope(SCOPE):
            collector.examples = examples((args, kwargs))
            measured = _slotted(measure(collector.observation()))
        failures.extend(collector.failures)
        return outputs, measured

    return run


def _slotted(measured: Any) -> Any:
    """Gives each replica a slot of its own on a leading axis, since Keras averages what replicas return."""
    context = tf.distribute.get_replica_context()
    count = 1 if context is None else context.num_replicas_in_sync
    if count == 1:
        return measured[None]
    own = [tf.equal(context.replica_id_in_sync_group, i) for i in range(count)]
    # Chosen, not multiplied: what is NaN here must not reach the other slots.
    return tf.stack([tf.where(o, measured * count, tf.zeros_like(measured)) for o in own])


def _has_static_batch(iterator: Any) -> bool:
    """Whether all batches of a dataset have the same size by their type."""
    specs = tf.nest.flatten(getattr(iterator, "element_spec", None))
    shapes = [spec.shape for spec in specs if isinstance(spec, tf.TensorSpec)]
    return bool(shapes) and all(shape.rank and shape[0] is not None for shape in shapes)
