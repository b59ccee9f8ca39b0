"""How far a training has come, so that a rule can ask whether there is anything left to learn.

A tiny gradient is what a net that has learnt its task should have; half of the units may be dead in one that does well.
So what is seen in gradients is weighed with the *gain*: the share of what a constant prediction leaves open that has been
learnt, 0 for the constant prediction, 1 for a perfect one. It is estimated from the run alone:

| loss | gain |
|---|---|
| cross-entropy of K classes | 1 - loss / log K |
| binary cross-entropy | 1 - loss / H(mean output), H the entropy: the loss of that constant prediction |
| squared error | var / (var + loss), var of the output: R^2 where predictions are means (Murphy 1973, resolution) |
| absolute error | the same with the mean absolute deviation of a normal output, 0.8 x its deviation |
| any other | 1 - loss now / loss at the start |
| not known, as in a loop of one's own | of a softmax over K units, and up to log K: as cross-entropy; else as any other |

Of a model that has gone blind, see `is_blind`, it is at most 0, whatever the loss says: one that the first steps threw up
may have come down a thousandfold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasgrad.run import Run

FIRST = 3
"""Samples whose mean loss is that of the start."""
LAST = 10
"""Samples at most whose median loss is that of now, where no epoch's mean is known."""
RECORD = 0.5
"""Share of the lowest loss before it below which the last sample alone is that of now: no luck of one batch brings it there,
and where samples are far apart the others may be of long ago."""


LASTING = 3
"""Epochs at the end that say how held-out data fare: BatchNormalization predicts badly at first, as its statistics lag."""


FEW, HALF = 8, 0.5
"""Examples of a batch below which its own deviation is far from that of all; and the share of such batches."""
ROUGHLY = 1.1
"""What a cross-entropy that has learnt nothing may have of that of a constant prediction."""
MANY, STEADY = 10, 0.9
"""Epochs that it takes to call a fall steady, and the share of them in which the loss falls."""


@dataclass(frozen=True)
class Learning:
    """How far it has come; NaN where it cannot be told.

    Attributes:
        start: loss at the first samples.
        now: loss of the last epoch, or, of a single epoch, of the last samples, of which one may be a `RECORD`.
        best: lowest loss of an epoch, or of a tenth of the samples.
        constant: loss of a constant prediction.
        gain: share of what the constant prediction leaves open that was learnt.
        held_out: the same on held-out data, float64 by epoch, empty where none were held out.
        fall: (start - now) / |start|.
        losses: loss by epoch, or smoothed over the samples, at `steps`.
        batches: training batches that it rests on.
    """

    start: float
    now: float
    best: float
    constant: float
    gain: float
    held_out: NDArray[np.float64]
    fall: float
    losses: NDArray[np.float64]
    steps: NDArray[np.int64]
    batches: int

    @property
    def late_fall(self) -> float:
        """What the loss fell in the last quarter of the training, as a share of its value then."""
        if len(self.losses) < 2:
            return math.nan
        before = self.losses[min(3 * len(self.losses) // 4, len(self.losses) - 2)]
        return float((before - self.losses[-1]) / max(abs(before), 1e-30))

    @property
    def steady(self) -> bool:
        """Whether the loss fell from epoch to epoch, as no rate that is too high lets it."""
        return len(self.losses) >= MANY and bool((np.diff(self.losses) < 0).mean() >= STEADY)

    def poor(self, gain: float) -> bool:
        """Whether it is known that less than that was gained. Of what is not known, the loss must have moved little."""
        return self.gain < gain if not math.isnan(self.gain) else self.fall < gain

    def useless(self, gain: float) -> bool:
        """Whether less than that was gained, be it in training or, of late, on held-out data."""
        return self.poor(gain) or (len(self.held_out) >= LASTING and bool((self.held_out[-LASTING:] < gain).all()))


def learning(run: Run, index: NDArray[np.int64]) -> Learning:
    """Estimates it.

    Args:
        run: a run.
        index: the samples that count.

    Returns:
        How far it has come.
    """
    loss = run.overall("loss")[index].astype(np.float64)
    steps, given = run.steps[index], np.isfinite(loss)
    loss, steps = loss[given], steps[given]
    start = float(loss[:FIRST].mean()) if len(loss) else math.nan
    epochs, ends = _epochs(run, int(steps[-1]) if len(steps) else -1)
    if len(epochs) > 1 and _of_few_examples(run, index):
        # Three batches of an example or two are no more than luck; the first epoch's mean is of them all.
        start = max(start, float(epochs[0]))
    if len(epochs) < 2:
        # The mean of the only epoch is that of all the way, and says neither how it is now nor whether it still falls.
        epochs, ends = _smoothed(loss, steps)
    now = float(epochs[-1]) if len(epochs) else math.nan
    best = float(epochs.min()) if len(epochs) else math.nan
    constant, gain = _gain(run, index, start=start, now=now)
    if is_blind(run, index):
        gain = float(np.fmin(gain, 0.0))
    fall = (start - now) / max(abs(start), 1e-30) if not math.isnan(now) else math.nan
    batches = int(max(ends[-1] if len(ends) else 0, steps[-1] + 1 if len(steps) else 0))
    held_out = _held_out(run, constant, gain=gain, now=now)
    return Learning(
        start=start, now=now, best=best, constant=constant, gain=gain, held_out=held_out, fall=fall, losses=epochs,
        steps=ends, batches=batches,
    )  # fmt: skip


def is_blind(run: Run, index: NDArray[np.int64]) -> bool:
    """Whether for certain nothing of the input reaches the output: a layer is dead, and all before it get no gradient.

    Args:
        run: a run.
        index: the samples that count; it must be so in the last of them.
    """
    late = index[-LAST:]
    owners = np.unique([row for row in run.schema.owners if row >= 0])
    dead = np.flatnonzero((run.table("activation_zeros", "layer")[late] == 1).all(axis=0)) if len(late) else owners[:0]
    if not len(dead) or not len(owners):
        return False
    norms, below = run.table("gradient_norm", "layer")[late][:, owners], owners <= dead[-1]
    return bool(below.any() and (norms[:, below] == 0).all() and (norms[:, ~below] > 0).any())


def of_epochs(run: Run, metric: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A metric by epoch, where the run knows it, and the training batches until the end of each."""
    history: Mapping[str, Any] = run.facts.get("history") or {}
    values = [(s, v) for s, v in zip(history.get("step", ()), history.get(metric, ()), strict=False) if v is not None]
    return np.array([v for _, v in values], np.float64), np.array([s for s, _ in values], np.int64)


def _epochs(run: Run, last: int) -> tuple[Any, Any]:
    """The loss by epoch: finite ones, and only if they reach as far as the samples do."""
    values, ends = of_epochs(run, "loss")
    finite = np.isfinite(values)
    values, ends = values[finite], ends[finite]
    return (values, ends) if len(values) and ends[-1] >= last else (values[:0], ends[:0])


def _smoothed(loss: Any, steps: Any) -> tuple[Any, Any]:
    """Medians of consecutive samples, of at most `LAST` each; the last may be a record, see `RECORD`."""
    size = max(1, min(LAST, len(loss) // 5))
    blocks = [slice(end - size, end) for end in range(len(loss), size - 1, -size)][::-1]
    medians = np.array([np.median(loss[b]) for b in blocks])
    if len(loss) > size and 0 < loss[-1] < RECORD * loss[:-1].min():
        medians[-1] = loss[-1]
    return medians, np.array([steps[b][-1] for b in blocks], np.int64)


def output_row(run: Run) -> int:
    """Row of the layer that gives the model's output, -1 if it has none: with `GradientMonitor(layers=...)` it need not."""
    path = run.facts.get("output_layer", run.layers[-1] if run.layers else "")
    return run.layers.index(path) if path in run.layers else -1


def outputs(run: Run) -> int:
    """Units of the last layer with variables, by its smallest one, the bias; 0 if there is none, or it is not the output."""
    if output_row(run) < 0:
        return 0
    last = max(run.schema.owners, default=-1)
    return min((size for size, owner in zip(run.schema.sizes, run.schema.owners, strict=True) if owner == last), default=0)


def _gain(run: Run, index: Any, *, start: float, now: float) -> tuple[float, float]:
    """Loss of the constant prediction and the gain."""
    name = str(run.facts.get("loss_function") or "")
    # By default most samples are of the first steps: how the output is now only those of the second half say.
    late = index[np.searchsorted(run.steps[index], run.steps[index[-1:]].sum() / 2) :][-LAST:]
    mean, deviation = (_late(run, f"activation_{what}", late=late) for what in ("mean", "std"))
    if _of_few_examples(run, late) and output_row(run) >= 0:
        # Of so few examples a good part of the variance is that from batch to batch; of one it is all of it.
        means = run.table("activation_mean", "layer")[late, output_row(run)].astype(np.float64)
        means = means[np.isfinite(means)]
        deviation = math.hypot(deviation, float(means.std())) if len(means) else deviation
    classes = outputs(run)
    if not name and classes > 1 and run.schema.activations[output_row(run)] == "softmax":
        # Other losses of a softmax, such as a squared error, come out as learnt; sums over a batch are out of range.
        name = "categorical_crossentropy" if 0 < now <= ROUGHLY * math.log(classes) else ""
    if "categorical_crossentropy" in name:
        constant = math.log(classes) if classes > 1 else math.nan
        return constant, max(1 - now / constant, _by_accuracy(run, classes))
    if "binary_crossentropy" in name:
        if run.facts.get("from_logits"):
            mean = math.nan
        constant = _entropy(mean) if 0 < mean < 1 else math.log(2)
        return constant, 1 - now / max(min(constant, math.log(2)), 1e-30)
    if name in ("mean_squared_error", "huber", "mean_absolute_error"):
        spread = deviation**2 if name == "mean_squared_error" else 0.8 * deviation
        resolved = spread / (spread + now) if spread + now > 0 else math.nan
        return math.nan, min(resolved, 1 - now / start) if start > 0 else resolved
    return math.nan, 1 - now / start if start > 0 else math.nan


def _of_few_examples(run: Run, index: Any) -> bool:
    """Whether most batches are of so few examples that one says little of all."""
    examples = run.overall("examples")[index]
    return len(examples) > 0 and bool(np.mean(examples < FEW) > HALF)


def _held_out(run: Run, constant: float, *, gain: float, now: float) -> NDArray[np.float64]:
    """The gain on held-out data by epoch; NaN where it cannot be told."""
    losses, _ = of_epochs(run, "val_loss")
    losses = losses[np.isfinite(losses)]
    if not math.isnan(constant):
        return np.asarray(1 - losses / constant)
    if run.facts.get("loss_function") == "mean_squared_error" and 0 < gain < 1:
        variance = now * gain / (1 - gain)
        return np.asarray(variance / (variance + losses))
    return np.full(len(losses), np.nan)


def _by_accuracy(run: Run, classes: int) -> float:
    """The gain in accuracy, for losses that a penalty on the weights has its share in; minus infinity if not known."""
    for metric in ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy"):
        values, _ = of_epochs(run, metric)
        if len(values) and classes > 1 and np.isfinite(values[-1]):
            return float((values[-1] - 1 / classes) / (1 - 1 / classes)) ** 2 if values[-1] > 1 / classes else 0.0
    return -math.inf


def _entropy(p: float) -> float:
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def _late(run: Run, statistic: str, *, late: Any) -> float:
    """A statistic of the model's output, now."""
    row = output_row(run)
    if row < 0 or not len(late):
        return math.nan
    values = run.table(statistic, "layer")[late, row].astype(np.float64)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else math.nan
