"""Where the run of a training lives: in memory, in a directory of its own, or as the next part of one that is there."""

from __future__ import annotations

import logging

import keras
import tensorflow as tf

from kerasgrad import events
from kerasgrad.run import Run, Schema

logger = logging.getLogger("kerasgrad")


class Placing:
    """Finds the place of a run.

    Args:
        log_dir: what was asked for; None for memory.
    """

    def __init__(self, log_dir: events.Place | None) -> None:
        self._log_dir = log_dir
        self._resumed: tuple[events.Place, Run] | None = None
        self._ahead = 0

    def look(self, model: keras.Model, epoch: int) -> int:
        """Finds out whether a training goes on with one that was recorded in the directory before.

        Args:
            model: what is trained.
            epoch: with which it begins.

        Returns:
            The step at which it goes on, 0 for a new one.
        """
        iterations = getattr(getattr(model, "optimizer", None), "iterations", None)
        trained = epoch > 0 or (iterations is not None and int(tf.convert_to_tensor(iterations).numpy()) > 0)
        folder = events.newest(self._log_dir) if self._log_dir is not None else None
        if not trained or folder is None:
            return 0
        try:
            run = events.load(folder)
        except (OSError, ValueError) as error:
            logger.warning("kerasgrad: the run in %s cannot be resumed; starting a new run: %s", folder, error)
            return 0
        self._resumed = folder, run
        last = int(run.steps[-1]) + 1 if len(run) else 0
        self._ahead = max(last, int(run.facts.get("batches", 0)))
        return self._ahead

    def place(self, schema: Schema) -> tuple[events.Place | None, Run, int]:
        """Gives a run its place, now that its rows are known.

        Args:
            schema: the rows.

        Returns:
            The folder, None for memory; the run, a new one or the one that is resumed; and by how many steps the count
            began too late, because the run that was to be resumed has other rows.
        """
        resumed, self._resumed = self._resumed, None
        if resumed is not None and resumed[1].schema == schema:
            return (*resumed, 0)
        ahead = self._ahead if resumed is not None else 0
        return (events.new_directory(self._log_dir) if self._log_dir is not None else None), Run(schema), ahead
