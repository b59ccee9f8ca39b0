"""`watch`: the monitor for training loops of one's own."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from kerasgrad.finding import Diagnosis
from kerasgrad.monitoring import facts
from kerasgrad.monitoring.instrument import Instrument
from kerasgrad.monitoring.session import Session
from kerasgrad.monitoring.settings import Settings
from kerasgrad.monitoring.train_function import TrainFunction
from kerasgrad.run import Run
from kerasgrad.taps import seams, trace_state
from kerasgrad.taps.collector import Rows
from kerasgrad.taps.replicas import across, agreed, is_chief, workers
from kerasgrad.taps.train_step import is_of_taps, observed


def watch(model: keras.Model, log_dir: str | Path | None = None, **options: Any) -> Watch:
    """Watches a training loop that is not `fit`; it writes the run that `GradientMonitor` would write.

    Steps go through `step`, which runs them as they are. The sampled ones run as a twin with taps: the gradients are those
    of your own tape, the updates those of your own optimizer.

    Under `MirroredStrategy` and `MultiWorkerMirroredStrategy` (for which Keras 3 has no `fit`, keras#20585) the model is
    made in the strategy's scope and the step calls `strategy.run` once; the numbers are those of all replicas together.
    Each worker watches, and the first one writes.

    Args:
        model: the model that is trained; it need not be compiled.
        log_dir: directory of the run, as in `GradientMonitor`; None keeps the run in memory.
        **options: those of `GradientMonitor`, such as `update_freq`, `layers` or `on_finding`, but for `log_metrics`: a loop
            keeps its own logs.

    Returns:
        A context manager; its `step` runs a training step, its `run` is what was recorded.

    Raises:
        TypeError: the model is none of Keras 3, or an option is unknown or of the wrong type.
        ValueError: an option is none, or `update_freq` is `"auto"` where several workers have to sample the same steps.

    Example:
        >>> with kerasgrad.watch(model, "logs/mine") as w:
        ...     for x, y in batches:
        ...         loss = w.step(train_step, x, y)  # instead of train_step(x, y)
        ...         w.step(model.train_on_batch, x, y)  # or so, if Keras' own step is wanted
    """
    facts.check_model(model)
    known = [*(name for name in inspect.signature(Settings).parameters if name != "log_dir"), "verbose"]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean `{near[0]}`? " if near else ""
            raise TypeError(f"`watch` has no such option; {meant}It takes {known}. Received: {name}={options[name]!r}")
    strategy = model.distribute_strategy
    if workers(strategy) > 1 and options.setdefault("update_freq", "auto") == "auto":
        raise ValueError(
            "Workers that wait for each other have to sample the same steps, and `auto` goes by the time that each of them "
            f"takes: give `update_freq` a number, such as 50. Received: update_freq='auto' with {workers(strategy)} workers"
        )
    verbose = options.pop("verbose", 1) if is_chief(strategy) else 0
    settings = Settings(log_dir if is_chief(strategy) else None, **options)
    return Watch(Session(model, settings), verbose)


class Watch:
    """A run that a loop drives. Made by `watch`."""

    def __init__(self, session: Session, verbose: int) -> None:
        self.model = session.model
        self._session = session
        self._verbose = verbose
        self._rows = Rows()
        self._train_function = TrainFunction(session)  # of steps that are Keras' own
        self._twins: dict[int, tuple[Any, _Twin]] = {}

    def __enter__(self) -> Watch:
        """Begins the run."""
        self.model.stop_training = False
        self._session.begin()
        self._session.begin_epoch(0)
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the run; what was recorded before an error of the loop is kept."""
        self._session.end()
        if self._verbose and self.failure is None:
            print(self._session.last_words())

    def step(self, step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Runs one training step, watched if its turn has come.

        Args:
            step: your function: forward pass, `tf.GradientTape`, and a Keras optimizer that is applied; on several replicas
                one that hands this to `strategy.run`. A plain function, or one made by `tf.function`, of which a second,
                watched graph is traced at the first sample.
            *args: what it takes.
            **kwargs: likewise.

        Returns:
            What it gives.
        """
        batch, of_keras = self._session.position.batch, _is_of_keras(step, self.model)
        if of_keras:
            self.model.make_train_function()
        self._session.begin_step(batch, self._train_function.prepare if of_keras else lambda: None)
        try:
            outputs = step(*args, **kwargs) if of_keras else self._run(step, *args, **kwargs)
        finally:
            self._train_function.put_back()
        self._session.end_step(batch)
        return outputs

    def end_epoch(self, **logs: float) -> None:
        """Says that an epoch is over, if the loop has such: for the last samples to be read, and for the rules.

        Args:
            **logs: what is known of it, by the names that Keras uses: `loss`, `val_loss`, `accuracy`. A `loss` that is not
                said the rules take from the samples.
        """
        self._session.end_epoch(logs)
        self._session.begin_epoch(self._session.position.epoch + 1)

    @property
    def run(self) -> Run:
        """What was recorded so far. Its `repr` is the report."""
        return self._session.run

    @property
    def diagnosis(self) -> Diagnosis:
        """What the rules find in the run as it is. Its `repr` is the report."""
        return self._session.diagnosis

    @property
    def failure(self) -> Exception | None:
        """Why watching stopped, None if it did not."""
        return self._session.failure

    @property
    def should_stop(self) -> bool:
        """Whether a finding of `stop_on` asks for the end of the training; several workers have to ask together."""
        strategy, asked = self.model.distribute_strategy, bool(self.model.stop_training)
        return agreed(strategy, asked) if workers(strategy) > 1 else asked

    def _run(self, step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._session.failure is not None:
            return step(*args, **kwargs)
        if self._session.armed:
            return self._run_watched(step, *args, **kwargs)
        if seams.is_traced(step) and id(step) not in self._twins:  # this step traces it: we must see in what state
            self._twin_of(step)
            trace_state.traced_for(self.model, step, args, kwargs)
        return step(*args, **kwargs)

    def _run_watched(self, step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        twin = self._twin_of(step)
        if seams.is_traced(step):
            program = trace_state.traced_for(self.model, step, args, kwargs)
            try:
                twin.trace(self.model, program, args, kwargs)
            except Exception as error:
                self._session.fail(error)
                return step(*args, **kwargs)
        try:
            with seams.installed():
                outputs, measured = twin.function(*args, **kwargs)
        except Exception as error:
            if not is_of_taps(error):
                raise
            outputs = step(*args, **kwargs)  # an error of the user's own comes again here
            self._session.fail(error)
            return outputs
        if twin.failures:
            self._session.fail(twin.failures[0])
        else:
            self._session.receive(lambda: twin.instrument.read(measured), self._rows)
        return outputs

    def _twin_of(self, step: Callable[..., Any]) -> _Twin:
        """A plain function gets a new one each time, which costs nothing; a traced one keeps its own."""
        if not seams.is_traced(step):
            return self._new_twin(step)
        if id(step) not in self._twins:
            self._session.overhead.rebuild()
            self._twins[id(step)] = step, self._new_twin(step)
        return self._twins[id(step)][1]

    def _new_twin(self, step: Any) -> _Twin:
        settings = self._session.settings
        compiled = seams.is_traced(step) and bool(step._jit_compile)
        twin = _Twin(step, self._session.instrument(compiled=compiled))

        def watched(inner: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
            compute, selected = twin.instrument.compute, settings.selected
            return observed(inner, self.model, compute, selected, self._rows, twin.failures, settings.activations)

        several = self.model.distribute_strategy.num_replicas_in_sync > 1
        make = functools.partial(across, watched=watched) if several else watched
        twin.function = seams.traced_like(step, make) if seams.is_traced(step) else make(step)
        return twin


@dataclass
class _Twin:
    """A training step that also measures."""

    function: Callable[..., Any]
    instrument: Instrument
    failures: list[Exception] = field(default_factory=list)
    ready: dict[int, Any] = field(default_factory=dict)  # graphs of the step that have a watched one, by id

    def trace(self, model: keras.Model, program: Any, args: Any, kwargs: Any) -> None:
        """Traces the watched graph beside one of the step's own, in the state in which that was traced."""
        if program is not None and id(program) not in self.ready:
            with trace_state.like(model, program), seams.installed():
                seams.concrete(self.function, args, kwargs)
            self.ready[id(program)] = program


def _is_of_keras(step: Callable[..., Any], model: keras.Model) -> bool:
    """Whether a step is `model.train_on_batch`, which runs the model's train function as `fit` does."""
    return getattr(step, "__self__", None) is model and getattr(step, "__name__", "") == "train_on_batch"
