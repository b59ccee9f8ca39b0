"""One training of one model under the monitor, whoever drives it: which steps are sampled, what becomes of the samples."""

from __future__ import annotations

import contextlib
import copy
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from kerasgrad import events
from kerasgrad.finding import Diagnosis
from kerasgrad.monitoring import facts, progress
from kerasgrad.monitoring.guard import guarded
from kerasgrad.monitoring.instrument import Instrument
from kerasgrad.monitoring.overhead import Overhead
from kerasgrad.monitoring.placing import Placing
from kerasgrad.monitoring.position import Position
from kerasgrad.monitoring.recorder import Recorder
from kerasgrad.monitoring.sample_queue import SampleQueue
from kerasgrad.monitoring.schedule import Auto
from kerasgrad.monitoring.settings import Settings
from kerasgrad.run import Run, Schema
from kerasgrad.statistics.own_moments import Previous
from kerasgrad.taps.collector import Rows
from kerasgrad.taps.trace_state import NotWatchedError

logger = logging.getLogger("kerasgrad")

ONE_REPLICA = "it compares successive updates, which is done on one replica only"


class Session:
    """Watches the training of one model, over all of its fits. It knows no hooks: whoever drives it says what happens.

    Args:
        model: the model that is trained.
        settings: what was asked for.
    """

    def __init__(self, model: keras.Model, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.overhead = Overhead()
        self.position = Position()
        self.failure: Exception | None = None
        self.armed = False
        """Whether the step that comes is to be sampled."""
        self._why_stopped = ""
        self._schedule = copy.copy(settings.schedule) if isinstance(settings.schedule, Auto) else settings.schedule
        self._judge = settings.judge()
        self._placing = Placing(settings.directory)
        self._queue = SampleQueue()
        self._recorder: Recorder | None = None
        self._rows = Rows()
        self._previous = Previous() if model.distribute_strategy.num_replicas_in_sync == 1 else None
        self._latest: Mapping[str, Any] = {}
        self._pair = -1  # step that is sampled because the one before was
        self._received = -2  # last step that was measured
        self._begun: float | None = None

    # What there is to see.

    @property
    def run(self) -> Run:
        """What was recorded so far."""
        self.read_samples()
        if self._recorder is not None:
            return self._recorder.run
        return nothing_watched(self._why_stopped)

    @property
    def diagnosis(self) -> Diagnosis:
        """What the rules find in the run as it is."""
        return self._judge.diagnosis(self.run)

    def latest(self, name: str) -> float:
        """A statistic of the whole model in the last sample; NaN before there is one."""
        return float(self._latest[name][-1]) if name in self._latest else float("nan")

    def instrument(self, *, compiled: bool) -> Instrument:
        """Makes an instrument for one graph of the step."""
        settings = self.settings
        return Instrument(
            compiled=compiled, histograms=settings.histograms, statistics=settings.statistics, previous=self._previous
        )

    # What happens, in order.

    def begin(self, epochs: int | None = None, steps: int | None = None) -> None:
        """A fit begins.

        Args:
            epochs: how many it has, if that is known.
            steps: how many batches each of them has, likewise.

        Raises:
            OSError: the log directory cannot be written.
            ValueError: `layers` matches no layer of the model.
        """
        if self.settings.directory is not None:
            events.check_writable(self.settings.directory)
        self.failure, self.armed = None, False
        if isinstance(self.model, keras.Model):
            facts.check_choice(self.model, self.settings.selected, self.settings.layers)
        else:
            self.fail(
                NotWatchedError("it has Keras' `fit` without being a keras.Model, which alone says what its layers are")
            )
        self.position.begin_fit(epochs, steps)

    @guarded
    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins."""
        if self._recorder is None and not self.position.step:
            self.position.shift(self._placing.look(self.model, epoch))
        self.position.begin_epoch(epoch)
        self._begun = None

    def is_last_of_epoch(self) -> bool:
        """Whether the step that comes may be an epoch's last, whose batch may be smaller."""
        return self.position.may_end(self.model.steps_per_execution)

    @guarded
    def begin_step(self, batch: int, prepare: Callable[[], None]) -> None:
        """A batch comes; decides whether its step is sampled.

        Args:
            batch: its index in the epoch.
            prepare: called when that is decided: may put a watched step where the trainer will find it.
        """
        self.end_interval()
        self.position.reach(batch)
        self.read_samples(keep=1, at_once=False)
        self.armed = self._due(batch)
        prepare()
        self._begun = time.perf_counter()

    def end_step(self, batch: int) -> None:
        """A batch is done; may be said from another thread."""
        self.position.done(batch)

    @guarded
    def end_interval(self) -> None:
        """Ends the time that belongs to the step that was begun last: another or validation begins, the epoch ends."""
        if self._begun is not None:
            self.overhead.step(time.perf_counter() - self._begun, self.armed)
            if self.armed:
                self._queue.note({"sample_seconds": self.overhead.last, "overhead": self.overhead.share})
        self._begun = None

    @guarded
    def end_epoch(self, logs: Mapping[str, Any]) -> None:
        """An epoch is over; `logs` is what is known of it, by the names of Keras."""
        self.end_interval()
        self.read_samples()
        if self._recorder is not None:
            progress.add_epoch(self._recorder.run.facts.setdefault("history", {}), self.position.step, logs=logs)
            self._recorder.run.facts["stale_trainable"] = self._rows.stale
            self._attend("epoch")
        if self._recorder is not None and self._recorder.rested():
            self._update_facts()
            self._recorder.flush()

    @guarded
    def end(self) -> None:
        """The training is over: all that is known goes to disk."""
        self.read_samples()
        if self._recorder is not None:
            self._update_facts()
            self._attend("end")
            self._recorder.close()

    def last_words(self) -> str:
        """What is said when a training has ended: how much was seen, and where it can be looked at."""
        run = self._recorder.run if self._recorder else None
        return progress.said_at_end(run, self.position.step, log_dir=self.settings.log_dir)

    def fail(self, error: Exception) -> None:
        """Gives up watching, says so once, and lets the training go on."""
        self.failure, self.armed = error, False
        self._queue = SampleQueue()
        if isinstance(error, NotWatchedError):
            self._why_stopped = f"not watched from step {self.position.step} on, because {error}"
        else:
            self._why_stopped = f"watching stopped at step {self.position.step}: {progress.said_of_failure(error)}"
        if self._recorder is not None:
            self._recorder.run.facts.setdefault("notes", []).append(self._why_stopped)
            with contextlib.suppress(Exception):  # what failed may be the very thing that is closed here
                self._recorder.close()
        logger.warning("kerasgrad: %s. %s", self._why_stopped, progress.effect_of_failure(error))

    # Sampling.

    def _due(self, batch: int) -> bool:
        step, executions = self.position.at(batch), self.model.steps_per_execution
        if self._pair == step:
            return True
        if isinstance(self._schedule, Auto):
            once_at_last = batch == 0 and self.position.in_last_epoch
            due = once_at_last or self._schedule.due(step, batch, self.overhead, self.position.planned)
        else:
            due = any(self._schedule.due(step + i, batch + i) for i in range(executions))
        if due and self.settings.looks_back:
            self._pair = step + executions
        return due

    @guarded
    def receive(self, read: Callable[[], dict[str, Any]], rows: Rows) -> None:
        """Takes what a watched step measured; it is read when the next one is under way.

        Args:
            read: brings the raw moments to the host; it waits for the step.
            rows: what the rows are.
        """
        first, last = self.position.batch, self.position.last_of(self.model.steps_per_execution)
        step = self.position.at(last)
        self._queue.add(step, read, rows=rows, follows=last > first or self._received == step - 1)
        self._received = step
        self.position.done(last)  # an exception in a callback may keep `end_step` from being called

    @guarded
    def read_samples(self, *, keep: int = 0, at_once: bool = True) -> None:
        """Reads the samples that were taken, all but the newest `keep`; records them at once or when it pays."""
        began = time.perf_counter()
        self._queue.read(keep)
        awaited = self._judge.awaits(0 if self._recorder is None else len(self._recorder.run))
        due = at_once or self._queue.is_due(awaited)
        while due and self._queue.has_read:
            rows, taken = self._queue.take()
            if self._recorder is None or rows is not self._rows:
                ahead = self._open(taken[0].raw, rows)
                for one in taken:
                    one.step -= ahead
            if self._recorder is not None:
                self._latest = self._recorder.record(taken).overall
        self.overhead.bookkeeping(time.perf_counter() - began)
        if due and not at_once:
            self._attend("step")

    def _attend(self, when: str) -> None:
        """Judges the run; the time counts as a cost of watching."""
        began = time.perf_counter()
        self._judge.attend(self._recorder, self.model, when=when)
        self.overhead.bookkeeping(time.perf_counter() - began)

    # Where the run lives.

    def _open(self, raw: dict[str, Any], rows: Rows) -> int:
        """Begins a run when its rows are known, or goes on with the one that has the same.

        Returns:
            The steps to take off: a run that after all does not go on with the one in the directory begins at 0.
        """
        schema = facts.schema(rows, raw, statistics=self.settings.statistics)
        if self._recorder is not None:
            if self._recorder.run.schema == schema:  # compiled again, with nothing changed that shows
                self._rows, self._recorder.owners = rows, rows.owners
                return 0
            self._update_facts()
            self._recorder.close()  # other layers are trained now: rows are never mixed
        self._rows = rows
        folder, run, ahead = self._placing.place(schema)
        self.position.shift(-ahead)
        self._queue.shift(ahead)
        settings = self.settings
        self._recorder = Recorder(run, folder, window=settings.window, owners=rows.owners, statistics=settings.statistics)
        self._update_facts()
        return ahead

    def _update_facts(self) -> None:
        if self._recorder is None:
            return
        run, failed = self._recorder.run, self._recorder.failed
        run.facts |= (
            facts.settings(self.model) | progress.objective(self.model) | facts.of_watching(self.overhead, self._rows)
        )
        run.facts |= {
            "update_freq": repr(self._schedule), "window": self.settings.window, "batches": self.position.step,
            "kept_every": run.kept_every, "directory": str(self._recorder.folder) if self._recorder.folder else "",
        }  # fmt: skip
        if self.settings.looks_back and self._previous is None:
            failed = failed | {s.name: ONE_REPLICA for s in self.settings.statistics if any(m.previous for m in s.own)}
        run.facts["not_examined"] = run.facts["not_examined"] | failed


def nothing_watched(why: str = "") -> Run:
    """The run of a training that has not been watched, which says so."""
    return Run(Schema((), (), (), (), (), {}), {"model": why or "no training has been watched yet"})
