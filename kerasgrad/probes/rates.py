"""`lr_range`: the learning-rate range test, with the weights put back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasgrad.probes.harness import as_batch, build, check_model, preserved
from kerasgrad.probes.measuring import measure
from kerasgrad.probes.numbers import not_finite
from kerasgrad.views.text import number

Array = NDArray[np.float64]

SMOOTHING = 0.9
"""Weight of the past in the running mean of the loss that ends the sweep."""
DIVERGED = 4.0
"""The sweep ends when that mean is so many times the least so far."""
SETTLED = 5
"""Steps before it may end: the mean is still one of few."""
WINDOW = 20
"""The curve is smoothed by lines over a tenth of the steps: so many of them to each side make one."""
FLAT = 0.02
"""A smoothed loss that falls by less than this share of its beginning at no rate is flat."""
NOISE = 3.0
"""So many standard errors a fall has to exceed: 1 in 20 sweeps of 100 steps whose losses are noise alone does."""
SURE = 2.0
"""So many standard errors a slope has to bear, to be chosen among others: that it is less has a chance of 1 in 40."""
ROUNDING = 1e-12
"""Batches whose losses differ by less than its root, relative to the losses, are alike."""
VANISHED = 1e-3
"""Signal at the first quarter of the layers against the last: 3 orders of magnitude are vanishing."""
ROWS, BAR = 12, 20


@dataclass(frozen=True, repr=False)
class RateSweep:
    """A learning-rate range test. Its `repr` is the answer.

    Attributes:
        rates: float64 `[steps]`, rising by the same factor.
        losses: of each step's batch, before its update, float64 `[steps]`; NaN where it was not finite.
        untrained: of the same batches with the weights as they were and the same draws of dropout, float64 `[steps]`. What
            the batches differ in from the beginning says nothing of the rate.
        smoothed: at each step the line through the losses around it, as if all batches were alike; it lags behind in neither
            direction, as a running mean would. Losses are cut at `DIVERGED` times the untrained mean, so that the end of the
            sweep does not reach back.
        slopes: of those lines, per step.
        noise, slope_noise: the standard errors of both, from the scatter of the losses about the lines.
        depth_ratio: signal at the first quarter of the layers against the last, before the sweep; NaN where there is none.
    """

    rates: Array
    losses: Array
    untrained: Array
    smoothed: Array
    slopes: Array
    noise: Array
    slope_noise: Array
    depth_ratio: float

    @property
    def fall(self) -> float:
        """By which share of its beginning the smoothed loss fell at most."""
        finite = self.smoothed[np.isfinite(self.smoothed)]
        return float((finite[0] - finite.min()) / abs(finite[0])) if len(finite) and finite[0] else float("nan")

    @property
    def flat(self) -> bool:
        """Whether the loss fell at no rate, or not further than the noise."""
        if not self.fall >= FLAT:
            return True
        first, least = 0, self._lowest
        return bool(self.smoothed[first] - self.smoothed[least] <= NOISE * np.hypot(self.noise[first], self.noise[least]))

    @property
    def suggested(self) -> float:
        """The rate at which the smoothed loss falls most steeply over the logarithm of the rate; NaN if it is flat.

        Of each slope `SURE` standard errors are taken off: what falls steeply by chance is not chosen.
        """
        if self.flat:
            return float("nan")
        falls = (self.slopes + SURE * self.slope_noise)[: self._lowest + 1]
        return float(self.rates[int(np.nanargmin(falls))])

    @property
    def highest(self) -> float:
        """The rate at which the smoothed loss is least: the upper end of a range for rates that cycle; NaN if it is flat."""
        return float("nan") if self.flat else float(self.rates[self._lowest])

    @property
    def _lowest(self) -> int:
        return int(np.nanargmin(self.smoothed))

    @property
    def warning(self) -> str:
        """Why the rate is not the problem, or why nothing can be suggested; `""` if all is well.

        Gradients that vanish are told of even where the loss falls: the last layers alone make it fall for a while.
        """
        little = "within the noise of the batches" if self.fall >= FLAT else f"by less than {FLAT:.0%}"
        flat = f"the loss falls {little} at any rate up to {number(float(self.rates[-1]))}"
        vanished = f"the first layers get {number(self.depth_ratio)} of the last ones' gradient"
        if self.depth_ratio < VANISHED:
            return f"{flat}, and {vanished}: the rate is not the problem" if self.flat else f"{vanished}; no rate mends that"
        if self.flat:
            return f"{flat}: take another range, or the model learns nothing from these data"
        return self._at_the_edge

    @property
    def _at_the_edge(self) -> str:
        """What of the answer may lie beyond the sweep; `""` if nothing does."""
        if self._lowest == len(self.rates) - 1:
            return f"the loss is least at the last rate, {number(self.highest)}: the sweep ends too early, raise `highest`"
        if self.suggested == self.rates[0]:
            return f"the loss falls most steeply at the first rate, {number(self.suggested)}: lower `lowest`"
        return ""

    def __repr__(self) -> str:
        """The answer: the suggestion, and the curve."""
        span = f"{number(float(self.rates[0]))} to {number(float(self.rates[-1]))}"
        lines = [f"learning rates {span}, {len(self.rates)} steps; the loss fell by {self.fall:.0%}"]
        if self.warning:
            lines.append(f"warning: {self.warning}")
        if not self.flat:
            lines.append(f"suggested: {number(self.suggested)} (steepest); at most: {number(self.highest)} (least loss)")
        lines += ["", f"{'rate':>9} {'loss':>9}"]
        for step in np.unique(np.linspace(0, len(self.rates) - 1, ROWS).round().astype(int)):
            loss = float(self.smoothed[step])
            blocks = "█" * round(BAR * loss / np.nanmax(np.abs(self.smoothed))) if loss > 0 else ""
            lines.append(f"{number(float(self.rates[step])):>9} {number(loss):>9}  {blocks}".rstrip())
        return "\n".join(lines)


def lr_range(
    model: keras.Model,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    batch_size: int = 32,
    seed: int = 0,
) -> RateSweep:
    """Trains for some steps with a learning rate that grows from step to step, and puts everything back.

    The steps are those of `model.train_on_batch`, with a fresh optimizer of the same kind and settings. They are made twice
    on the same batches, first at the rate 0, to know what the batches differ in by themselves. Afterwards weights, moving
    averages, seeds, metrics and the model's own optimizer are what they were, bit for bit.

    Args:
        model: a compiled model.
        x: inputs, `[examples, ...]`, or a structure of such arrays; batches of them are drawn anew in each round.
        y: targets.
        sample_weight: weights of the examples, or None.
        lowest: rate of the first step.
        highest: rate of the last step; the sweep ends before it where the loss diverges.
        steps: how many, at least 10.
        batch_size: examples in a step.
        seed: of the order of the examples.

    Returns:
        The curve, its steepest and its lowest point, and a warning where it is flat: then, if the gradients vanish, the
        rate is not the problem. `kerasgrad.views.lr_range` draws it.

    Raises:
        TypeError: the model is none of Keras 3.
        ValueError: it is not compiled, has no trainable weights, or its loss is no number before anything is trained; or a
            setting is out of its range.

    Example:
        >>> kerasgrad.lr_range(model, x, y).suggested

    References:
        Smith 2017, Cyclical learning rates for training neural networks, section 3.3.
    """
    check_model(model, "lr_range", compiled=True)
    if not 0 < lowest < highest < np.inf or steps < 10 or batch_size < 1:
        raise ValueError(
            "`lr_range` takes 0 < lowest < highest, at least 10 steps and a batch size from 1. Received: "
            f"lowest={lowest!r}, highest={highest!r}, steps={steps!r}, batch_size={batch_size!r}"
        )
    data = keras.tree.map_structure(np.asarray, as_batch(x, y, sample_weight))
    first = next(_batches(data, batch_size, seed))
    build(model, first[0])
    if not model.trainable_variables:
        raise ValueError(
            "The model has no trainable weights, so that no rate changes it: set `trainable = True` on it or on some of its "
            f"layers and compile it again. Received: model={model.name!r}"
        )
    depth_ratio = float(measure(model, *first).overall("depth_ratio")[0])
    rates = np.geomspace(lowest, highest, steps)
    with preserved(model), _fresh_optimizer(model, lowest) as optimizer:
        with preserved(model):
            untrained = np.array(list(_losses(model, optimizer, np.zeros(steps), _batches(data, batch_size, seed))))
        if not np.isfinite(untrained).all():
            raise ValueError(
                f"The loss of {(~np.isfinite(untrained)).sum()} of {steps} batches is NaN or infinite before anything was "
                "trained, so that no rate can be told from another; look into the data, and the weights of the model. "
                f"Received: {not_finite(*keras.utils.unpack_x_y_sample_weight(data)[:2]) or 'finite x and y'}"
            )
        losses: list[float] = []
        mean, least, level = 0.0, np.inf, float(untrained.mean())
        for step, loss in enumerate(_losses(model, optimizer, rates, _batches(data, batch_size, seed))):
            losses.append(loss)
            mean = SMOOTHING * mean + (1 - SMOOTHING) * (loss - untrained[step] + level)
            running = mean / (1 - SMOOTHING ** (step + 1))
            least = min(least, running)
            if not np.isfinite(loss) or (step >= SETTLED and running > DIVERGED * least > 0):
                break
    found = np.array(losses)
    found[~np.isfinite(found)] = np.nan
    untrained = untrained[: len(found)]
    curve = _lines(found, untrained, level, max(2, steps // WINDOW))
    return RateSweep(rates[: len(found)], found, untrained, *curve, depth_ratio)


def _losses(model: keras.Model, optimizer: Any, rates: Array, batches: Iterator[Any]) -> Iterator[float]:
    """The loss of one step after the other, each of its batch before its update."""
    for rate in rates:
        optimizer.learning_rate = rate
        model.reset_metrics()
        yield float(model.train_on_batch(*next(batches), return_dict=True)["loss"])


def _lines(losses: Array, untrained: Array, level: float, half: int) -> tuple[Array, Array, Array, Array]:
    """The loss at each step as a line through the `half` steps before and after it, were all batches alike.

    What the batches differ in from the beginning is taken off as far as the losses still follow it: all of it where the
    weights are what they were, nothing where the problem is solved (a control variate, with a coefficient from 0 to 1).

    Returns:
        The line's value and slope at each step, and the standard errors of both.
    """
    finite = np.isfinite(losses)
    value, slope, left, free = np.full((4, len(losses)), np.nan)
    leverage = np.full((2, len(losses)), np.nan)
    cut = np.minimum(losses, level + (DIVERGED - 1) * abs(level))
    for step in np.flatnonzero(finite).tolist():
        around = np.arange(max(0, step - half), min(len(losses), step + half + 1))
        around = around[finite[around]]
        ways = np.stack([np.ones(len(around)), around - step], axis=1)
        fit = np.linalg.pinv(ways)
        rest, own = (values - ways @ (fit @ values) for values in (cut[around], untrained[around]))
        alike = own @ own <= ROUNDING * np.square(untrained[around]).sum()
        follows = 0.0 if alike else float(np.clip(rest @ own / (own @ own), 0.0, 1.0))
        value[step], slope[step] = fit @ (cut[around] - follows * (untrained[around] - level))
        left[step], free[step] = np.square(rest - follows * own).sum(), max(0, len(around) - 3)
        leverage[:, step] = np.square(fit).sum(axis=1)
    # A few losses tell little of their scatter: that of the windows around is added.
    near = np.ones(2 * half + 1)
    left, free = (np.convolve(np.nan_to_num(values), near)[half:-half] for values in (left, free))
    scatter = left / np.maximum(free, 1)
    noise, slope_noise = np.sqrt(scatter * leverage)
    return value, slope, noise, slope_noise


def _batches(data: Any, size: int, seed: int) -> Iterator[tuple[Any, Any, Any]]:
    """Batches without end; the examples are shuffled for each round, and a rest is left out."""
    examples, random = len(keras.tree.flatten(data)[0]), np.random.default_rng(seed)
    size = min(size, examples)
    while True:
        order = random.permutation(examples)
        for start in range(0, examples - size + 1, size):
            taken = order[start : start + size]
            batch = keras.tree.map_structure(lambda a, i=taken: tf.constant(a[i]), data)
            yield keras.utils.unpack_x_y_sample_weight(batch)


@contextlib.contextmanager
def _fresh_optimizer(model: keras.Model, rate: float) -> Iterator[Any]:
    """Within it the model has an untouched optimizer of the same kind, and a train function made for that."""
    kept = model.optimizer, model.train_function, model.steps_per_execution
    config = kept[0].get_config()
    inner = config["inner_optimizer"]["config"] if "inner_optimizer" in config else config
    inner["learning_rate"] = rate  # in the place of a schedule too
    model.optimizer = type(kept[0]).from_config(config)
    model.optimizer.build(model.trainable_variables)
    model.train_function, model.steps_per_execution = None, 1
    try:
        yield model.optimizer
    finally:
        model.optimizer, model.train_function, model.steps_per_execution = kept
