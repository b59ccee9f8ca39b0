"""Matplotlib figures of what the probes answer: each a function from an answer of `kerasgrad` to a Figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from kerasgrad.views.figures import blank, by_depth
from kerasgrad.views.heatmap_cells import COLORS


class HasMemory(Protocol):
    """What `kerasgrad.through_time` answers."""

    layer: str

    @property
    def signal(self) -> Mapping[str, Any]:
        """RMS of dL/dh_t by cell, `[steps]`."""

    @property
    def half_life(self) -> Mapping[str, float]:
        """Steps back after which half is left, by cell."""


class HasJacobians(Protocol):
    """What `kerasgrad.jacobian` answers."""

    layers: tuple[str, ...]
    chi: Any
    predicted: Any
    to_output: Any
    values: Mapping[str, Any]


class HasScores(Protocol):
    """What `kerasgrad.linear_probe` answers."""

    layers: tuple[str, ...]
    trained: Any
    random: Any
    score: str
    guess: float


class HasRates(Protocol):
    """What `kerasgrad.lr_range` answers."""

    rates: Any
    losses: Any
    smoothed: Any

    @property
    def suggested(self) -> float:
        """The rate of the steepest fall."""

    @property
    def highest(self) -> float:
        """The rate of the least loss."""


def memory(answer: HasMemory) -> Any:
    """The gradient of the loss at a recurrent layer's state against the time step, on a logarithmic scale.

    Args:
        answer: of `kerasgrad.through_time`.

    Returns:
        A `matplotlib.figure.Figure`; a straight line falls by the same factor at each step.

    Raises:
        ImportError: matplotlib is not installed.

    Example:
        >>> kerasgrad.views.memory(kerasgrad.through_time(model, "lstm", x, y)).savefig("memory.png")
    """
    figure, axes = blank(7.0, 20)
    for (name, signal), color in zip(answer.signal.items(), COLORS * len(answer.signal), strict=False):
        label = f"{name}: half in {answer.half_life[name]:.3g} steps"
        axes.plot(np.arange(len(signal)), np.where(signal > 0, signal, np.nan), color=color, label=_plain(label))
    axes.set(
        yscale="log",
        xlabel="time step, in the order of the layer; all sequences end together",
        ylabel="RMS of dL/dh",
        title=_plain(answer.layer),
    )
    axes.legend()
    return figure


def singular_values(answer: HasJacobians) -> Any:
    """Singular values of the layer-to-layer Jacobians, and what is left of a gradient from the output, against depth.

    Args:
        answer: of `kerasgrad.jacobian`.

    Returns:
        A `matplotlib.figure.Figure`, the input on top: the root of the mean square, its prediction by mean-field theory, the
        largest, and the root mean square of dy/dh_l.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure, axes = by_depth(7.0, answer.layers)
    depth = np.arange(len(answer.layers))
    top = [answer.values[path].max() if path in answer.values else np.nan for path in answer.layers]
    for values, label, form, color in (
        (np.sqrt(answer.chi), "rms singular value, layer to layer", "o-", COLORS[0]),
        (np.sqrt(answer.predicted), "mean-field theory", "--", COLORS[7]),
        (np.array(top), "largest, layer to layer", "^", COLORS[1]),
        (answer.to_output, "rms, output to layer", "s-", COLORS[2]),
    ):
        if np.isfinite(values).any():
            axes.plot(np.where(values > 0, values, np.nan), depth, form, color=color, label=label, markersize=3)
    axes.axvline(1.0, color=COLORS[7], linewidth=0.6)
    axes.set(xscale="log", xlabel="singular value")
    axes.legend()
    return figure


def linear_probe(answer: HasScores) -> Any:
    """How much each layer's output tells of the labels, trained beside random weights, the input on top.

    Args:
        answer: of `kerasgrad.linear_probe`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure, axes = by_depth(6.0, answer.layers)
    depth = np.arange(len(answer.layers))
    axes.plot(answer.trained, depth, "o-", color=COLORS[0], markersize=4, label="as it is")
    axes.plot(answer.random, depth, "o--", color=COLORS[7], markersize=3, label="random weights")
    axes.axvline(answer.guess, color=COLORS[5], linewidth=0.6, label="best constant")
    axes.set(xlabel=f"{answer.score} of a linear model, held out")
    axes.legend()
    return figure


def lr_range(answer: HasRates) -> Any:
    """The loss against the learning rate, with the suggestion.

    Args:
        answer: of `kerasgrad.lr_range`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure, axes = blank(7.0, 20)
    axes.plot(answer.rates, answer.losses, color=COLORS[4], linewidth=0.6, label="loss of each batch")
    axes.plot(answer.rates, answer.smoothed, color=COLORS[0], label="smoothed")
    if np.isfinite(answer.suggested):
        axes.axvline(answer.suggested, color=COLORS[2], label=f"steepest: {answer.suggested:.2g}")
        axes.axvline(answer.highest, color=COLORS[5], linestyle="--", label=f"least loss: {answer.highest:.2g}")
    # What diverges at the end would flatten all that matters.
    low, high = np.nanmin(answer.smoothed), np.nanmax(answer.smoothed[: max(2, len(answer.smoothed) // 2)])
    axes.set(
        xscale="log",
        xlabel="learning rate",
        ylabel="loss",
        ylim=(low - 0.1 * (high - low), high + 0.5 * (high - low) + 1e-12),
    )
    axes.legend()
    return figure


def _plain(text: str) -> str:
    """Text in which a dollar sign begins no formula."""
    return text.replace("$", r"\$")
