"""`Run` by itself: select, pandas, what its report looks like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_events import SCHEMA, sample

from kerasgrad.run import Run
from kerasgrad.views import beside, text


def recorded(steps: int = 6) -> Run:
    run = Run(SCHEMA, {"model": "mine", "not_examined": {"d": "because"}})
    for step in range(steps):
        run.append(sample(step))
    return run


def test_select() -> None:
    run = recorded()
    part = run.select(steps=slice(2, 5), layers=["c", "a"])
    assert part.steps.tolist() == [2, 3, 4] and part.layers == ("a", "c")
    assert part.variables == run.variables and part.schema.owners == (0, 0, 1)
    assert np.array_equal(part.layer("signal_rms")["c"], run.layer("signal_rms")["c"][2:5])
    assert np.array_equal(part.overall("loss"), run.overall("loss")[2:5])
    assert run.select(layers=["b <script>"]).variables == ()
    with pytest.raises(KeyError, match="No such layer"):
        run.select(layers=["z"])


def test_to_pandas() -> None:
    frame = recorded().to_pandas()
    assert list(frame.columns) == ["step", "of", "row", "statistic", "value"]
    picked = frame.query("of == 'variable' and row == 'a/bias' and statistic == 'gradient_norm'")
    assert np.array_equal(picked["value"], recorded().variable("gradient_norm")["a/bias"])


def test_report() -> None:
    run = recorded()
    report = repr(run)
    assert max(map(len, report.splitlines())) <= text.WIDTH
    assert "6 samples, steps 0 to 5" in report and "not examined: d: because" in report
    assert [line.split()[0] for line in report.splitlines() if line.startswith(" ") and "─" not in line][:2] == [
        "layer",
        "a",
    ]
    assert "<script>" in report, "a layer's name is data"
    assert "\x1b" not in report, "plain text"


def test_report_shortens_what_all_layers_share() -> None:
    assert text.short(("net/a/x", "net/b", "net/c/y")) == ["a/x", "b", "c/y"]
    assert text.short(("a", "b")) == ["a", "b"]
    assert text.short(("net/a",)) == ["a"]
    assert text.short(()) == []


def test_bars_lose_a_block_for_each_factor_of_ten() -> None:
    values = np.array([1.0, 0.1, 1e-3, 1e-20, 0.0, np.nan])
    assert [len(text.bar(v, values)) for v in values] == [10, 9, 7, 0, 0, 0]
    assert text.bar(np.inf, values) == "!" * 10


def test_numbers() -> None:
    assert [text.number(v) for v in (0.0, 1.23456, 1e-9, 123456.0, float("nan"))] == ["0", "1.23", "1.0e-09", "1.2e+05", "-"]


def test_side_by_side() -> None:
    table = beside.side_by_side({"one": recorded(), "other": recorded()})
    assert table.count("█") and max(map(len, table.splitlines())) <= text.WIDTH
    assert "a layer leaves" in table


def test_unknown_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Received: log_dir="):
        Run.load(tmp_path / "nothing")
