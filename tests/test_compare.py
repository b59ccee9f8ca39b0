"""`kerasgrad.compare`: which layers stand beside each other, where two runs part, and what cannot be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import board
import numpy as np
import pytest
import runs

import kerasgrad
import zoo
from kerasgrad import catalogue, cli
from kerasgrad.run import Run, Sample, Schema
from kerasgrad.views import text
from kerasgrad.views.comparison import FROM_INPUT, FROM_OUTPUT


def level(layers: int = runs.LAYERS, samples: int = 8) -> runs.Changes:
    """Tables with the same numbers in all layers."""
    tables = runs.healthy(samples, layers)
    for statistic, value in (("signal_rms", 2e-2), ("gradient_norm", 0.3), ("update_ratio", 1e-3), ("activation_std", 0.8)):
        tables["layer", statistic] = np.full((samples, layers), value)
    return tables


def changed(statistic: str, factors: Any, layers: int = runs.LAYERS) -> Run:
    """A run that differs from a level one in one statistic of the layers."""
    tables = level(layers)
    tables["layer", statistic] = tables["layer", statistic] * np.array(factors, float)
    return runs.made(tables, {"model": "mine"})


def parted(mine: Run, other: Run) -> dict[str, str]:
    return {parting.statistic: parting.layer for parting in kerasgrad.compare(mine, other).partings}


def test_runs_that_differ_by_noise_alone_are_alike() -> None:
    comparison = kerasgrad.compare(runs.made(runs.healthy()), runs.made(level()))
    assert not comparison.partings
    assert {"signal_rms", "gradient_norm", "update_ratio", "activation_std"} <= set(comparison.profiles)
    assert "Alike at every depth: signal_rms, gradient_norm" in repr(comparison)


def test_what_comes_from_the_output_parts_where_it_is_lost_first() -> None:
    fading = [1e-5, 1e-4, 1e-3, 0.05, 0.5, 1.0]
    comparison = kerasgrad.compare(changed("signal_rms", fading), runs.made(level(), {"model": "well"}))
    (parting,) = comparison.partings
    assert (parting.statistic, parting.layer, parting.nearest) == ("signal_rms", "layer3", "layer3")
    assert parting.depth == pytest.approx(3 / 5)
    assert (parting.mine, parting.other) == (pytest.approx(1e-3), pytest.approx(2e-2))
    assert "They part in signal_rms at layer3, 60 % of the way from the input: 0.001 against 0.02;" in repr(comparison)
    assert "at the input 2.0e-07 against 0.02; at the output 0.02 against 0.02." in " ".join(repr(comparison).split())


def test_what_comes_from_the_input_parts_where_it_is_lost_first() -> None:
    shrinking = [1.0, 0.5, 0.05, 1e-3, 1e-4, 1e-5]
    assert parted(changed("activation_std", shrinking), runs.made(level())) == {"activation_std": "layer2"}


def test_the_scale_of_a_whole_run_is_no_difference() -> None:
    """A net that has converged has small signals everywhere."""
    assert not parted(changed("signal_rms", [1e-6] * 6), runs.made(level()))
    assert parted(changed("signal_rms", [1e-9, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6]), runs.made(level())) == {
        "signal_rms": "layer0"
    }


def test_one_odd_layer_is_no_parting() -> None:
    assert not parted(changed("signal_rms", [1, 1, 1, 1e-3, 1, 1]), runs.made(level()))


def test_dead_units_part_by_their_share() -> None:
    tables = level()
    tables["layer", "dead_fraction"] = np.tile([0, 0.4, 0.6, 0.9, 0.9, np.nan], (8, 1))
    comparison = kerasgrad.compare(runs.made(tables), runs.made(level()))
    (parting,) = comparison.partings
    assert (parting.statistic, parting.layer, parting.other) == ("dead_fraction", "layer2", 0.0)
    assert parting.depth == pytest.approx(2 / 4), "of the layers that have units"


def test_what_is_zero_or_no_number_parts() -> None:
    tables = level()
    tables["layer", "signal_rms"][-1, :3] = np.nan
    tables["layer", "gradient_nonfinite"][-1, :3] = 7
    broken, well = runs.made(tables), runs.made(level())
    (parting,) = kerasgrad.compare(broken, well).partings
    assert (parting.layer, parting.mine) == ("layer2", np.inf)
    assert parted(changed("signal_rms", [0] * 6), well) == {"signal_rms": "layer5"}
    assert not parted(changed("signal_rms", [0] * 6), changed("signal_rms", [0] * 6))
    assert not parted(broken, runs.made(tables))


@pytest.mark.parametrize(("count", "among", "expected"), [(3, 6, [0, 2, 5]), (6, 3, [0, 0, 1, 1, 2, 2]), (4, 4, range(4))])
def test_layers_are_aligned_by_relative_depth(count: int, among: int, expected: Any) -> None:
    comparison = kerasgrad.compare(runs.made(level(count)), runs.made(level(among)))
    profile = comparison.profiles["signal_rms"]
    assert profile.layers == tuple(f"layer{i}" for i in range(count))
    # 3 against 6: the middle one is at 2.5, and halves go to the even place; 6 against 3: at 0.4, 0.8, 1.2, 1.6.
    assert profile.nearest == tuple(f"layer{i}" for i in expected)


def test_normalisations_do_not_shift_the_layers() -> None:
    """A net and the same net with a normalisation after each layer."""
    run, layers = zoo.baseline("plain.residual"), zoo.baseline("plain.relu").layers
    assert len(run.layers) > len(layers)
    for statistic in ("signal_rms", "update_ratio"):
        profile = kerasgrad.compare("zoo/recorded/plain.residual", zoo.baseline("plain.relu")).profiles[statistic]
        assert profile.layers == profile.nearest == layers
        assert np.allclose(profile.mine, [run.layer(statistic)[path][-1] for path in layers])


def test_the_other_is_looked_at_when_it_had_come_as_far() -> None:
    early, late = level(samples=4), level(samples=8)
    late["layer", "signal_rms"][4:, :4] = 1e-9
    mine, other = runs.made(early), runs.made(late)
    assert kerasgrad.compare(mine, other).steps == (3, 3) and not parted(mine, other)
    assert kerasgrad.compare(other, mine).steps == (7, 3) and parted(other, mine) == {"signal_rms": "layer3"}
    assert kerasgrad.compare(other, mine, step=2).steps == (2, 2)
    assert len(other) == 8, "the run that was given is left alone"


def test_two_parts_of_one_run_can_be_compared() -> None:
    run = runs.made(level(), {"directory": "logs/mine/gradients"})
    comparison = kerasgrad.compare(run.select(steps=slice(4, None)), run.select(steps=slice(0, 4)))
    assert list(comparison.runs) == ["mine", "other"] and comparison.steps == (7, 3)


def test_a_run_by_itself_and_its_directory_give_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in enumerate(("one", "two")):
        board.write(tmp_path / name / "gradients", range(8), seed=seed)
    paths = [str(tmp_path / name) for name in ("one", "two")]
    comparison = kerasgrad.compare(*paths)
    assert list(comparison.runs) == ["one", "two"]
    assert repr(kerasgrad.compare(*map(Run.load, paths))) == repr(comparison)
    assert cli.main(["compare", *paths]) == 0
    assert capsys.readouterr().out == repr(comparison) + "\n"
    assert cli.main(["compare", *paths, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == comparison.to_dict()


def test_the_report_and_the_dict_hold_the_same() -> None:
    mine = zoo.baseline("plain.relu_negative_bias")
    comparison = kerasgrad.compare(mine, zoo.baseline("plain.relu"))
    report, plain = repr(comparison), json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert max(map(len, report.splitlines())) <= text.WIDTH and "\x1b" not in report
    assert report.startswith("plain.relu_negative_bias at step ") and plain["other"]["name"] == "plain.relu"
    assert set(plain["profiles"]) | set(plain["not_compared"]) == {*FROM_OUTPUT, *FROM_INPUT}
    for parting in plain["partings"]:
        assert f"They part in {parting['statistic']} at {parting['layer']}, " in report
        profile = plain["profiles"][parting["statistic"]]
        assert profile["mine"][profile["layers"].index(parting["layer"])] == parting["mine"]
    for name, reason in plain["not_compared"].items():
        assert f"Not compared: {name}: {reason}." in report
    assert plain["mine"]["loss"] == float(mine.overall("loss")[-1])


def test_the_pairs_of_the_zoo_part_where_they_should() -> None:
    """The signal of sigmoids is lost from the output on; with a negative bias units are dead from the input on."""
    assert parted(zoo.baseline("plain.sigmoid"), zoo.baseline("plain.relu"))["signal_rms"] in ("hidden16", "hidden17")
    assert parted(zoo.baseline("plain.relu_negative_bias"), zoo.baseline("plain.relu"))["dead_fraction"] == "hidden03"
    assert not parted(zoo.baseline("plain.elu"), zoo.baseline("plain.relu"))


def without_numbers(schema: Schema, samples: int = 1) -> Run:
    run = Run(schema, {"model": "bare"})
    for step in range(samples):
        run.append(Sample(step, 0.0, {}, {}, dict.fromkeys(catalogue.names("overall"), 1.0)))
    return run


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    run = runs.made(level())
    for wrong in (None, {"loss": [1.0]}, 3):
        with pytest.raises(TypeError, match=r"monitor\.run.*Received: other=.* of type"):
            kerasgrad.compare(run, wrong)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match="Received: log_dir="):
        kerasgrad.compare(run, tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"takes two runs\. Received: 'made' twice"):
        kerasgrad.compare(run, run)
    with pytest.raises(ValueError, match=r"has no layers.*Received: 'bare'"):
        kerasgrad.compare(run, without_numbers(Schema((), (), (), (), (), {})))
    with pytest.raises(ValueError, match=r"has no sample yet.*Received: 'bare'"):
        kerasgrad.compare(run, without_numbers(run.schema, 0))
    with pytest.raises(ValueError, match=r"no statistic in common.*Received: signal_rms: bare has none"):
        kerasgrad.compare(run, without_numbers(run.schema))
    with pytest.raises(ValueError, match=r"no sample so early; its first is of step 0\. Received: step=-1"):
        kerasgrad.compare(run, runs.made(level()), step=-1)
