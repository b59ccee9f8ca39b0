"""Finished trainings: what is kept is whole and small, each pair shows its claim, and a loaded model gives its score."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import zoo
from zoo.__main__ import main
from zoo.table import BEGIN_TRAININGS, END_TRAININGS, README
from zoo.tasks import downloads
from zoo.training import kept, record, summary
from zoo.training.trainings import TRAININGS, training

KEPT = kept.kept_names()
ROOT = Path(__file__).parents[1]
WHEEL = 25_000_000
PAIRS = {
    ("plain.relu.mnist", "plain.sigmoid.mnist"): 0.5,
    ("unet.skips.shapes", "unet.no_skips.shapes"): 0.01,
    ("resnet.cifar10", "resnet.no_shortcut.cifar10"): 0.01,
    ("gru.mnist_sequence", "simple_rnn.mnist_sequence"): 0.05,
    ("plain.layer_norm.small_batch", "plain.batch_norm.small_batch"): 0.3,
    ("policy.relu.bandit", "policy.sigmoid.bandit"): 0.2,
    ("gan.non_saturating.gaussians", "gan.saturating.gaussians"): 0.1,
}
"""The better one, the worse, and by how much at least, beyond the spread of seeds."""


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_is_whole(name: str) -> None:
    about, made = kept.known(name), training(name)
    assert about["name"] == name and (about["target"] is None) == (made.target is None)
    assert [seed["seed"] for seed in about["seeds"]] == list(made.seeds)[: len(about["seeds"])]
    for seed in about["seeds"]:
        assert seed["recipe"] == json.loads(json.dumps(made.to_dict())), "the recipe has changed since: train it anew"
        assert all(len(curve) == made.epochs for curve in seed["curves"].values()) and f"val_{made.score}" in seed["curves"]
        assert len(seed["data"]) == 64 and seed["processor_seconds"] > 0 and set(seed["versions"]) >= {"keras", "kerasgrad"}
    assert len({seed["data"] for seed in about["seeds"]}) == 1


def test_what_is_kept_is_small() -> None:
    sizes = [path.stat().st_size for folder in ("trained", "recorded") for path in (ROOT / "zoo" / folder).rglob("*.*")]
    assert len(KEPT) >= 4 and sum(sizes) < WHEEL


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_a_pair_shows_what_it_claims(pair: tuple[str, str]) -> None:
    if not set(pair) <= set(KEPT):
        pytest.skip(f"not trained yet: {', '.join(set(pair) - set(KEPT))}")
    (better, up), (worse, down) = (kept.mean_and_spread(kept.scores(name)) for name in pair)
    assert better - worse - (up or 0) - (down or 0) > PAIRS[pair]


def test_pairs_are_of_trainings_that_there_are() -> None:
    assert {name for pair in PAIRS for name in pair} <= set(TRAININGS)


_SCORE = """
import sys, zoo
from zoo.training.trainings import training
made = training(sys.argv[1])
x, y = zoo.tasks.load_task(made.task, **made.options)[1]
model = zoo.load(sys.argv[1])
found = model.evaluate(x, y, batch_size=made.batch, verbose=0, return_dict=True)
print(found[made.score])
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", KEPT)
def test_a_loaded_model_gives_its_score(name: str) -> None:
    """In a fresh process, on its own task's data, from weights in half precision."""
    made = training(name)
    folder = os.environ.get(downloads.FOLDER)
    drawn = made.task in ("shapes", "adding", "gaussians", "bandit", "digits")
    if not drawn and not folder:
        pytest.skip(f"not examined, because {downloads.FOLDER} names no folder with the data")
    done = subprocess.run([sys.executable, "-c", _SCORE, name], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[-1]) == pytest.approx(kept.scores(name)[0], abs=0.003)


def test_the_table_is_that_of_the_trainings() -> None:
    text = README.read_text()
    between = text.partition(BEGIN_TRAININGS)[2].partition(END_TRAININGS)[0]
    assert between.strip() == summary.table().strip()
    assert all(f"`{name}`" in between for name in TRAININGS)


def test_curves_are_drawn_the_same_each_time(tmp_path: Path) -> None:
    files = [summary.draw(tmp_path / name).read_bytes() for name in ("one.svg", "other.svg")]
    assert files[0] == files[1] and b"epoch" in files[0] and len(files[0]) < 400_000


def test_finished_seeds_are_taken_into_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "plain.relu.mnist"
    about, home = kept.known(name), tmp_path / "trainings" / name
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "zoo")
    with pytest.raises(FileNotFoundError, match=rf"there are none.*zoo train {name}.*Received: name='{name}'"):
        kept.known(name)
    assert kept.keep(name, tmp_path / "trainings") is None
    for seed in about["seeds"][:2]:
        (home / f"seed{seed['seed']}").mkdir(parents=True)
        (home / f"seed{seed['seed']}" / record.RECORD).write_text(json.dumps(seed | {"name": name}))
    shutil.copyfile(ROOT / "zoo" / "trained" / f"{name}.npz", home / "seed0" / record.WEIGHTS)
    main(["keep", "plain.*.mnist", "--folder", str(tmp_path / "trainings")])
    assert kept.kept_names() == [name] and kept.known(name)["seeds"] == about["seeds"][:2]
    assert zoo.load(name).count_params() == about["seeds"][0]["parameters"]


def test_mean_and_spread() -> None:
    assert kept.mean_and_spread([1.0]) == (1.0, None)
    mean, spread = kept.mean_and_spread([1.0, 2.0, 4.5])
    assert math.isclose(mean, 2.5) and spread == 1.75
