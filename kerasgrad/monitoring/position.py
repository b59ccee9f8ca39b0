"""Where a training is: the batches done, over all fits, whatever order the hooks come in."""

from __future__ import annotations


class Position:
    """Counts training batches. The count never goes back: it is the step of the samples.

    Attributes:
        epoch: the epoch that runs, or ran last.
        batch: batches done in this epoch.
        epochs: how many epochs this fit has, None if that is not known.
        steps: how many batches each of them has, likewise.
        planned: the step at which this fit is over, likewise.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.batch = 0
        self.epochs: int | None = None
        self.steps: int | None = None
        self.planned: int | None = None
        self._before_epoch = 0

    @property
    def step(self) -> int:
        """Batches so far, over all fits of the model and the session that it resumed."""
        return self._before_epoch + self.batch

    @property
    def in_last_epoch(self) -> bool:
        """Whether the epoch that runs is the last of this fit."""
        return self.epoch + 1 == self.epochs

    def begin_fit(self, epochs: int | None, steps: int | None) -> None:
        """A fit begins."""
        self._before_epoch, self.batch = self.step, 0
        self.epochs, self.steps = epochs, steps
        self.planned = self.step + epochs * steps if epochs and steps else None

    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins."""
        self._before_epoch, self.batch = self.step, 0
        self.epoch = epoch

    def shift(self, steps: int) -> None:
        """Moves the count, where a session is resumed (forward) or turns out not to be (back)."""
        self._before_epoch += steps

    def at(self, batch: int) -> int:
        """The step of a batch of this epoch."""
        return self._before_epoch + batch

    def reach(self, batch: int) -> None:
        """All batches before this one are done."""
        self.batch = max(self.batch, batch)

    def done(self, batch: int) -> None:
        """This batch is done; one beyond the end of the epoch stands for the last, where several run at a time."""
        self.batch = max(self.batch, min(batch + 1, self.steps or batch + 1))

    def last_of(self, executions: int) -> int:
        """The last batch of the epoch that a step which runs so many at a time will do now."""
        planned = self.steps or self.batch + executions
        return min(self.batch + executions, max(planned, self.batch + 1)) - 1

    def may_end(self, executions: int) -> bool:
        """Whether the step that comes may be an epoch's last, whose batch may be smaller."""
        return bool(self.steps and self.steps > 1 and self.batch + executions >= self.steps)
