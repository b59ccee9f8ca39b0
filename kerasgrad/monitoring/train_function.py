"""Puts the watched twin of a model's train function where `fit` looks for it, for one step at a time."""

from __future__ import annotations

from typing import Any

from kerasgrad.monitoring.session import Session
from kerasgrad.taps.collector import Rows
from kerasgrad.taps.train_step import WatchedStep, watched_twin


class TrainFunction:
    """The watched twins of one model's train function: `compile` makes a new one, and so may another monitor.

    Args:
        session: what decides which steps are sampled and takes what they measure. Another one may take its place, since
            tracing the twins takes longer than a short training.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._model = session.model
        self._twins: list[WatchedStep] = []
        self._armed_by: Any = None

    def prepare(self) -> None:
        """Puts the watched step in place for the step that comes, if that is sampled or the first of a train function.

        The first step of a train function traces it: the watched step must see in what state.
        """
        beneath = self._model.train_function
        if beneath is None:
            return
        known = [twin for twin in self._twins if twin.beneath is beneath]
        if known and not self.session.armed:
            return
        if not known:
            if not isinstance(beneath, WatchedStep):
                self._twins.clear()  # a new compile: functions made from the last one are of no use
            self.session.overhead.rebuild()
            known = [self._twin()]
            self._twins += known
        self._armed_by = getattr(self._model, "history", None)
        self._model.train_function = known[0]

    def put_back(self) -> None:
        """Takes the watched step away where the trainer did not come so far as to call it."""
        if isinstance(self._model.train_function, WatchedStep):
            self._model.train_function = self._model.train_function.plain

    def _twin(self) -> WatchedStep:
        model, settings = self._model, self.session.settings
        compiled = bool(model.jit_compile) and not model.run_eagerly
        instrument = self.session.instrument(compiled=compiled)

        def receive(measured: Any, rows: Rows) -> None:
            self.session.receive(lambda: instrument.read(measured), rows)

        return watched_twin(
            model,
            instrument.compute,
            settings.selected,
            receive,
            lambda error: self.session.fail(error),
            self._is_expected,
            # XLA would compile the step again for a last, smaller batch.
            (lambda: self.session.is_last_of_epoch()) if compiled else None,
            settings.activations,
        )

    def _is_expected(self) -> bool:
        """Whether the fit that armed the step still runs; each fit gives the model a `History` of its own."""
        return self.session.armed and getattr(self._model, "history", None) is self._armed_by
