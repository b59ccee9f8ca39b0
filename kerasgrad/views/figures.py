"""Matplotlib figures of a run, for papers and notebooks: each a function from a `Run` to a Figure.

Layers run from top (input) to bottom. Needs `pip install 'kerasgrad[plot]'`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgrad import catalogue
from kerasgrad.run import Run
from kerasgrad.views import heatmap_cells
from kerasgrad.views.heatmap_cells import BAD, COLORS, NOT_EXAMINED, TICKS
from kerasgrad.views.labels import labels

ROW_INCHES = 0.16
NAME_LENGTH = 28


def flow(run: Run, statistic: str = "signal_rms") -> Any:
    """The heat map: layer by step, colour the statistic (log10 of it where it spans orders of magnitude).

    Red: measured, and NaN or infinite. Grey: not examined.

    Args:
        run: any run.
        statistic: a statistic of layers, see `kerasgrad.catalogue`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        KeyError: there is no such statistic.
        ValueError: the run has no sample.
        ImportError: matplotlib is not installed.

    Example:
        >>> kerasgrad.views.flow(run, "gradient_norm").savefig("flow.png")
    """
    values = _table(run, statistic)
    logarithmic = heatmap_cells.is_logarithmic(statistic)
    bad = heatmap_cells.bad(values, run.table(heatmap_cells.witness(statistic), "layer"))
    figure, axes = by_depth(9.0, run.layers)
    _heat(axes, run, values, bad, logarithmic, f"log10 of {statistic}" if logarithmic else statistic)
    axes.set(title=f"{run.facts.get('model', 'model')}: {statistic}")
    return figure


def depth_profile(run: Run, statistic: str = "signal_rms", *, step: int | None = None, baseline: Run | None = None) -> Any:
    """A statistic against depth at one step, with the band of a healthy run where one is given.

    Args:
        run: any run.
        statistic: a statistic of layers.
        step: which sample: the last one at or before this step; the newest if None.
        baseline: a healthy run; the band holds the middle 80 % of its samples, laid over this run's depth.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        KeyError: there is no such statistic.
        ValueError: the run has no sample so early.
        ImportError: matplotlib is not installed.
    """
    values = np.abs(_table(run, statistic)[_sample(run, step)])
    figure, axes = by_depth(6.0, run.layers)
    if baseline is not None and len(baseline):
        with np.errstate(invalid="ignore"):
            table = np.abs(_table(baseline, statistic))
        kept = np.isfinite(table).any(axis=0)
        low, high = np.nanquantile(np.where(np.isfinite(table), table, np.nan)[:, kept], [0.1, 0.9], axis=0)
        depth = np.linspace(0, len(run.layers) - 1, len(baseline.layers))[kept]
        axes.fill_betweenx(depth, low, high, color=COLORS[2], alpha=0.2, label="healthy band")
        axes.legend()
    axes.plot(values, np.arange(len(values)), "o-", color=COLORS[0], markersize=3)
    if heatmap_cells.is_logarithmic(statistic) and (values > 0).any():
        axes.set_xscale("log")
    axes.set(xlabel=statistic, title=f"{run.facts.get('model', 'model')}, step {run.steps[_sample(run, step)]}")
    return figure


def dead_units(run: Run, *, step: int | None = None) -> Any:
    """The dead, dormant and zero share of each layer at one step.

    Args:
        run: any run.
        step: the last sample at or before this step; the newest if None.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: the run has no sample so early.
        ImportError: matplotlib is not installed.
    """
    sample = _sample(run, step)
    figure, axes = by_depth(6.0, run.layers)
    for statistic, label, marker, color in (
        ("dead_fraction", "dead", "s", COLORS[5]),
        ("dormant_fraction", "dormant", "D", COLORS[0]),
        ("activation_zeros", "zeros (sparse, healthy)", "o", COLORS[7]),
    ):
        face = color if marker == "s" else "none"
        values = run.table(statistic, "layer")[sample]
        axes.plot(values, np.arange(len(values)), marker, color=color, markerfacecolor=face, label=label)
    axes.set(xlim=(-0.03, 1.03), xlabel="share of units or entries", title=f"step {run.steps[sample]}")
    axes.legend()
    return figure


def update_ratios(run: Run) -> Any:
    """The update-to-weight ratio of each layer over time, from blue (input) to yellow (output), with its usual band.

    Args:
        run: any run.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: the run has no sample.
        ImportError: matplotlib is not installed.
    """
    values = _table(run, "update_ratio")
    figure, axes = blank(8.0, 24)
    axes.axhspan(*heatmap_cells.USUAL_UPDATE_RATIO, color=COLORS[2], alpha=0.15, label="usual")
    axes.set_prop_cycle(color=_colormap("viridis")(np.linspace(0, 1, max(2, len(run.layers)))))
    axes.plot(run.steps, np.where(values > 0, values, np.nan), linewidth=0.8)
    axes.set(yscale="log", xlabel="step", ylabel="update_ratio", title="update / weight; blue: input, yellow: output")
    axes.legend()
    return figure


def through_time(run: Run, layer: str | None = None) -> Any:
    """The signal per time step of a recurrent layer's input: time step by training step, colour its log10.

    The first time step is on top. Red: measured, and NaN or infinite. Grey: the sequences of that step were shorter.

    Args:
        run: any run.
        layer: path of a recurrent layer; the first one if None.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        KeyError: the layer has no signal over time; the message says why.
        ValueError: the run has no recurrent layer, or no sample.
        ImportError: matplotlib is not installed.
    """
    if layer is None and not run.schema.recurrent:
        raise ValueError(f"The run has no recurrent layer with a signal over time. Received: layers={run.layers}")
    path = layer or run.schema.recurrent[0]
    values = run.signal_over_time(path)
    _sample(run, None)
    figure, axes = blank(8.0, 24)
    _heat(axes, run, values, heatmap_cells.bad_over_time(values, run.overall("gradient_norm")), True, "log10 of the signal")
    axes.set(ylabel="time step within the sequence", title=path.replace("$", r"\$"))
    return figure


def _heat(axes: Any, run: Run, values: Any, bad: Any, logarithmic: bool, label: str) -> None:
    """Rows by steps, the first row on top: what is no number in one colour, what was not examined in another."""
    low, high = heatmap_cells.span(values, logarithmic)
    # A sample holds until the next one; the last one until the training ended.
    steps = run.steps.astype(np.float64)
    edges = np.append(steps, max(steps[-1] + 1, float(run.facts.get("batches") or 0)))
    rows = np.arange(values.shape[1] + 1) - 0.5
    axes.set_facecolor(NOT_EXAMINED)
    mesh = axes.pcolormesh(edges, rows, _shown(values, bad, logarithmic, low).T, vmin=low, vmax=high, cmap="viridis")
    if bad.any():
        axes.pcolormesh(edges, rows, np.where(bad, 1.0, np.nan).T, cmap=_one_color(BAD))
    axes.figure.colorbar(mesh, label=label)
    axes.set(xlabel="step", ylim=(values.shape[1] - 0.5, -0.5))


def blank(width: float, rows: int) -> tuple[Any, Any]:
    """A figure with one axes, outside of pyplot, whose memory would keep it."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Figures need matplotlib: pip install 'kerasgrad[plot]'") from error
    figure = Figure(figsize=(width, min(12.0, max(3.0, 1.2 + ROW_INCHES * rows))), layout="constrained")
    return figure, figure.add_subplot()


def _colormap(name: str) -> Any:
    from matplotlib import colormaps

    return colormaps[name]


def _one_color(color: str) -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap([color])


def _table(run: Run, statistic: str) -> Any:
    catalogue.find(statistic, "layer")
    _sample(run, None)
    return run.table(statistic, "layer")


def _sample(run: Run, step: int | None) -> int:
    found = len(run) if step is None else int(np.searchsorted(run.steps, step, side="right"))
    if not found:
        raise ValueError(f"The run has no sample at or before that step. Received: step={step}, samples={len(run)}")
    return found - 1


def _shown(values: Any, bad: Any, logarithmic: bool, low: float) -> Any:
    """Values as the colour scale has them, NaN where there is no colour."""
    kept = np.where(bad, np.nan, values)
    if not logarithmic:
        return kept
    with np.errstate(divide="ignore"):
        return np.maximum(np.log10(np.abs(kept)), low)


def by_depth(width: float, layers: tuple[str, ...]) -> tuple[Any, Any]:
    """A figure with a row for each layer, the input on top; of many every second, third ... is named."""
    figure, axes = blank(width, len(layers))
    every = max(1, -(-len(layers) // TICKS))
    rows = range(0, len(layers), every)
    names = labels(layers, NAME_LENGTH)
    # A dollar sign would begin a formula.
    axes.set_yticks(rows, [names[row].replace("$", r"\$") for row in rows], fontsize=7)
    axes.set_ylim(len(layers) - 0.5, -0.5)
    return figure, axes
