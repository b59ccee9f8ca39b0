"""The tab's routes: thin shells that check their arguments and ask `Source`.

| route | arguments | answer |
|---|---|---|
| `/static/*` | | the page's files |
| `/runs` | | JSON: every run with its rows, facts and findings, or the reason why it cannot be shown; the catalogue |
| `/newest` | `run` | JSON: the newest loss, depth ratio and dead share of a run |
| `/values` | `run`, `of` (layer, variable, overall, time, histogram), `statistic`, `row`, `after` | `Table.to_bytes` |

`row` picks one row by its number, `after` the samples later than a step.
"""

from __future__ import annotations

import functools
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
from tensorboard import errors, plugin_util
from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from kerasgrad import catalogue
from kerasgrad.events import format
from kerasgrad.plugin.source import NotServedError, Source, Table
from kerasgrad.views import heatmap_cells, vendor
from kerasgrad.views.labels import labels

STATIC = "/static/"
NEWEST = ("loss", "depth_ratio", "dead_fraction")
"""What the list of runs shows of each."""
TICK, NARROW_TICK = 23, 15
"""Characters of a layer's name beside a map, and beside a chart of a third of the width."""

_TYPES = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}


class GradientFlow(base_plugin.TBPlugin):
    """The plugin behind the tab.

    Args:
        context: TensorBoard's `TBContext`.
    """

    plugin_name = format.PLUGIN_NAME

    def __init__(self, context: Any) -> None:
        self._source = Source(context.data_provider) if context.data_provider is not None else None
        self._files = _files()
        # Of a run with more samples TensorBoard keeps so many, drawn at random; 0: all.
        self._most = (getattr(context, "sampling_hints", None) or {}).get(format.PLUGIN_NAME, 0)

    def get_plugin_apps(self) -> Mapping[str, Callable[..., Any]]:
        """The routes."""
        return {
            STATIC + "*": self._serve_file,
            "/runs": self._serve_runs,
            "/newest": self._serve_newest,
            "/values": self._serve_values,
        }

    def is_active(self) -> bool:
        """TensorBoard itself shows the tab when there are runs of ours; otherwise it stays among the inactive ones."""
        return False

    def frontend_metadata(self) -> Any:
        """The tab's name and its first file."""
        return base_plugin.FrontendMetadata(es_module_path=STATIC + "index.js", tab_name="Gradient Flow")

    @wrappers.Request.application  # type: ignore[arg-type]
    def _serve_file(self, request: wrappers.Request) -> wrappers.Response:
        name = request.path.rpartition(STATIC)[2]
        if name not in self._files:
            raise errors.NotFoundError(f"There is no such file. Received: {name!r}")
        suffix = name[name.rindex(".") :]
        kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return http_util.Respond(request, self._files[name].read_bytes(), kind)  # type: ignore[no-any-return]

    @wrappers.Request.application  # type: ignore[arg-type]
    def _serve_runs(self, request: wrappers.Request) -> wrappers.Response:
        context, experiment = _of(request)
        runs = [] if self._source is None else self._source.runs(context, experiment)
        answer = {
            "runs": [_labelled(run) for run in runs],
            "statistics": statistics(runs),
            "usual_update_ratio": heatmap_cells.USUAL_UPDATE_RATIO,
            "lowest_decades": heatmap_cells.LOWEST_DECADES,
            "samples_kept": self._most,
        }
        return http_util.Respond(request, answer, "application/json")  # type: ignore[no-any-return]

    @wrappers.Request.application  # type: ignore[arg-type]
    def _serve_newest(self, request: wrappers.Request) -> wrappers.Response:
        context, experiment = _of(request)
        try:
            table = self._table(context, experiment, {"run": request.args.get("run", ""), "of": "overall"})
        except NotServedError as error:
            raise errors.InvalidArgumentError(str(error)) from error
        return http_util.Respond(request, newest(table), "application/json")  # type: ignore[no-any-return]

    @wrappers.Request.application  # type: ignore[arg-type]
    def _serve_values(self, request: wrappers.Request) -> wrappers.Response:
        context, experiment = _of(request)
        try:
            table = self._table(context, experiment, request.args)
        except NotServedError as error:
            raise errors.InvalidArgumentError(str(error)) from error
        return http_util.Respond(request, table.to_bytes(), "application/octet-stream")  # type: ignore[no-any-return]

    def _table(self, context: Any, experiment: str, arguments: Mapping[str, str]) -> Table:
        if self._source is None:
            raise NotServedError("TensorBoard runs without a data provider.")
        after, row = whole_number(arguments, "after", -1), whole_number(arguments, "row", -1)
        run = arguments.get("run", "")
        if arguments.get("of") == "histogram":
            return self._source.histogram(context, experiment, run, row).after(after)
        table = self._source.table(context, experiment, run, tag(arguments))
        return (table if row < 0 else table.row(row)).after(after)


def statistics(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All statistics that can be drawn: those of the catalogue, then those that a run has of its own."""
    known = [s.describe() | {"logarithmic": heatmap_cells.is_logarithmic(s.name)} for s in catalogue.STATISTICS]
    own = {
        (each["of"], each["name"]): dict(each) | {"logarithmic": each.get("scale", "logarithmic") == "logarithmic"}
        for run in runs
        for each in run.get("schema", {}).get("statistics", ())
    }
    return known + [each for key, each in own.items() if key not in {(s["of"], s["name"]) for s in known}]


def newest(table: Table) -> dict[str, float | str | None]:
    """The newest number of each figure in `NEWEST`: None where there is none, in words where it is not finite."""
    names, figures = catalogue.names("overall"), {}
    for name in NEWEST:
        column = table.values[:, names.index(name)]
        given = column[~np.isnan(column)]
        value = float(given[-1]) if len(given) else None
        figures[name] = value if value is None or np.isfinite(value) else str(value)
    return figures


def _labelled(run: dict[str, Any]) -> dict[str, Any]:
    """A run of the listing with names for its rows: whole, for the maps, and for the narrow charts."""
    if run["reason"] is not None:
        return run
    whole, wide, narrow = _labels(tuple(run["schema"]["layers"]))
    return run | {"labels": whole, "ticks": wide, "narrow": narrow}


@functools.lru_cache(maxsize=256)
def _labels(layers: tuple[str, ...]) -> tuple[list[str], list[str], list[str]]:
    return labels(layers), labels(layers, TICK), labels(layers, NARROW_TICK)


def tag(arguments: Mapping[str, str]) -> str:
    """The event file's tag, without its prefix, for the arguments of a request.

    Raises:
        NotServedError: there is no such kind of row.
    """
    of, statistic = arguments.get("of", ""), arguments.get("statistic", "")
    if of == "overall":
        return format.OVERALL
    makes = {"time": format.time_tag, "layer": format.layer_tag, "variable": format.variable_tag}
    if of in makes:
        return makes[of](statistic)
    raise NotServedError(f"There is no such kind of row. Received: of={of!r}, statistic={statistic!r}")


def whole_number(arguments: Mapping[str, str], name: str, default: int) -> int:
    """An argument that is a whole number from -1.

    Raises:
        NotServedError: it is something else.
    """
    given = arguments.get(name, str(default))
    if len(given) > 20 or not given.isascii() or not given.removeprefix("-").isdecimal() or not -1 <= int(given) < 2**53:
        raise NotServedError(f"`{name}` takes a whole number from -1. Received: {name}={given[:40]!r}")
    return int(given)


def _of(request: wrappers.Request) -> tuple[Any, str]:
    return plugin_util.context(request.environ), plugin_util.experiment_id(request.environ)


def _files() -> dict[str, Any]:
    """The page's files by the name under which they are served."""
    folder = resources.files("kerasgrad.plugin").joinpath("static")
    return {entry.name: entry for entry in folder.iterdir() if entry.is_file()} | {vendor.PLOTLY.name: vendor.PLOTLY}
