"""The charts of the page as plotly figures: plain dicts, for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasgrad.run import Run
from kerasgrad.views import heatmap_cells
from kerasgrad.views.heatmap_cells import BAD, COLORS, NOT_EXAMINED, TICKS
from kerasgrad.views.labels import labels
from kerasgrad.views.writing import printable

MAX_COLUMNS = 600
"""Cells of a heat map from left to right; a cell of several samples shows the largest."""

NAME_LENGTH = 26
MARGIN = {"l": 190, "r": 90, "t": 10, "b": 36}


def figures(run: Run) -> dict[str, Any]:
    """The charts by their titles.

    Args:
        run: a run with at least one sample.

    Returns:
        Plotly figures: `data` and `layout`.
    """
    shares = heatmap_cells.SHARES[2:4] + heatmap_cells.SHARES[1:2]
    updated, counted = _newest(run, "update_ratio"), _newest(run, *shares)
    charts = {
        "Loss and gradient norm": _over_time(run),
        "Signal that reaches each layer": heat_map(run, "signal_rms"),
        "Gradient norm of each layer": heat_map(run, "gradient_norm"),
        f"Update / weight at step {run.steps[updated]}": _profile(run, ("update_ratio",), updated, True),
        f"Dead, dormant and zero share at step {run.steps[counted]}": _profile(run, shares, counted, False),
    }
    return charts | {f"Signal through time: {path}": _through_time(run, path) for path in run.schema.recurrent}


def plain(name: str) -> str:
    """A name as plotly shows it unchanged; plotly reads a little markup."""
    return printable(name).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def heat_map(run: Run, statistic: str) -> dict[str, Any]:
    """Layer by step.

    Args:
        run: a run with at least one sample.
        statistic: a statistic of layers.

    Returns:
        A plotly figure.
    """
    values = run.table(statistic, "layer")
    bad = heatmap_cells.bad(values, run.table(heatmap_cells.witness(statistic), "layer"))
    return _heat(run, values, bad, heatmap_cells.is_logarithmic(statistic), _row_axis(run))


def _through_time(run: Run, path: str) -> dict[str, Any]:
    values = run.signal_over_time(path)
    axis = {"title": {"text": "time step"}, "range": [values.shape[1] - 0.5, -0.5]}
    return _heat(run, values, heatmap_cells.bad_over_time(values, run.overall("gradient_norm")), True, axis, 3)


def _heat(run: Run, values: Any, bad: Any, logarithmic: bool, axis: dict[str, Any], row_pixels: int = 14) -> dict[str, Any]:
    low, high = heatmap_cells.span(values, logarithmic)
    shown = np.where(bad, np.nan, values)
    if logarithmic:
        with np.errstate(divide="ignore"):
            shown = np.maximum(np.log10(np.abs(shown)), low)
    starts = np.unique(np.linspace(0, len(run), min(len(run), MAX_COLUMNS), endpoint=False).astype(int))
    merged = np.fmax.reduceat(shown, starts, axis=0)
    common = {"type": "heatmap", "x": run.steps[starts].tolist(), "hoverinfo": "skip"}
    bar = {"title": {"text": "log10"}} if logarithmic else {}
    scale = {"zmin": low, "zmax": high, "colorscale": "Viridis", "colorbar": bar, "hoverinfo": "x+y+z"}
    traces = [common | {"z": _json(merged.T)} | scale]
    if bad.any():
        marked = np.where(np.logical_or.reduceat(bad, starts, axis=0), 1.0, np.nan)
        traces.append(common | {"z": _json(marked.T), "colorscale": [[0, BAD], [1, BAD]], "showscale": False})
    height = min(900, max(260, row_pixels * values.shape[1] + 60))
    axes = {"xaxis": {"title": {"text": "step"}, "showgrid": False}, "yaxis": axis | {"showgrid": False}}
    return {"data": traces, "layout": {"plot_bgcolor": NOT_EXAMINED, "height": height, "margin": MARGIN} | axes}


def _over_time(run: Run) -> dict[str, Any]:
    kept = np.unique(np.linspace(0, len(run) - 1, min(len(run), 4 * MAX_COLUMNS)).astype(int))
    x = run.steps[kept].tolist()
    traces = [
        {"x": x, "y": _json(run.overall(name)[kept]), "name": label, "yaxis": axis, "mode": "lines", "line": {"color": hue}}
        for name, label, axis, hue in (
            ("loss", "loss", "y", COLORS[0]),
            ("gradient_norm", "gradient norm", "y2", COLORS[5]),
        )
    ]
    second: dict[str, Any] = {"overlaying": "y", "side": "right", "type": "log", "title": {"text": "gradient norm"}}
    second = second | {"showgrid": False, "nticks": 4, "tickformat": ".2~g"}
    layout = {"height": 240, "margin": MARGIN, "xaxis": {"title": {"text": "step"}}, "yaxis": {"title": {"text": "loss"}}}
    return {"data": traces, "layout": layout | {"yaxis2": second, "legend": {"orientation": "h", "y": 1.15}}}


def _newest(run: Run, *statistics: str) -> int:
    """The newest sample in which some layer has a number."""
    given = np.flatnonzero(np.any([np.isfinite(run.table(name, "layer")).any(axis=1) for name in statistics], axis=0))
    return int(given[-1]) if len(given) else len(run) - 1


def _profile(run: Run, statistics: tuple[str, ...], sample: int, logarithmic: bool) -> dict[str, Any]:
    y = list(range(len(run.layers)))
    traces = [
        {
            "x": _json(run.table(statistic, "layer")[sample]), "y": y, "name": statistic, "mode": "markers",
            "marker": {"symbol": symbol, "color": color, "size": 8},
            "text": [plain(path) for path in run.layers], "hovertemplate": "%{text}: %{x:.3g}",
        }
        for statistic, symbol, color in zip(
            statistics, ("square", "diamond-open", "circle-open"), (COLORS[5], COLORS[0], COLORS[7]), strict=False
        )
    ]  # fmt: skip
    axis = (
        {"type": "log", "exponentformat": "power", "dtick": 1}
        if logarithmic
        else {"range": [-0.03, 1.03], "tickformat": ".0%"}
    )
    low, high = heatmap_cells.USUAL_UPDATE_RATIO
    usual = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "x0": low, "x1": high, "line": {"width": 0}}
    layout = {"height": min(900, max(260, 14 * len(y) + 60)), "margin": MARGIN, "xaxis": axis, "yaxis": _row_axis(run)}
    shapes = [usual | {"fillcolor": COLORS[2], "opacity": 0.15, "layer": "below"}] if logarithmic else []
    return {"data": traces, "layout": layout | {"shapes": shapes, "legend": {"orientation": "h", "y": 1.1}}}


def _row_axis(run: Run) -> dict[str, Any]:
    every = max(1, -(-len(run.layers) // TICKS))
    rows = list(range(0, len(run.layers), every))
    names = labels(run.layers, NAME_LENGTH)
    named = [plain(names[row]) for row in rows]
    return {"tickvals": rows, "ticktext": named, "range": [len(run.layers) - 0.5, -0.5], "zeroline": False}


def _json(values: Any) -> list[Any]:
    """Numbers with four digits, None for what is none."""
    rounded = np.asarray(values, np.float64)
    if rounded.ndim > 1:
        return [_json(row) for row in rounded]
    return [float(f"{v:.4g}") if np.isfinite(v) else None for v in rounded]
