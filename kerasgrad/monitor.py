"""`GradientMonitor`: the callback that watches a real `model.fit`."""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasgrad import events, facts, progress
from kerasgrad.guard import guarded
from kerasgrad.inbox import Inbox
from kerasgrad.judging import Judge, OnFinding, StopOn
from kerasgrad.observation import Observation
from kerasgrad.recorder import WINDOW, Recorder
from kerasgrad.rules import DEFAULT, Diagnosis, Rule
from kerasgrad.run import Run, Schema
from kerasgrad.statistics.measure import measure
from kerasgrad.statistics.packing import Packing
from kerasgrad.taps.collector import Layers, Rows, chooses
from kerasgrad.taps.overhead import Overhead
from kerasgrad.taps.schedule import Auto, schedule
from kerasgrad.taps.train_step import WatchedStep, watch

logger = logging.getLogger("kerasgrad")

LOGGED = ("gradient_norm", "dead_fraction", "depth_ratio")
"""What `log_metrics` adds to the logs."""


class GradientMonitor(keras.callbacks.Callback):
    """Streams what every layer receives from a real `model.fit` to TensorBoard.

    Steps that are not sampled run the model's own train function, untouched. A sampled step runs the same step with
    taps: the gradients are those that train the model, taken from its own tape; there is no second pass.

    Args:
        log_dir: directory of the run, such as `"logs/mine"`; `tensorboard --logdir logs` then shows it. A further run
            in the same directory gets a numbered one inside it. None keeps the run in memory only.
        update_freq: when to sample, as in `keras.callbacks.TensorBoard`: a number of batches, `"batch"`, `"epoch"`, a
            function of the step, an object with `due(step, batch)`, or `"auto"`: the first 10 steps, some more at the
            start, then as often as keeps the measured cost under 1 % of the training time, and once in the last epoch.
        layers: which layers get a row: names or patterns such as `"block*"`, of the path or the layer's own name, or a
            function of the layer. None for all. What is said of the whole model still rests on all its variables.
        activations: whether to read what layers give (activations, dead and dormant units) and the gradient that reaches
            their outputs (the signal). Without them only gradients, weights and updates are left, which cost less.
        window: number of samples without firing after which a unit counts as dead.
        histograms: whether to record histograms of the gradients too.
        log_metrics: whether to add `gradient_norm`, `dead_fraction` and `depth_ratio` to the `logs`, so that callbacks
            after this one (EarlyStopping, CSVLogger) and `History` have them. It makes Keras wait for each step.
        rules: what the run is examined for while it trains, see `kerasgrad.rules`; `()` for nothing.
        on_finding: is called with each finding that is raised, and when it is withdrawn.
        stop_on: names of rules or severities, such as `"error"`, at which the training ends.
        verbose: 1 to say in one line at the end where the run is, 0 for silence.

    Raises:
        ValueError: an option is not one of those, or Keras runs on another backend than TensorFlow.
        TypeError: `layers` or `window` is of the wrong type.
        OSError: `log_dir` cannot be written; raised when training begins, as is a pattern that matches no layer.

    Example:
        >>> monitor = kerasgrad.GradientMonitor("logs/mine")
        >>> model.fit(x, y, epochs=5, callbacks=[monitor])
        >>> monitor.run
    """

    def __init__(
        self,
        log_dir: str | Path | None = None,
        *,
        update_freq: Any = "auto",
        layers: Layers = None,
        activations: bool = True,
        window: int = WINDOW,
        histograms: bool = False,
        log_metrics: bool = False,
        rules: Sequence[Rule] = DEFAULT,
        on_finding: OnFinding | None = None,
        stop_on: StopOn = (),
        verbose: int = 1,
    ) -> None:
        super().__init__()
        facts.check_backend()
        if not isinstance(window, int) or isinstance(window, bool) or window < 1:
            raise ValueError(f"`window` takes a number of samples from 1. Received: window={window!r}")
        self._arguments = {
            "log_dir": log_dir, "update_freq": update_freq, "layers": layers, "activations": activations,
            "window": window, "histograms": histograms, "log_metrics": log_metrics, "rules": rules,
            "on_finding": on_finding, "stop_on": stop_on, "verbose": verbose,
        }  # fmt: skip
        self.log_dir = None if log_dir is None else Path(log_dir)
        self.schedule = schedule(update_freq)
        self.verbose = verbose
        self.async_safe = not log_metrics
        self._selected, self._judge = chooses(layers), Judge(rules, on_finding, stop_on)
        self._window, self._histograms, self._log_metrics = window, histograms, log_metrics
        self._failure: Exception | None = None
        self._watched_model: keras.Model | None = None
        self._forget_model()

    def _forget_model(self) -> None:
        """Begins anew, for another model."""
        self._recorder: Recorder | None = None
        self._judge.begin()
        self._resumed: tuple[Path, Run] | None = None
        self._overhead = Overhead()
        self._steps: list[WatchedStep] = []
        self._inbox = Inbox()
        self._logged = dict.fromkeys(LOGGED, float("nan"))
        self._epoch_start = 0  # steps before this epoch
        self._epoch_batches = 0  # steps done in this epoch
        self._placed, self._epoch, self._offset = False, 0, 0
        self._planned: int | None = None  # steps when this fit is over
        if isinstance(self.schedule, Auto):
            self.schedule.begin()
        self._begun: float | None = None
        self._armed, self._armed_by = False, None

    def __deepcopy__(self, memo: dict[int, Any]) -> GradientMonitor:
        """A fresh monitor with the same settings: a tuner that copies its callbacks for each trial wants just that."""
        arguments = dict(self._arguments)
        arguments["update_freq"] = copy.deepcopy(arguments["update_freq"], memo)
        return type(self)(**arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, it is its settings, like a copy."""
        return functools.partial(type(self), **self._arguments), ()

    @property
    def run(self) -> Run:
        """What was recorded so far. Its `repr` is the report."""
        self._drain()
        if self._recorder is not None:
            return self._recorder.run
        reason = "no training has been watched yet" if self._failure is None else self._said
        return Run(Schema((), (), (), (), (), {}), {"model": reason})

    @property
    def diagnosis(self) -> Diagnosis:
        """What the rules find in the run as it is. Its `repr` is the report."""
        return self._judge.diagnosis(self.run)

    @property
    def step(self) -> int:
        """Training batches so far, over all fits of this model and the session that it resumed."""
        return self._epoch_start + self._epoch_batches

    # The hooks of Keras, in the order in which it calls them.

    def set_model(self, model: Any) -> None:
        """Called by Keras. Another model than before begins another run."""
        facts.check_model(model)
        super().set_model(model)
        if self._watched_model is not None and self._watched_model is not model:
            self._close()
            self._forget_model()
        self._watched_model = model

    def on_train_begin(self, logs: Any = None) -> None:
        """Called by Keras. Raises what is wrong with the settings, before any training."""
        if self.log_dir is not None:
            events.check_writable(self.log_dir)
        facts.check_choice(self.model, self._selected, self._arguments["layers"])
        self._failure, self._armed = None, False
        self._epoch_start, self._epoch_batches = self.step, 0
        self._planned = progress.planned(self.params, self.step)

    @guarded
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        if not self._placed:
            self._place(epoch)
        self._epoch_start, self._epoch_batches = self.step, 0
        self._epoch, self._begun = epoch, None

    @guarded
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called by Keras: decides whether the step that comes is sampled."""
        self._end_interval()
        self._epoch_batches = max(self._epoch_batches, batch)
        if self._inbox:
            self._drain(keep=1, at_once=False)
        self._armed = self._due(batch)
        if self._armed or self._is_new():
            self._arm()
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called by Keras, perhaps from another thread."""
        planned = (self.params or {}).get("steps")
        self._epoch_batches = max(self._epoch_batches, min(batch + 1, planned or batch + 1))
        if self._log_metrics:
            self._drain()
            self._add_to(logs)

    @guarded
    def on_test_begin(self, logs: Any = None) -> None:
        """Called by Keras when validation begins, which is no part of the training time."""
        self._end_interval()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        self._end_epoch(logs)
        if self._log_metrics:
            self._add_to(logs)

    @guarded
    def on_train_end(self, logs: Any = None) -> None:
        """Called by Keras."""
        self._close()
        if self.verbose:
            print(progress.said_at_end(self._recorder.run if self._recorder else None, self.step, self.log_dir))

    @guarded
    def _end_epoch(self, logs: Any) -> None:
        self._end_interval()
        self._drain()
        if self._recorder is not None:
            progress.add_epoch(self._recorder.run.facts.setdefault("history", {}), self.step, logs or {})
            self._recorder.run.facts["stale_trainable"] = self._rows.stale
            self._attend("epoch")
        if self._recorder is not None and self._recorder.rested():
            self._update_facts()
            self._recorder.flush()

    def _end_interval(self) -> None:
        """Ends the time that belongs to the step that was begun last."""
        if self._begun is not None:
            self._overhead.step(time.perf_counter() - self._begun, self._armed)
            if self._armed:
                self._inbox.note({"sample_seconds": self._overhead.last, "overhead": self._overhead.share})
        self._begun = None

    # Sampling.

    def _due(self, batch: int) -> bool:
        step = self._epoch_start + batch
        if isinstance(self.schedule, Auto):
            last_epoch = batch == 0 and self._epoch + 1 == (self.params or {}).get("epochs")
            return last_epoch or self.schedule.due(step, batch, self._overhead, self._planned)
        return any(self.schedule.due(step + i, batch + i) for i in range(self.model.steps_per_execution))

    def _is_new(self) -> bool:
        """Whether the step that comes may be the first of its train function, which traces it: we must see in what state."""
        return not any(step.beneath is self.model.train_function for step in self._steps)

    def _arm(self) -> None:
        """Puts the watched step where `fit` looks for the train function, for one step."""
        beneath = self.model.train_function
        if beneath is None:
            return
        known = [step for step in self._steps if step.beneath is beneath]
        if not known:
            if not isinstance(beneath, WatchedStep):
                self._steps.clear()  # a new compile: functions made from the last one are of no use
            self._overhead.rebuild()
            known = [self._watched_step()]
            self._steps += known
        self._armed_by = getattr(self.model, "history", None)
        self.model.train_function = known[0]

    def _watched_step(self) -> WatchedStep:
        compiled = bool(self.model.jit_compile) and not self.model.run_eagerly
        packing, odd = Packing(), self._is_odd if compiled else None

        def compute(seen: Observation) -> Any:
            return packing.pack(measure(seen, compiled=compiled, histograms=self._histograms))

        def receive(measured: Any, rows: Rows) -> None:
            self._receive(lambda: packing.unpack(np.asarray(measured)), rows)

        expected, activations = self._is_expected, self._arguments["activations"]
        return watch(self.model, compute, self._selected, receive, self._fail, expected, odd, activations)

    def _is_expected(self) -> bool:
        """Whether the fit that armed the step still runs; each fit gives the model a `History` of its own."""
        return self._armed and getattr(self.model, "history", None) is self._armed_by

    def _is_odd(self) -> bool:
        """Whether the step that comes may be an epoch's last, smaller batch: XLA would compile the step again for it."""
        planned = (self.params or {}).get("steps")
        return bool(planned and planned > 1 and self._epoch_batches + self.model.steps_per_execution >= planned)

    @guarded
    def _receive(self, read: Callable[[], dict[str, Any]], rows: Rows) -> None:
        """Takes what a watched step measured; it is read when the next one is under way."""
        executed = self.model.steps_per_execution
        planned = (self.params or {}).get("steps") or self._epoch_batches + executed
        last = min(self._epoch_batches + executed, max(planned, self._epoch_batches + 1)) - 1
        self._inbox.add(self._epoch_start + last, read, rows)

    @guarded
    def _drain(self, keep: int = 0, at_once: bool = True) -> None:
        """Reads the samples that were taken, all but the newest `keep`; records them at once or when it pays."""
        began = time.perf_counter()
        self._inbox.read(keep)
        due = at_once or self._inbox.is_due(self._judge.awaits(self._recorder))
        while due and self._inbox.has_read:
            rows, taken = self._inbox.take()
            if self._recorder is None or rows is not self._rows:
                ahead = self._open(taken[0].raw, rows)
                for one in taken:
                    one.step -= ahead
            if self._recorder is not None:
                sample = self._recorder.record(taken)
                self._logged = {name: sample.overall.get(name, float("nan")) for name in LOGGED}
        self._overhead.bookkeeping(time.perf_counter() - began)
        if due and not at_once:
            self._attend("step")

    def _attend(self, when: str) -> None:
        """Judges the run; the time counts as a cost of watching."""
        began = time.perf_counter()
        self._judge.attend(self._recorder, self.model, when=when)
        self._overhead.bookkeeping(time.perf_counter() - began)

    def _add_to(self, logs: Any) -> None:
        if isinstance(logs, dict):
            logs.update(self._logged)

    # Where the run lives.

    def _place(self, epoch: int) -> None:
        """Finds out whether this training goes on with one that was recorded in the directory before."""
        self._placed = True
        iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
        trained = epoch > 0 or (iterations is not None and int(tf.convert_to_tensor(iterations).numpy()) > 0)
        folder = events.newest(self.log_dir) if self.log_dir is not None else None
        if trained and folder is not None:
            try:
                run = events.load(folder)
            except (OSError, ValueError) as error:
                logger.warning("kerasgrad: the run in %s cannot be gone on with, a new one is begun: %s", folder, error)
                return
            self._resumed = (folder, run)
            last = int(run.steps[-1]) + 1 if len(run) else 0
            self._epoch_start = self._offset = max(last, int(run.facts.get("batches", 0)))

    def _open(self, raw: dict[str, Any], rows: Rows) -> int:
        """Begins a run when its rows are known, or goes on with the one that has the same.

        Returns:
            The steps to take off: a run that after all does not go on with the one in the directory begins at 0.
        """
        schema, ahead = facts.schema(rows, raw), 0
        if self._recorder is not None:
            if self._recorder.run.schema == schema:  # compiled again, with nothing changed that shows
                self._rows, self._recorder.owners = rows, rows.owners
                return 0
            self._update_facts()
            self._recorder.close()  # other layers are trained now: rows are never mixed
        self._rows = rows
        folder, run = None, Run(schema)
        if self._resumed is not None and self._resumed[1].schema == schema:
            folder, run = self._resumed
        elif self.log_dir is not None:
            folder = events.new_directory(self.log_dir)
        if self._resumed is not None and run is not self._resumed[1]:
            ahead = self._offset
            self._epoch_start -= ahead
            self._inbox.shift(ahead)
        self._resumed = None
        self._recorder = Recorder(run, folder, window=self._window, owners=rows.owners)
        self._update_facts()
        return ahead

    def _update_facts(self) -> None:
        if self._recorder is None:
            return
        run = self._recorder.run
        run.facts |= facts.settings(self.model) | progress.aims(self.model) | facts.of_watching(self._overhead, self._rows)
        run.facts |= {
            "update_freq": repr(self.schedule), "window": self._window, "batches": self.step, "kept_every": run.kept_every,
            "directory": str(self._recorder.folder) if self._recorder.folder else "",
        }  # fmt: skip

    @guarded
    def _close(self) -> None:
        self._drain()
        if self._recorder is not None:
            self._update_facts()
            self._attend("end")
            self._recorder.close()

    # What can go wrong.

    def _fail(self, error: Exception) -> None:
        """Gives up watching, says so once, and lets the training go on."""
        self._failure = error
        self._inbox = Inbox()
        self._armed = False
        note = self._said = f"watching stopped at step {self.step}: {progress.said_of_failure(error)}"
        if self._recorder is not None:
            self._recorder.run.facts.setdefault("notes", []).append(note)
            with contextlib.suppress(Exception):  # what failed may be the very thing that is closed here
                self._recorder.close()
        logger.warning("kerasgrad: %s. %s", note, progress.effect_of_failure(error))
