"""Recipes fit their tasks; baselines load, can be placed, hold what they say, and come out the same when recorded again."""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import board
import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.context import RequestContext

import kerasgrad
import zoo
from kerasgrad import catalogue
from kerasgrad.events import records
from kerasgrad.plugin.source import Source
from kerasgrad.run import Run
from zoo import tasks
from zoo.__main__ import main
from zoo.baselines import FACTS, FOLDER, LEARNT, WEIGHTS, baseline_names, facts, gain, is_healthy
from zoo.recipes import RECIPES, recipe, recipe_names
from zoo.recording import f1, record
from zoo.table import END, README, table
from zoo.untrained import NUMBERS, build, compile_for

EVENT_FILE = 300_000
WHEEL = 20_000_000
OF_THE_CLOCK = {"sample_seconds", "overhead"}
RECORDED = baseline_names()
IMAGES = {"cifar10": ((32, 32, 3), 10)}
"""Shape and classes of the data that may not be here."""


@functools.cache
def data(task: str, options: str) -> Any:
    return getattr(tasks, task)(**json.loads(options))


def numbers(run: kerasgrad.Run) -> dict[str, Any]:
    """All that a run holds, the clock apart."""
    return {
        f"{of}: {name}": run.table(name, of)
        for of in ("layer", "variable", "overall")
        for name in kerasgrad.catalogue.names(of)
        if name not in OF_THE_CLOCK
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_recipes_fit_their_tasks(name: str) -> None:
    made = recipe(name)
    model = compile_for(build(made), made)
    if made.task in IMAGES:
        assert (model.input_shape[1:], model.output_shape[-1]) == IMAGES[made.task]
        return
    if made.task == "shakespeare":
        assert model.input_shape == (None, 64) and model.output_shape == (None, 64, 65)
        return
    (x, y), _ = data(made.task, json.dumps(dict(made.options)))
    assert model.input_shape[1:] == x.shape[1:] and x.dtype == model.inputs[0].dtype
    if "vocabulary" in made.overrides:
        assert x.max() < made.overrides["vocabulary"]
    if made.task in NUMBERS:
        assert model.output_shape[1:] == y.shape[1:]
    else:
        assert model.output_shape[1:-1] == y.shape[1:] and y.max() < model.output_shape[-1]


def test_recipes_are_data_and_name_what_there_is() -> None:
    for made in RECIPES.values():
        assert made.model in zoo.names() and made.task in tasks.__all__
        keras.optimizers.get(dict(made.optimizer))
    again = json.loads(json.dumps({name: asdict(made) for name, made in RECIPES.items()}))
    assert len(again) == len(RECIPES)
    with pytest.raises(KeyError, match=r"plain\.relu.*Received: name='plain\.rellu'"):
        recipe("plain.rellu")


def test_there_are_thirty_baselines_and_a_dozen_with_weights() -> None:
    assert len(RECORDED) >= 30
    assert sum((FOLDER / name / WEIGHTS).is_file() for name in RECORDED) >= 12
    assert {"resnet.cifar", "resnet.no_shortcut"} <= set(RECORDED)


def test_baselines_are_small() -> None:
    sizes = {path: path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()}
    assert not {path: size for path, size in sizes.items() if "tfevents" in path.name and size > EVENT_FILE}
    assert sum(sizes.values()) < WHEEL


@pytest.mark.parametrize("name", RECORDED)
def test_a_baseline_holds_what_its_recipe_says(name: str) -> None:
    run, known = zoo.baseline(name), facts(name)
    assert known["recipe"] == json.loads(json.dumps(recipe(name).to_dict()))
    assert known["samples"] == len(run) >= 5 and run.steps[0] == 0 and run.steps[-1] < known["recipe"]["steps"]
    assert run.facts["batches"] == known["recipe"]["steps"] and not run.facts.get("notes")
    assert sum(run.schema.sizes) == known["parameters"]
    written = (FOLDER / name / "gradients" / "events.out.tfevents.baseline").read_bytes()
    assert f'"directory": "{name}/gradients"'.encode() in written  # nothing of the machine that it was recorded on
    assert known["timing"]["step"] > 0 and known["timing"]["prediction"] > 0
    assert (FOLDER / name / WEIGHTS).is_file() == recipe(name).weights


@pytest.mark.parametrize("name", RECORDED)
def test_the_rules_say_of_a_baseline_what_its_recipe_expects(name: str) -> None:
    """If a rule has learnt something, write down in the recipe what it says now."""
    found = kerasgrad.diagnose(zoo.baseline(name)).of(kerasgrad.rules.Severity.WARNING)
    assert sorted({finding.rule for finding in found}) == sorted(recipe(name).expected)


@pytest.mark.parametrize("name", RECORDED)
def test_tensorboard_knows_of_every_tag_what_it_is(name: str) -> None:
    """What is known of a tag stands at its first record, and that may be one that a later one replaced."""
    first: dict[str, Any] = {}
    with (FOLDER / name / "gradients" / "events.out.tfevents.baseline").open("rb") as file:
        for payload in records.read(file, pytest.fail):
            for value in Event.FromString(payload).summary.value:
                first.setdefault(value.tag, value)
    ours = {tag: value.metadata.plugin_data for tag, value in first.items() if tag.startswith("kerasgrad/")}
    assert {"kerasgrad/schema", "kerasgrad/facts", "kerasgrad/overall"} <= set(ours)
    assert {data.plugin_name for data in ours.values()} == {"kerasgrad"}
    # What is said of the whole model is a vector in the file: a name that is put among the others would shift them.
    rows = json.loads(ours["kerasgrad/overall"].content)["rows"]
    assert rows == list(catalogue.names("overall"))[: len(rows)]


def test_what_learnt_and_what_did_not_are_far_apart() -> None:
    gains = {name: gain(name) for name in RECORDED if not recipe(name).expected}
    assert min(gains.values()) >= 1.5 * LEARNT, "sick, and no rule warns"
    assert max(gain(name) for name in RECORDED if "plateau" in recipe(name).expected) < LEARNT
    assert is_healthy("plain.relu") and not is_healthy("plain.sigmoid") and not is_healthy("simple_rnn.adding")


def test_a_baseline_is_read_without_tensorflow() -> None:
    look = f"import sys, zoo; len(zoo.baseline({RECORDED[0]!r})); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], cwd=FOLDER.parents[1], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr


@pytest.mark.parametrize("name", ["plain.relu", pytest.param("lstm.adding", marks=pytest.mark.slow)])
def test_a_loaded_model_scores_as_it_was_recorded(name: str) -> None:
    made, held_out = recipe(name), facts(name)["held_out"]
    model = zoo.load(name)
    x_test, y_test = getattr(tasks, made.task)(seed=made.seed, **made.options)[1]
    result = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    if made.task in NUMBERS:
        assert result["loss"] == pytest.approx(held_out["squared_error"], rel=1e-3)
    else:
        assert result["accuracy"] == pytest.approx(held_out["accuracy"], abs=0.01)
    model.fit(x_test[:32], y_test[:32], verbose=0)  # it is compiled


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) for n in ("plain.tanh", "plain.batch_norm", "gru.adding")]
)
def test_recorded_again_with_the_same_seed_it_gives_the_same_numbers(name: str, tmp_path: Path) -> None:
    folders = [record(name, tmp_path / which, steps=12) for which in "ab"]
    runs = [kerasgrad.Run.load(folder) for folder in folders]
    first, second = map(numbers, runs)
    assert len(first["overall: loss"]) > 3
    assert not [key for key in first if not np.array_equal(first[key], second[key], equal_nan=True)]
    one, two = (json.loads((folder / FACTS).read_text()) for folder in folders)
    assert one.pop("timing").keys() == two.pop("timing").keys() and one == two
    # The kept one may come from another machine, which rounds otherwise; another seed or order of the data would show.
    kept = zoo.baseline(name)
    for statistic in ("signal_rms", "gradient_norm", "activation_std"):
        then, now = (run.table(statistic, "layer")[:2] for run in (kept, runs[0]))
        assert np.allclose(then, now, rtol=1e-2, equal_nan=True), statistic


def test_place_puts_it_beside_other_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = zoo.place("plain.relu", tmp_path)
    assert path == tmp_path / "zoo" / "plain.relu" and not list(tmp_path.rglob("*.h5"))
    main(["place", "plain.relu", str(tmp_path)])  # once more does no harm
    assert f"tensorboard --logdir {tmp_path}" in capsys.readouterr().out
    assert np.array_equal(kerasgrad.Run.load(path).steps, zoo.baseline("plain.relu").steps)


def test_a_placed_baseline_is_the_healthy_band_of_the_tab(tmp_path: Path) -> None:
    """Through TensorBoard's own reader: the tab takes the first run with the fact `baseline`, and asks for its table."""
    board.write(tmp_path / "mine" / "gradients", range(5))
    for name in ("plain.sigmoid", "plain.relu", "plain.relu"):
        zoo.place(name, tmp_path)
    reader = EventMultiplexer(tensor_size_guidance={"kerasgrad": 0})
    reader.AddRunsFromDirectory(str(tmp_path))
    reader.Reload()
    source = Source(MultiplexerDataProvider(reader, str(tmp_path)))
    listed = {run["name"]: run for run in source.runs(RequestContext(), "")}
    assert {run["reason"] for run in listed.values()} == {None} and "mine/gradients" in listed
    marked = {name: run["facts"]["baseline"] for name, run in listed.items() if "baseline" in run["facts"]}
    assert marked == {"zoo/plain.relu/gradients": "plain.relu"}, "a sick one is no healthy band"
    band = source.table(RequestContext(), "", "zoo/plain.relu/gradients", "signal_rms")
    assert np.array_equal(band.values, zoo.baseline("plain.relu").table("signal_rms", "layer"))
    assert (
        zoo.baseline("plain.relu").facts["baseline"]
        == "plain.relu"
        == Run.load(tmp_path / "zoo/plain.relu").facts["baseline"]
    )
    assert "baseline" not in zoo.baseline("plain.sigmoid").facts


def test_what_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=r"plain\.relu"):
        zoo.baseline("plain.rellu")
    with pytest.raises(SystemExit, match=r"plain\.relu"):
        main(["record", "plain.rellu"])
    light = next(name for name in RECORDED if not recipe(name).weights)
    with pytest.raises(FileNotFoundError, match=rf"python -m zoo record {light}.*plain\.relu"):
        zoo.load(light)
    monkeypatch.setattr("zoo.baselines.FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there are none.*python -m zoo record plain\.relu"):
        zoo.baseline("plain.relu")


def test_recipes_are_listed_with_those_recorded_marked(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "--recipes"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == recipe_names()
    assert [line.split()[0] for line in lines if line.split()[1] == "recorded"] == RECORDED


def test_the_table_is_that_of_the_baselines() -> None:
    text = README.read_text()
    assert table() in text and text.index(table()) < text.index(END)
    assert all(f"| `{name}` |" in text for name in RECORDED)


def test_f1_equals_that_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 5, 200), rng.integers(0, 6, 200)
    assert math.isclose(f1(predicted, true), f1_score(true, predicted, average="macro", zero_division=0))
