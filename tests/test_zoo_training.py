"""Real trainings: a killed one goes on as if nothing had been, a pause holds it up, schedules are what they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from interrupted import MADE

import kerasgrad
import zoo
from zoo.__main__ import main
from zoo.training import batches, checkpoint, command, line, rates, record, session
from zoo.training.recipe import LOWER, Augmentation, Target, Training
from zoo.training.trainings import TRAININGS, training, training_names

HERE = Path(__file__).parent


def _train(folder: Path, name: str, *kill: int) -> int:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    script = [sys.executable, str(HERE / "interrupted.py"), str(folder), name, *map(str, kill)]
    return subprocess.run(script, env=environment, stdout=subprocess.DEVNULL).returncode


def _state(home: Path) -> dict[str, Any]:
    with np.load(home / checkpoint.FILE) as kept:
        return {name: kept[name] for name in kept.files}


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_a_killed_training_goes_on_to_the_bit(name: str, tmp_path: Path) -> None:
    whole, broken = (tmp_path / how / name / "seed0" for how in ("whole", "broken"))
    assert _train(tmp_path / "whole", name) == 0
    assert _train(tmp_path / "broken", name, 1, 4) == -signal.SIGKILL
    assert len(json.loads(str(_state(broken)["progress"]))["history"]) == 1
    assert _train(tmp_path / "broken", name, 2, 7) == -signal.SIGKILL
    assert _train(tmp_path / "broken", name) == 0
    one, other = _state(whole), _state(broken)
    assert one.keys() == other.keys() and len(one) > 15
    first, second = (json.loads(str(of.pop("progress"))) for of in (one, other))
    assert first["history"] == second["history"] and len(first["history"]) == MADE[name].epochs
    assert (first["sessions"], second["sessions"]) == ([0], [0, 1, 2])
    assert not [key for key in one if not np.array_equal(one[key], other[key])]
    assert [key for key, value in one.items() if value.shape == (2,) and value.dtype.kind in "iu"], "seeds of random layers"
    assert all(len(kerasgrad.Run.load(broken / "runs" / f"from00{epoch}")) for epoch in range(3))
    known = json.loads((broken / record.RECORD).read_text())
    assert len(known["curves"]["val_loss"]) == MADE[name].epochs and known["processor_seconds"] > 0


def test_a_state_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    checkpoint.write(path, {"a": np.ones(3)})
    with pytest.raises(RuntimeError), checkpoint.replaced(path) as file:
        file.write(b"half")
        raise RuntimeError
    with np.load(path) as kept:
        assert np.array_equal(kept["a"], np.ones(3))


def test_a_state_of_another_model_or_recipe_is_refused(tmp_path: Path) -> None:
    one, other = (session.compiled(_small(width=width), 3, 0) for width in (4, 5))
    checkpoint.save(tmp_path / checkpoint.FILE, one, {"recipe": {}, "history": []})
    with pytest.raises(ValueError, match=r"another model or optimizer.*Received: .*checkpoint.npz"):
        checkpoint.load(tmp_path / checkpoint.FILE, other)
    checkpoint.save(tmp_path / checkpoint.FILE, one, {"recipe": session.as_json(_small(width=4).to_dict()), "history": []})
    with pytest.raises(ValueError, match=r"changed since the checkpoint: batch, epochs\."):
        session.begun(tmp_path, _small(width=4, batch=16, epochs=7), one)


def _small(**more: Any) -> Training:
    width = more.pop("width", 4)
    adam = {"class_name": "Adam", "config": {"learning_rate": 1e-2}}
    return Training(
        "plain.relu", "digits", {"depth": 3, "width": width}, optimizer=adam, **{"batch": 64, "epochs": 2} | more
    )


@pytest.mark.parametrize("where", [".", "small/seed0"])
def test_a_pause_holds_it_up(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark, said = tmp_path / where / session.PAUSE, []
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    monkeypatch.setattr(session.time, "sleep", lambda seconds: mark.unlink())
    session.train("small", _small(epochs=1), tmp_path, watched=False, says=said.append)
    assert [text.strip() for text in said[:2]] == ["paused: PAUSE is there", "goes on"] and "epoch 1" in said[-1]


def test_order_and_augmentation_follow_from_seed_and_epoch() -> None:
    x = np.arange(20 * 6 * 6, dtype="float32").reshape(20, 6, 6, 1)
    made = _small(batch=8, augmentation=Augmentation(crop=2, flip=True))

    def of(seed: int, first: int, count: int) -> list[Any]:
        return [a.numpy() for a, _ in batches.dataset(made, x, np.arange(20), seed=seed, first=first).take(count)]

    whole, later = of(0, 0, 6), of(0, 1, 4)
    assert np.array_equal(whole[2:], later) and not np.array_equal(whole[:2], whole[2:4])
    assert not np.array_equal(of(1, 0, 2), whole[:2])
    rows = [y.numpy() for _, y in batches.dataset(made, x, np.arange(20), seed=0).take(2)]
    assert len(set(np.concatenate(rows))) == 16, "no example twice in an epoch"


def test_an_epoch_can_be_longer_or_shorter_than_a_pass() -> None:
    x = np.arange(10, dtype="float32")[:, None]
    made = _small(batch=4, epoch_steps=5)
    seen = [a.numpy()[:, 0] for a in batches.dataset(made, x, None, seed=0).take(5)]
    assert len(set(np.concatenate(seen[:2]))) == 8 and batches.epoch_steps(made, 10) == 5
    with pytest.raises(ValueError, match=r"Received: batch=64, examples=10"):
        batches.epoch_steps(_small(), 10)


def test_augmentation_cuts_and_mirrors_each_image_for_itself() -> None:
    image = np.arange(1, 17, dtype="float32").reshape(1, 4, 4, 1)
    images, rng = np.repeat(image, 400, 0), np.random.default_rng(0)
    assert np.array_equal(batches.augmented(images, Augmentation(), rng), images)
    flipped = batches.augmented(images, Augmentation(flip=True), rng)
    mirrored = (flipped == images[:, :, ::-1]).all((1, 2, 3))
    assert 0.4 < mirrored.mean() < 0.6 and (mirrored | (flipped == images).all((1, 2, 3))).all()
    cut = batches.augmented(images, Augmentation(crop=1), rng)
    around = np.pad(image[0, :, :, 0], 1)
    windows = {around[i : i + 4, j : j + 4].tobytes() for i in range(3) for j in range(3)}
    assert {one[:, :, 0].tobytes() for one in cut} == windows


@pytest.mark.parametrize(
    ("schedule", "warm_up", "expected"),
    [
        ("constant", 0, [1, 1, 1, 1]),
        ("warm_up", 20, [0, 1, 1, 1]),
        ("cosine", 0, [1, 0.9045, 0.5, 0]),
        ("cosine_to_tenth", 0, [1, 0.9141, 0.55, 0.1]),
        ("one_cycle", 0, [0.04, 0.68, 0.8117, 0]),
        ("one_cycle", 0.2, [0.04, 1, 0.691, 0]),
    ],
)
def test_schedules(schedule: str, warm_up: float, expected: list[float]) -> None:
    optimizer = rates.optimizer(_small(schedule=schedule, warm_up=warm_up), 100)
    rate = optimizer._learning_rate
    found = [float(rate(step)) if callable(rate) else float(optimizer.learning_rate) for step in (0, 20, 50, 100)]
    assert np.allclose(np.array(found) / 1e-2, expected, atol=1e-3)
    assert keras.optimizers.deserialize(keras.optimizers.serialize(optimizer)) is not None


def test_a_schedule_that_is_not_there_is_named() -> None:
    with pytest.raises(KeyError, match=r"one_cycle.*Received: schedule='triangle'"):
        rates.optimizer(_small(schedule="triangle"), 10)


def test_weight_decay_leaves_biases_and_norms_alone() -> None:
    model = session.compiled(training("resnet.cifar10"), 10, 0)
    decayed = {v.path.rpartition("/")[2] for v in model.trainable_variables if model.optimizer._use_weight_decay(v)}
    assert decayed == {"kernel"}


@pytest.mark.parametrize("name", TRAININGS)
def test_trainings_name_what_there_is(name: str) -> None:
    made = training(name)
    assert made.model in zoo.names() and made.task in zoo.tasks.__all__ and made.schedule in rates.SCHEDULES and made.note
    assert json.loads(json.dumps(made.to_dict()))["batch"] == made.batch
    with pytest.raises(KeyError, match=rf"{name}.*Received: name='{name}x'"):
        training(f"{name}x")


def test_targets_have_two_sides() -> None:
    assert Target(0.9, "").is_met(0.9) and not Target(0.9, "").is_met(0.89)
    assert Target(0.1, "", LOWER).is_met(0.1) and not Target(0.1, "", LOWER).is_met(0.11)


def test_a_queue_goes_on_to_the_next_one_when_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"bad": _small(), "good": _small(epochs=1, seeds=(0, 1))}
    monkeypatch.setattr(line, "training", known.__getitem__)
    said: list[str] = []

    def run(name: str, seed: int) -> bool:
        if name == "good":
            record.write(
                tmp_path / name / f"seed{seed}", session.train(name, known[name], tmp_path, seed=seed, watched=False)
            )
        return name == "good"

    assert line.work(["bad", "good"], tmp_path, run=run, says=said.append) == ["bad, seed 0"] and said == [
        "bad, seed 0 failed"
    ]
    assert [seed for seed, _ in record.finished(tmp_path, "good", known["good"])] == [0, 1]
    first = json.loads((tmp_path / "good" / "seed0" / record.RECORD).read_text())
    assert record.score(first) == first["curves"]["val_accuracy"][-1] and "history" not in first
    assert line.jobs(["bad", "good"], tmp_path) == [("bad", 0)] and not (tmp_path / line.LOCK).exists()


def test_several_are_trained_each_in_its_own_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(command.subprocess, "run", lambda words: ran.append(words) or subprocess.CompletedProcess(words, 1))
    with pytest.raises(SystemExit, match=r"plain\.relu\.mnist, seed 2; plain\.sigmoid\.mnist, seed 0"):
        main(["train", "plain.*.mnist", "--folder", str(tmp_path), "--threads", "1"])
    assert ran[0][1:] == [
        "-m",
        "zoo",
        "train",
        "plain.relu.mnist",
        "--seed",
        "0",
        "--folder",
        str(tmp_path),
        "--threads",
        "1",
    ]
    with pytest.raises(SystemExit, match=r"plain\.relu\.mnist.*Received: name='plain\.rellu'"):
        main(["train", "plain.rellu"])


def test_two_queues_do_not_work_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / line.LOCK).write_text("1")
    monkeypatch.setattr(line, "_is_queue", lambda pid: pid == 1)
    with pytest.raises(ValueError, match=r"Another queue.*process 1"):
        line.work([], tmp_path, run=lambda name, seed: True, says=print)


def test_where_the_state_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(checkpoint.FOLDER, str(tmp_path))
    assert command.where(None) == tmp_path and command.where("~/x") == Path.home() / "x"
    monkeypatch.delenv(checkpoint.FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert command.where(None) == tmp_path / "kerasgrad" / "trainings"
    assert "0 of 3 seeds done" in command.listed(tmp_path) and len(training_names("resnet.*")) == 4


def test_data_is_known_by_its_checksum() -> None:
    data = zoo.tasks.digits()
    (x, y), test = data
    same = batches.checksum(zoo.tasks.digits())
    assert batches.checksum(data) == same != batches.checksum(((x + 1e-3, y), test)) and len(same) == 64
