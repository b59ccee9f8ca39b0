"""The plugin's routes, asked of a real TensorBoard in both loaders, and its reader asked directly."""

from __future__ import annotations

import argparse
import dataclasses
import json
import struct
import urllib.parse
from pathlib import Path
from typing import Any

import board
import numpy as np
import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext

from kerasgrad import catalogue, plugin
from kerasgrad.events.writer import Writer
from kerasgrad.finding import Finding, Severity
from kerasgrad.plugin import tab
from kerasgrad.plugin.source import NotServedError, Source, Table
from kerasgrad.plugin.tab import statistics
from kerasgrad.run import Run

CONTEXT = RequestContext()
MANY = board.MANY

pytestmark = pytest.mark.xdist_group("tab")  # which shares its servers


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """Nothing here trains, and to clear Keras' session before each test takes longer than most of them."""


def values(url: str, **arguments: Any) -> tuple[Any, Any]:
    """Steps and rows of `/values`."""
    answer = board.ask(f"{url}/data/plugin/kerasgrad/values?{urllib.parse.urlencode(arguments)}")
    samples, rows = struct.unpack("<II", answer[:8])
    steps = np.frombuffer(answer[8 : 8 + 8 * samples], "<f8")
    return steps, np.frombuffer(answer[8 + 8 * samples :], "<f4").reshape(samples, rows)


@pytest.fixture(params=["rust", "python"])
def served(request: pytest.FixtureRequest, boards: tuple[dict[str, str], Path]) -> tuple[str, Path]:
    """A TensorBoard over good and bad runs, and their directory."""
    return boards[0][request.param], boards[1]


def test_the_tab_is_there_and_active(served: tuple[str, Path]) -> None:
    tab = json.loads(board.ask(f"{served[0]}/data/plugins_listing"))["kerasgrad"]
    assert tab["enabled"] and tab["tab_name"] == "Gradient Flow"
    assert tab["loading_mechanism"]["module_path"].endswith("/static/index.js")


def test_the_numbers_are_those_of_the_run(served: tuple[str, Path]) -> None:
    url, root = served
    run = Run.load(root / "first")
    for statistic in board.STATISTICS:
        steps, table = values(url, run="first/gradients", of="layer", statistic=statistic)
        assert steps.tolist() == run.steps.tolist()
        assert np.array_equal(table, run.table(statistic, "layer")), statistic
    steps, overall = values(url, run="first/gradients", of="overall")
    expected = np.stack([run.overall(name) for name in catalogue.names("overall")], axis=1)
    assert np.array_equal(overall, expected, equal_nan=True)


def test_all_samples_up_to_ten_thousand_are_kept(served: tuple[str, Path]) -> None:
    steps, table = values(served[0], run="many/gradients", of="layer", statistic="signal_rms")
    assert steps.tolist() == list(range(MANY)) and table.shape == (MANY, 2)
    assert np.array_equal(table[1234], board.sample(1234, 2).layer["signal_rms"])


def test_one_row_and_only_what_is_new(served: tuple[str, Path]) -> None:
    url, root = served
    steps, column = values(url, run="first/gradients", of="layer", statistic="signal_rms", row=3, after=35)
    assert steps.tolist() == [36, 38]
    assert np.array_equal(column[:, 0], Run.load(root / "first").table("signal_rms", "layer")[-2:, 3])


def test_bad_runs_have_a_reason_and_the_others_are_served(served: tuple[str, Path]) -> None:
    runs = board.listed(served[0])
    reasons = {name.removesuffix("/gradients"): run["reason"] for name, run in runs.items()}
    assert reasons["first"] is None and reasons["many"] is None
    assert reasons["torn"] is None and runs["torn/gradients"]["last_step"] in (3, 4), "what is complete of it is shown"
    assert "written in format 99" in reasons["later"] and "no layers" in reasons["no_layers"]
    assert "no sample" in reasons["torn_early"] or "names of its layers" in reasons["torn_early"]


@pytest.mark.parametrize(
    "arguments",
    [
        "run=nothing&of=layer&statistic=signal_rms",
        "run=first/gradients&of=layer&statistic=nothing",
        "run=first/gradients&of=everything",
        "run=first/gradients&of=layer&statistic=saturated_fraction",
        "run=first/gradients&of=layer&statistic=signal_rms&row=77",
        "run=first/gradients&of=layer&statistic=signal_rms&row=two",
        "run=first/gradients&of=layer&statistic=signal_rms&after=1e5",
        "run=first/gradients&of=layer&statistic=signal_rms&after=-2",
        "run=first/gradients&of=time&statistic=../../etc/passwd",
        "run=first/gradients&of=histogram&row=0",
        "run=later/gradients&of=histogram&row=0",
        "",
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(served: tuple[str, Path], arguments: str) -> None:
    code, text = board.refusal(f"{served[0]}/data/plugin/kerasgrad/values?{arguments}")
    assert code == 400 and b"Received" in text


@pytest.mark.parametrize("name", ["nothing.js", "../source.py", "..%2f..%2fsource.py", ""])
def test_only_the_pages_files_are_served(served: tuple[str, Path], name: str) -> None:
    assert board.refusal(f"{served[0]}/data/plugin/kerasgrad/static/{name}")[0] == 404


def test_tensorboard_goes_on_without_a_tab_that_cannot_be_made(caplog: pytest.LogCaptureFixture) -> None:
    assert plugin.Loader().load(None) is None  # no context at all
    assert "without the Gradient Flow tab" in caplog.text


def test_the_number_of_samples_that_a_person_gave_stands() -> None:
    flags = argparse.Namespace(samples_per_plugin={"kerasgrad": 50, "images": 3})
    plugin.Loader().fix_flags(flags)
    assert flags.samples_per_plugin == {"kerasgrad": 50, "images": 3}
    flags = argparse.Namespace(samples_per_plugin={})
    plugin.Loader().fix_flags(flags)
    assert flags.samples_per_plugin == {"kerasgrad": 10_000}
    plugin.Loader().fix_flags(argparse.Namespace())


def source(root: Path) -> tuple[Source, Any]:
    """A source over TensorBoard's own reader, and the reader, to make it look again."""
    reader = EventMultiplexer(tensor_size_guidance={"kerasgrad": 0})
    reader.AddRunsFromDirectory(str(root))
    reader.Reload()
    return Source(MultiplexerDataProvider(reader, str(root))), reader


def test_no_number_and_not_examined_are_told_apart(tmp_path: Path) -> None:
    folder = tmp_path / "gradients"
    folder.mkdir()
    writer = Writer(folder, board.schema(("a", "b", "c", "never")))
    for step in range(4):
        sample = board.sample(step, 4)
        sample.layer["signal_rms"][3] = sample.layer["gradient_nonfinite"][3] = np.nan
        if step == 1:  # this sample only was not examined, nothing was wrong
            sample.layer["signal_rms"][0] = np.nan
        if step >= 2:
            sample.layer["signal_rms"][:2] = np.nan
            sample.layer["gradient_nonfinite"][0] = 5
            sample.overall["gradient_norm"] = np.nan
        if step == 3:  # a statistic without any number is not even written
            sample.layer["signal_rms"][:] = np.nan
        writer.samples(sample.as_batch())
    writer.close()
    table = source(tmp_path)[0].table(CONTEXT, "", "gradients", "signal_rms").values
    bad, none = np.isinf(table), np.isnan(table)
    assert bad.tolist() == [[False] * 4, [False] * 4, [True, True, False, False], [True, True, True, False]]
    assert none.tolist() == [[False] * 3 + [True], [True, False, False, True], [False] * 3 + [True], [False] * 3 + [True]]


@pytest.mark.parametrize("every", [2, 20])
def test_of_a_thinned_run_what_was_thrown_away_is_not_called_not_examined(tmp_path: Path, every: int) -> None:
    kept, count = 50, 400
    (tmp_path / "gradients").mkdir()
    writer = Writer(tmp_path / "gradients", board.schema(("a", "b")))
    for step in range(count):
        sample = board.sample(step, 2, statistics=("signal_rms", "update_ratio"))
        if step % every:  # a statistic that has numbers at some samples only
            del sample.layer["update_ratio"]
        writer.samples(sample.as_batch())
    writer.close()
    reader = EventMultiplexer(tensor_size_guidance={"kerasgrad": kept})
    reader.AddRunsFromDirectory(str(tmp_path)).Reload()
    made = Source(MultiplexerDataProvider(reader, str(tmp_path)))
    signal, ratio = (made.table(CONTEXT, "", "gradients", name) for name in ("signal_rms", "update_ratio"))
    assert len(signal.steps) == kept and np.isfinite(signal.values).all()
    examined = np.isfinite(ratio.values).all(axis=1)
    assert examined.sum() == min(kept, count // every) and (ratio.steps[examined] % every == 0).all()
    assert (ratio.steps[~examined] % every != 0).all() and np.isnan(ratio.values[~examined]).all()


def test_a_statistic_of_ones_own_is_listed_and_served(tmp_path: Path) -> None:
    own = {"name": "skew", "of": "layer", "unit": "1", "formula": "E x^3", "scale": "linear", "group": "mine"}
    total = {**own, "name": "total", "of": "overall"}
    schema = dataclasses.replace(board.schema(("a", "b")), statistics=(own, total))
    (tmp_path / "gradients").mkdir()
    writer = Writer(tmp_path / "gradients", schema)
    for step in range(3):
        sample = board.sample(step, 2)
        sample.layer["skew"], sample.overall["total"] = np.array([step, -step], np.float32), 7.0
        writer.samples(sample.as_batch())
    writer.close()
    made, _ = source(tmp_path)
    (run,) = made.runs(CONTEXT, "")
    assert "skew" in run["layer"]
    assert [s for s in statistics([run]) if s["name"] in ("skew", "total")] == [
        {**own, "logarithmic": False}, {**total, "logarithmic": False},
    ]  # fmt: skip
    assert made.table(CONTEXT, "", "gradients", "skew").values.tolist() == [[0, 0], [1, -1], [2, -2]]
    assert made.table(CONTEXT, "", "gradients", "overall").values[:, -1].tolist() == [7.0] * 3
    for other in ("schema", "facts", "variable/skew"):
        with pytest.raises(NotServedError, match="no such data"):
            made.table(CONTEXT, "", "gradients", other)


def test_what_is_new_is_read_again(tmp_path: Path) -> None:
    board.write(tmp_path / "gradients", range(3))
    made, reader = source(tmp_path)
    assert len(made.table(CONTEXT, "", "gradients", "signal_rms").steps) == 3
    board.write(
        tmp_path / "gradients", range(3, 5), findings=[Finding(rule="one", severity=Severity.NOTE, summary="It is.")]
    )
    reader.Reload()
    assert made.table(CONTEXT, "", "gradients", "signal_rms").steps.tolist() == [0, 1, 2, 3, 4]
    assert made.runs(CONTEXT, "")[0]["findings"][0]["rule"] == "one"


def test_tables_that_are_no_longer_asked_for_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board.write(tmp_path / "gradients", range(3))
    made, _ = source(tmp_path)
    monkeypatch.setattr("kerasgrad.plugin.source.MEMORY_BYTES", 100)
    for statistic in ("signal_rms", "update_ratio", "signal_rms"):
        made.table(CONTEXT, "", "gradients", statistic)
    assert sum(t.values.nbytes for _, t in made._cache.values()) <= 100


def test_histograms_are_served_layer_by_layer(tmp_path: Path) -> None:
    folder = tmp_path / "gradients"
    folder.mkdir()
    bins = (0.0, 1e-3, 1.0, float("inf"))
    rows = board.schema(("a", "b"))
    with_bins = type(rows)(**{**rows.__dict__, "bins": bins})
    writer = Writer(folder, with_bins)
    for step in range(3):
        sample = board.sample(step, 2)
        sample.histogram = np.arange(6, dtype=np.float32).reshape(2, 3) + step
        writer.samples(sample.as_batch())
    writer.close()
    made, _ = source(tmp_path)
    assert made.histogram(CONTEXT, "", "gradients", 1).values.tolist() == [[3, 4, 5], [4, 5, 6], [5, 6, 7]]
    with pytest.raises(NotServedError, match="There are 2 rows"):
        made.histogram(CONTEXT, "", "gradients", 2)


def test_cut_anywhere_it_has_a_reason_or_is_shown(tmp_path: Path) -> None:
    board.write(tmp_path / "whole" / "gradients", range(3))
    whole = next((tmp_path / "whole" / "gradients").iterdir()).read_bytes()
    for i, cut in enumerate(range(20, len(whole), len(whole) // 40)):
        folder = tmp_path / "cuts" / str(i) / "gradients"
        folder.mkdir(parents=True)
        (folder / "events.out.tfevents.1.x").write_bytes(whole[:cut])
    made, _ = source(tmp_path / "cuts")
    runs = made.runs(CONTEXT, "")
    assert {bool(run["reason"]) for run in runs} == {True, False}
    for run in runs:
        if run["reason"] is None:
            made.table(CONTEXT, "", run["name"], "overall")


def test_every_row_has_a_name_of_its_own() -> None:
    layers = [f"backbone/transformer_layer_{i}/feedforward_{part}_residual_add" for i in range(25) for part in "ab"]
    run = tab._labelled({"reason": None, "schema": {"layers": layers}})
    for names, most in ((run["labels"], 99), (run["ticks"], tab.TICK), (run["narrow"], tab.NARROW_TICK)):
        assert len(set(names)) == len(layers) == len(names) and max(map(len, names)) <= most
    assert tab._labelled({"reason": "damaged"}) == {"reason": "damaged"}


def test_the_newest_figures_of_a_run(served: tuple[str, Path]) -> None:
    given = json.loads(board.ask(f"{served[0]}/data/plugin/kerasgrad/newest?run=two/gradients"))
    run = Run.load(served[1] / "two")
    assert given == {name: pytest.approx(float(run.overall(name)[-1])) for name in tab.NEWEST}
    assert board.refusal(f"{served[0]}/data/plugin/kerasgrad/newest?run=nothing")[0] == 400
    broken = Table(np.arange(2.0), np.full((2, len(catalogue.names("overall"))), np.nan, np.float32))
    broken.values[1, catalogue.names("overall").index("loss")] = np.inf
    assert tab.newest(broken) == {"loss": "inf", "depth_ratio": None, "dead_fraction": None}
