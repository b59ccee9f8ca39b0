"""Figures, the page to send, notebooks, and what a cell means."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import board
import numpy as np
import pytest

from kerasgrad import plugin, views
from kerasgrad.finding import Diagnosis, Finding, Severity
from kerasgrad.run import Run, Schema
from kerasgrad.views import charts, heatmap_cells, page, text, vendor

NASTY = ("<script>alert(1)</script>", "$x^2$ & <b>y</b>", "z")


def recorded(steps: int = 6, layers: tuple[str, ...] = NASTY) -> Run:
    rows = Schema(layers, (f"{layers[0]}/w",), (0,), (4,), ("relu",) * len(layers), {}, (layers[-1],))
    run = Run(rows, {"model": "<i>mine</i>"})
    for step in range(0, 2 * steps, 2):
        sample = board.sample(step, len(layers))
        sample.over_time = {layers[-1]: np.geomspace(1e-3, 1, 4).astype(np.float32)}
        run.append(sample)
    return run


def diagnosed(run: Run) -> Diagnosis:
    found = Finding(
        rule="vanishing_gradient", severity=Severity.WARNING, summary="It <b>dies</b>.", layers=run.layers[:2],
        starts_at=run.layers[1], since=4, quantity="first / last", measured=1e-9, threshold=1e-3,
        samples=6, causes=("a sigmoid",), remedies=("use_relu",),
    )  # fmt: skip
    gone = Finding(
        rule="dead_units",
        severity=Severity.ERROR,
        summary="Gone.",
        layers=(run.layers[2],),
        starts_at=run.layers[2],
        withdrawn=8,
    )
    return Diagnosis((gone, found), {"plateau": "too short"}, ("vanishing_gradient", "dead_units"), "mine", 6, (0, 10))


def test_bad_cells_are_those_that_were_measured() -> None:
    values = np.array([[1, np.nan, np.inf, np.nan], [np.nan, np.nan, 1, np.nan]], np.float32)
    counts = np.array([[0, 0, 0, np.nan], [0, 3, 0, np.nan]], np.float32)
    assert heatmap_cells.bad(values, counts).tolist() == [[False, False, True, False], [True, True, False, False]]
    assert heatmap_cells.bad(values).tolist() == [[False, False, True, False], [False] * 4]


def test_the_scale_spans_what_is_there() -> None:
    values = np.array([0, -1e-3, 10, np.nan, np.inf])
    assert heatmap_cells.span(values, True) == pytest.approx((-3, 1))
    assert heatmap_cells.span(values, False) == pytest.approx((-1e-3, 10))
    assert heatmap_cells.span(np.array([1e-30, 1.0]), True) == (-heatmap_cells.LOWEST_DECADES, 0.0)
    assert heatmap_cells.span(np.array([np.nan]), True) == (0.0, 1.0)


def test_each_statistic_has_a_witness_that_counts() -> None:
    assert heatmap_cells.witness("dead_fraction") == heatmap_cells.witness("saturated_fraction") == "activation_nonfinite"
    assert heatmap_cells.witness("dormant_signal_fraction") == heatmap_cells.witness("signal_rms") == "gradient_nonfinite"


def test_the_flow_figure_has_the_runs_numbers() -> None:
    run = recorded()
    run.table("signal_rms", "layer")[2, 1] = np.inf
    figure = views.flow(run)
    mesh, marked = figure.axes[0].collections[:2]
    drawn = mesh.get_array()
    with np.errstate(divide="ignore"):
        expected = np.log10(run.table("signal_rms", "layer")).T
    expected[1, 2] = np.nan
    assert np.allclose(np.ma.filled(drawn, np.nan).reshape(expected.shape), expected, equal_nan=True)
    assert np.ma.count(np.ma.masked_invalid(marked.get_array())) == 1
    figure.savefig(io.BytesIO())  # the names draw too


@pytest.mark.parametrize(("batches", "end"), [(64, 64), (None, 11), (3, 11)])
def test_a_map_ends_where_the_training_ended(batches: int | None, end: int) -> None:
    run = recorded()
    run.facts["batches"] = batches
    assert run.steps[-1] == 10 and views.flow(run).axes[0].get_xlim() == (0, end)


def test_the_other_figures_draw_what_they_say() -> None:
    run, healthy = recorded(), recorded(9, ("a", "b", "c", "d", "e"))
    profile = views.depth_profile(run, step=5, baseline=healthy)
    assert profile.axes[0].lines[0].get_xdata() == pytest.approx(run.table("signal_rms", "layer")[2])
    assert len(profile.axes[0].collections) == 1
    dead = views.dead_units(run)
    assert dead.axes[0].lines[0].get_xdata() == pytest.approx(run.table("dead_fraction", "layer")[-1])
    updates = views.update_ratios(run)
    assert len(updates.axes[0].lines) == len(run.layers)
    over_time = views.through_time(run)
    assert np.ma.filled(over_time.axes[0].collections[0].get_array(), np.nan).reshape(4, 6)[0] == pytest.approx([-3] * 6)
    for figure in (profile, dead, updates, over_time):
        figure.savefig(io.BytesIO())


def test_through_time_marks_what_is_no_number_and_leaves_shorter_sequences_open() -> None:
    run = recorded(3)
    broken = board.sample(6, len(NASTY))
    broken.overall["gradient_norm"] = np.nan
    broken.over_time = {NASTY[-1]: np.full(4, np.nan, np.float32)}
    longer = board.sample(8, len(NASTY))
    longer.over_time = {NASTY[-1]: np.geomspace(1e-2, 1, 6).astype(np.float32)}
    for sample in (broken, longer):
        run.append(sample)
    figure = views.through_time(run)
    axes = figure.axes[0]
    drawn, marked = (np.ma.filled(mesh.get_array().astype(float), np.nan).reshape(6, 5) for mesh in axes.collections)
    assert axes.get_ylim() == (5.5, -0.5), "the first time step on top"
    assert np.isnan(drawn[4:, :3]).all() and np.isnan(drawn[:, 3]).all() and np.isfinite(drawn[:, 4]).all()
    assert drawn[:, 4] == pytest.approx(np.linspace(-2, 0, 6), abs=1e-6)
    assert (marked[:, 3] == 1).all() and np.isnan(np.delete(marked, 3, axis=1)).all()
    cells_, red = charts.figures(run)[f"Signal through time: {NASTY[-1]}"]["data"]
    assert [row[3] for row in red["z"]] == [1.0] * 6 and cells_["z"][5][:4] == [None] * 4


def test_the_page_shows_the_newest_sample_that_has_numbers() -> None:
    run = recorded(3)
    run.table("update_ratio", "layer")[-1] = np.nan
    drawn = charts.figures(run)
    assert drawn["Update / weight at step 2"]["data"][0]["x"] == charts._json(run.table("update_ratio", "layer")[1])
    assert "Dead, dormant and zero share at step 4" in drawn


def test_figures_say_what_is_missing() -> None:
    with pytest.raises(KeyError, match="No statistic of a layer"):
        views.flow(recorded(), "nothing")
    with pytest.raises(ValueError, match="no sample"):
        views.flow(Run(recorded().schema))
    with pytest.raises(ValueError, match="no sample at or before"):
        views.dead_units(recorded(), step=-1)
    bare = Run(Schema(("a",), (), (), (), ("relu",), {}))
    with pytest.raises(ValueError, match="no recurrent layer"):
        views.through_time(bare)


def test_the_page_stands_alone_and_names_are_text() -> None:
    run = recorded()
    made = page.page(run, diagnosed(run))
    outside = made.replace(vendor.PLOTLY.read_text(encoding="utf-8"), "")
    assert "alert(1)" in outside and "<script>alert" not in outside and "<b>dies" not in outside
    assert not re.search(r"(src|href)\s*=|url\(|https?:", outside)
    assert outside.index("vanishing_gradient") < outside.index("<div class=plot"), "the findings first"
    assert "plateau was not examined: too short" in outside and "withdrawn at step 8" in outside
    data = re.search(r"<script id=data type='application/json'>(.*?)</script>", made)
    assert data is not None
    figures = json.loads(data[1])
    assert len(figures) == made.count("class=plot id=") == len(charts.figures(run))
    ticks = figures[1]["layout"]["yaxis"]["ticktext"]
    assert ticks[1] == "$x^2$ &amp; &lt;b&gt;y&lt;/b&gt;"


def test_a_page_of_a_long_run_stays_small_and_loses_no_peak() -> None:
    run = Run(Schema(("a", "b"), (), (), (), ("relu",) * 2, {}))
    for step in range(5000):
        run.append(board.sample(step, 2, statistics=("signal_rms", "gradient_nonfinite")))
    run.table("signal_rms", "layer")[3333, 1] = 1e6
    drawn = charts.heat_map(run, "signal_rms")
    assert len(drawn["data"][0]["x"]) == charts.MAX_COLUMNS == len(drawn["data"][0]["z"][0])
    assert max(drawn["data"][0]["z"][1]) == pytest.approx(6)
    assert len(page.page(run)) < 1.2 * vendor.PLOTLY.stat().st_size


def test_a_run_without_samples_has_a_page_and_a_table() -> None:
    run = Run(recorded().schema)
    assert "No sample yet" in page.page(run) and "No sample yet" in run._repr_html_()


def test_a_notebook_shows_the_table() -> None:
    html = recorded()._repr_html_()
    assert html.count("<tr>") == 1 + len(NASTY) and "<script" not in html and "&lt;script&gt;" in html
    widths = [int(w) for w in re.findall(r"width:(\d+)px", html)]
    assert widths == sorted(widths) and widths[-1] == 12 * text.BAR
    deep = recorded(2, tuple(f"layer{i}" for i in range(100)))._repr_html_()
    assert deep.count("<tr>") == 1 + page.MOST_LAYERS and "40 layers in the middle are left out" in deep


def test_the_terminal_marks_the_layers_of_findings() -> None:
    run, out = recorded(), io.StringIO()
    text.show(run, diagnosed(run), out)
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue() and lines[0].startswith("mine: 1 warning")
    rows = [line.split()[:2] for line in lines if " relu " in line]
    assert rows[:2] == [["▲", NASTY[0]], ["▲*", "$x^2$"]]
    assert rows[2][0] == "z", "that one was withdrawn"
    assert max(map(len, lines)) <= text.WIDTH


def test_without_findings_the_terminal_shows_the_report() -> None:
    run, out = recorded(), io.StringIO()
    text.show(run, file=out)
    assert out.getvalue() == repr(run) + "\n"


def test_a_person_at_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = io.StringIO()
    text.show(recorded(), diagnosed(recorded()), out)
    assert "\x1b[1;33m" in out.getvalue()


EYES = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
"""What becomes of linear RGB (Machado, Oliveira & Fernandes 2009, severity 1)."""


def seen(colors: Any, eye: str) -> Any:
    """Colours as an eye sees them: RGB from 0 to 1 `[colours, 3]` to CIELAB."""
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = np.clip(linear @ np.array(EYES[eye]).T, 0, 1) @ to_xyz.T / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def rgb(*codes: str) -> Any:
    return np.array([[int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in codes]) / 255


@pytest.mark.parametrize("eye", EYES)
def test_every_eye_can_tell_the_colours_apart(eye: str) -> None:
    from matplotlib import colormaps

    scale = seen(colormaps["viridis"](np.linspace(0, 1, 64))[:, :3], eye)
    assert (np.diff(scale[:, 0]) > 0).all(), "brighter is more"
    look = (Path(plugin.__file__).parent / "static" / "look.js").read_text(encoding="utf-8")
    for theme, palette in (("LIGHT", "RUN_COLORS"), ("DARK", "DARK_RUN_COLORS")):
        named = dict(re.findall(r'(\w+): "(#\w+)"', re.findall(rf"const {theme} = (.*);", look)[0]))
        bad, none, paper = (seen(rgb(named[name]), eye) for name in ("bad", "none", "paper"))
        for mark, others in ((bad, (scale, none, paper)), (none, (scale, paper))):
            assert np.linalg.norm(np.concatenate(others) - mark, axis=1).min() > 10, (theme, eye)
        runs = seen(rgb(*re.findall(r'"(#\w+)"', re.findall(rf"const {palette} = (.*);", look)[0])), eye)
        apart = np.linalg.norm(runs[:, None] - runs, axis=2)[np.triu_indices(8, 1)]
        assert apart.min() > 10, "and each has its own dashes"
    for mark in (heatmap_cells.BAD, heatmap_cells.NOT_EXAMINED):
        assert np.linalg.norm(scale - seen(rgb(mark), eye), axis=1).min() > 10


def test_vendored_files_are_those_whose_checksum_is_noted() -> None:
    import hashlib

    assert hashlib.sha256(vendor.PLOTLY.read_bytes()).hexdigest() == vendor.SHA256
    assert f"v{vendor.VERSION}".encode() in vendor.PLOTLY.read_bytes()[:200]
    licence = Path(vendor.__file__).with_name("plotly-LICENSE.txt").read_text(encoding="utf-8")
    assert licence.startswith("MIT License") and "Plotly" in licence


def test_the_full_schema_of_the_event_tests_draws_too() -> None:
    from test_events import SCHEMA
    from test_events import sample as full_sample

    run = Run(SCHEMA, {"model": "mine"})
    for step in range(3):
        run.append(full_sample(step))
    assert page.page(run).count("class=plot id=") == 6
