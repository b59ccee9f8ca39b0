"""What the rules look at: a run thinned to a few hundred samples, up to the first number that is not finite."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasgrad.rules.learning import Learning, learning, output_row
from kerasgrad.run import Run

Array = NDArray[np.float64]

START = 50
"""Samples that count as the start: 50 reveal most faults (AutoTrainer and DeepLocalize looked at as many)."""
MOST = 200
"""Samples that are looked at: all of the start and of the end, and evenly between. It bounds what the rules cost."""
LATE = 40
"""Samples at most that say how things are now: a quarter of the run, at least `LATE_LEAST`."""
LATE_LEAST = 5
NO_OUTPUT = "the layer that gives the model's output has no row: it was not chosen"
"""Why a run of some layers cannot be judged by its output."""
SEVERAL = "each step trains several losses, such as those of a GAN, whose sum need not fall"
TINY = 1e-300
"""In the place of zero in a logarithm."""
SPAN = 90.0
"""More orders of magnitude than lie between two numbers of float32 (1e-45 to 3e38): beyond, one of them is zero."""


class Evidence:
    """What is known of a run, in float64.

    Samples whose gradients loss scaling threw away are left out, and so is all from the first sample on whose loss,
    activations or gradients are not finite: the rule `non_finite` speaks of that, the others of what came before.

    Args:
        run: any run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        kept = np.flatnonzero(run.overall("loss_scale_overflow") != 1)
        self.broken = first_broken(run, kept)
        """Index of the first sample that is not finite, None if all are."""
        sound = kept if self.broken is None else kept[kept < self.broken]
        self.samples = len(sound)
        if len(sound) > MOST:
            middle = np.linspace(START, len(sound) - LATE - 1, MOST - START - LATE).astype(int)
            sound = sound[np.unique(np.concatenate([np.arange(START), middle, np.arange(len(sound) - LATE, len(sound))]))]
        self.index = sound
        self.steps = run.steps[sound]
        self._tables: dict[tuple[str, str], Array] = {}

    def __len__(self) -> int:
        """Number of samples that are looked at."""
        return len(self.index)

    def table(self, statistic: str, of: Any) -> Array:
        """A statistic, float64 `[samples, rows]` or `[samples]`; what is infinite is NaN."""
        if (statistic, of) not in self._tables:
            values = self.run.table(statistic, of)[self.index].astype(np.float64)
            values[np.isinf(values)] = np.nan
            self._tables[statistic, of] = values
        return self._tables[statistic, of]

    def layer(self, statistic: str) -> Array:
        """Of the layers, float64 `[samples, layers]`."""
        return self.table(statistic, "layer")

    def variable(self, statistic: str) -> Array:
        """Of the variables, float64 `[samples, variables]`."""
        return self.table(statistic, "variable")

    def overall(self, statistic: str) -> Array:
        """Of the model, float64 `[samples]`."""
        return self.table(statistic, "overall")

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """The layer of each variable."""
        return np.array(self.run.schema.owners, np.int64)

    @cached_property
    def learners(self) -> NDArray[np.int64]:
        """Rows of the layers that own trainable variables, in depth order."""
        return np.unique(self.owners[self.owners >= 0])

    @cached_property
    def output(self) -> int:
        """Row of the layer that gives the model's output, -1 if it has none."""
        return output_row(self.run)

    @property
    def losses(self) -> int:
        """How many losses a step differentiates, each for variables of its own."""
        return int(self.run.facts.get("losses") or 1)

    @cached_property
    def learning(self) -> Learning:
        """How far the training has come."""
        return learning(self.run, self.index)

    @property
    def late(self) -> slice:
        """The samples that say how things are now: those of the second half of the steps, as the first are dense."""
        count = min(max(len(self) // 4, LATE_LEAST), LATE)
        return slice(max(len(self) - count, second_half(self.steps)), None)

    def name(self, row: Any) -> str:
        """Path of a layer."""
        return self.run.layers[int(row)]

    def names(self, rows: Any) -> tuple[str, ...]:
        """Paths of layers."""
        return tuple(self.run.layers[int(row)] for row in rows)

    def parts(self, row: Any) -> set[str]:
        """Names of a layer's variables, such as `kernel` and `bias`."""
        return {self.run.variables[i].rpartition("/")[2] for i in np.flatnonzero(self.owners == row)}

    def magnitude(self) -> Array:
        """RMS of each layer's activation, float64 `[samples, layers]`."""
        return np.asarray(np.hypot(self.layer("activation_mean"), self.layer("activation_std")))

    def since(self, holds: Any) -> int | None:
        """Step at which a condition began that holds to the end.

        Args:
            holds: bool `[samples]`; single exceptions do not count (hysteresis: one sample in five may differ).

        Returns:
            The step, None if it does not hold at the end.
        """
        holds = np.asarray(holds, bool)
        if not len(holds) or holds[self.late].mean() < STEADY:
            return None
        share = np.cumsum(holds[::-1]) / np.arange(1, len(holds) + 1)
        lasting = np.flatnonzero((share >= STEADY) & holds[::-1])
        return int(self.steps[len(holds) - 1 - lasting[-1]]) if len(lasting) else None


def at_rate(seen: Evidence) -> str:
    """The usual learning rate, as the end of a sentence; empty where it is not known."""
    rate = median(seen.overall("learning_rate"))
    return "" if np.isnan(rate) else f", at a learning rate of {rate:.2g}"


STEADY = 0.8
"""Share of the samples in which a condition holds that counts as lasting."""


def second_half(steps: Any) -> int:
    """Index of the first sample that is not of the first half of the steps; 0 if there is none."""
    return int(np.searchsorted(steps, (steps[0] + steps[-1]) / 2)) if len(steps) else 0


def first_broken(run: Run, kept: Any) -> int | None:
    """Index of the first sample whose loss, activations or gradients are not finite."""
    bad = np.zeros(len(run), bool)
    loss, norm = run.overall("loss"), run.overall("gradient_norm")
    if not np.isnan(loss).all():
        bad |= ~np.isfinite(loss)
    bad |= np.isinf(norm)
    for statistic in ("activation_nonfinite", "gradient_nonfinite"):
        table = run.table(statistic, "layer")
        bad |= (table > 0).any(axis=1)
    broken = np.flatnonzero(bad[kept])
    return int(kept[broken[0]]) if len(broken) else None


def median(values: Any) -> Any:
    """Median over the samples (axis 0) of what is not NaN; NaN where there is nothing. Quicker than `np.nanmedian`."""
    values = np.asarray(values, np.float64)
    if not values.shape[0]:
        return np.full(values.shape[1:], np.nan)
    ranked = np.sort(values, axis=0)
    count = (~np.isnan(ranked)).sum(axis=0)
    low = np.take_along_axis(ranked, np.maximum((count - 1) // 2, 0)[None], axis=0)[0]
    high = np.take_along_axis(ranked, np.maximum(count // 2, 0).clip(max=len(ranked) - 1)[None], axis=0)[0]
    return np.where(count > 0, (low + high) / 2, np.nan)


def log10(values: Any) -> Any:
    """Logarithm in which zero is very small rather than minus infinity."""
    return np.log10(np.maximum(values, TINY))


def left_of(drop: float) -> float:
    """What is left after a drop in orders of magnitude: 0 if the logarithm of zero is in it."""
    return float(10**-drop) if drop < SPAN else 0.0


def some(value: float) -> str:
    """A share that may be very small, in words where it is zero."""
    return f"{value:.1e}" if value else "nothing"


def share(value: float) -> str:
    """As a percentage."""
    return f"{100 * value:.0f} %"
