"""`Run` by itself: select, pandas, what its report looks like."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from test_events import SCHEMA, equal, sample

from kerasgrad.events import Writer
from kerasgrad.run import Batch, Run, Sample
from kerasgrad.views import side_by_side, text


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


OWN = tuple(
    {"name": f"skew_{of}", "of": of, "unit": "1", "formula": "E x^3", "scale": "linear", "group": "mine"}
    for of in ("layer", "variable", "overall")
)


def own_sample(step: int) -> Sample:
    """A sample with a statistic of one's own, of each kind."""
    made = sample(step)
    made.layer["skew_layer"] = np.array([1, step, np.nan], np.float32)
    made.variable["skew_variable"] = np.array([2, step, 0], np.float32)
    made.overall["skew_overall"] = float(step)
    return made


def test_statistics_of_ones_own_are_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "gradients").mkdir()
    schema = dataclasses.replace(SCHEMA, statistics=OWN)
    run, writer = Run(schema), Writer(tmp_path / "gradients", schema)
    for step in range(4):
        run.append(own_sample(step))
        writer.samples(own_sample(step).as_batch())
    writer.close()
    for each in (run, Run.load(tmp_path), run.select(steps=slice(0, 9))):
        assert each.schema == schema
        assert each.layer("skew_layer")["b <script>"].tolist() == [0, 1, 2, 3]
        assert each.variable("skew_variable")["a/bias"].tolist() == [0, 1, 2, 3]
        assert each.overall("skew_overall").tolist() == [0, 1, 2, 3]
        assert each.to_pandas().query("statistic == 'skew_overall'")["value"].tolist() == [0, 1, 2, 3]
    with pytest.raises(KeyError, match=r"skew_layer.*Received: name='skew'"):
        run.layer("skew")
    with pytest.raises(KeyError, match="No statistic"):
        recorded().layer("skew_layer")


def stacked(samples: list[Sample]) -> Batch:
    """The same samples as one batch."""
    return Batch(
        np.array([one.step for one in samples]),
        np.array([one.wall_time for one in samples]),
        {name: np.stack([one.layer[name] for one in samples]) for name in samples[0].layer},
        {name: np.stack([one.variable[name] for one in samples]) for name in samples[0].variable},
        {name: np.array([one.overall[name] for one in samples], np.float32) for name in samples[0].overall},
        {path: [one.over_time[path] for one in samples] for path in samples[0].over_time},
    )


@pytest.mark.parametrize("memory", [10**9, 20_000])
def test_many_at_once_are_what_they_are_one_by_one(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thinned as well: the same samples stay."""
    monkeypatch.setattr("kerasgrad.run.MEMORY_BYTES", memory)
    samples, one_by_one, at_once = [sample(step) for step in range(100)], Run(SCHEMA), Run(SCHEMA)
    for each in samples:
        one_by_one.append(each)
    for first, last in ((0, 1), (1, 64), (64, 64), (64, 67), (67, 100)):
        if last > first:
            at_once.extend(stacked(samples[first:last]))
    assert equal(one_by_one, at_once) and at_once.kept_every == one_by_one.kept_every
    assert (len(at_once) < 100) == (memory < 10**9)


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
    table = side_by_side.side_by_side({"one": recorded(), "other": recorded()})
    assert table.count("█") and max(map(len, table.splitlines())) <= text.WIDTH
    assert "a layer leaves" in table


def test_unknown_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Received: log_dir="):
        Run.load(tmp_path / "nothing")
