"""The event file: read back to the bit, after a kill as well, and by a real TensorBoard."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event

from kerasgrad import catalogue, events
from kerasgrad.events import records
from kerasgrad.events.writer import Writer
from kerasgrad.run import Run, Sample, Schema, Units

SCHEMA = Schema(
    layers=("a", "b <script>", "c"),
    variables=("a/kernel", "a/bias", "c/kernel"),
    owners=(0, 0, 2),
    sizes=(6, 2, 4),
    activations=("relu", "linear", "tanh"),
    units={"a": 2},
    recurrent=("b <script>",),
)


def sample(step: int, seed: int = 0) -> Sample:
    random = np.random.default_rng(step + seed)

    def rows(of: Any) -> dict[str, Any]:
        return {name: np.abs(random.normal(size=3)).astype(np.float32) for name in catalogue.names(of)}

    overall = {name: float(np.float32(random.normal())) for name in catalogue.names("overall")}
    over_time = {"b <script>": random.normal(size=4 + step % 3).astype(np.float32)}
    return Sample(step, 1e9 + step, rows("layer"), rows("variable"), overall, over_time)


def written(folder: Path, steps: range, schema: Schema = SCHEMA) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    run, writer = Run(schema), Writer(folder, schema)
    for step in steps:
        run.append(sample(step))
        writer.samples(sample(step).as_batch())
    writer.units(steps[-1], {"a": Units(np.array([2**40, -1]), np.array([1, 0]), 5)})
    writer.facts(steps[-1], {"model": "mine", "batches": 7})
    writer.close()
    return run


def equal(one: Run, other: Run) -> bool:
    return (
        one.schema == other.schema
        and np.array_equal(one.steps, other.steps)
        and np.array_equal(one.wall_time, other.wall_time)
        and all(
            np.array_equal(one.table(s.name, s.of), other.table(s.name, s.of), equal_nan=True) for s in catalogue.STATISTICS
        )
        and np.array_equal(one.signal_over_time("b <script>"), other.signal_over_time("b <script>"), equal_nan=True)
    )


def test_round_trip(tmp_path: Path) -> None:
    run = written(tmp_path / "gradients", range(5))
    loaded = Run.load(tmp_path)
    assert equal(run, loaded)
    assert loaded.units["a"].last_fired.tolist() == [2**40, -1] and loaded.units["a"].samples == 5
    assert loaded.facts["model"] == "mine"


def test_several_sessions_are_one_run(tmp_path: Path) -> None:
    written(tmp_path / "gradients", range(3))
    written(tmp_path / "gradients", range(3, 6))
    assert Run.load(tmp_path).steps.tolist() == list(range(6))


def test_cut_anywhere_it_gives_all_complete_samples(tmp_path: Path) -> None:
    written(tmp_path / "gradients", range(4))
    file = next((tmp_path / "gradients").iterdir())
    whole = file.read_bytes()
    lengths = set()
    for cut in range(len(whole) - 1, 2500, -97):
        file.write_bytes(whole[:cut])
        lengths.add(len(Run.load(tmp_path)))
    assert lengths >= {1, 2, 3, 4}


def test_damage_is_said(tmp_path: Path) -> None:
    written(tmp_path / "gradients", range(4))
    file = next((tmp_path / "gradients").iterdir())
    content = bytearray(file.read_bytes())
    content[-3000] ^= 0xFF
    file.write_bytes(bytes(content))
    run = Run.load(tmp_path)
    assert len(run) < 4 and "is damaged" in run.facts["damaged"][0] and "damaged:" in repr(run)


def test_an_unknown_version_and_an_empty_file_have_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerasgrad.events.format.VERSION", 99)
    written(tmp_path / "new" / "gradients", range(1))
    with pytest.raises(ValueError, match=r"format 99.*pip install --upgrade"):
        Run.load(tmp_path / "new")
    (tmp_path / "empty" / "gradients").mkdir(parents=True)
    (tmp_path / "empty" / "gradients" / "events.out.tfevents.1.x").write_bytes(b"")
    with pytest.raises(ValueError, match="hold no rows"):
        Run.load(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="There are runs in"):
        Run.load(tmp_path)


def test_a_run_that_was_written_before_a_statistic_was_known_has_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *older, newest = catalogue.names("overall")
    with monkeypatch.context() as before:
        before.setattr(Schema, "names", lambda self, of: tuple(older) if of == "overall" else catalogue.names(of))
        expected = written(tmp_path / "gradients", range(3))
    run = Run.load(tmp_path)
    assert np.isnan(run.overall(newest)).all()
    assert all(np.array_equal(run.overall(name), expected.overall(name), equal_nan=True) for name in older)


def test_the_vector_of_the_whole_model_is_read_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as once:
        once.setattr(Schema, "names", lambda self, of: catalogue.names(of)[:: -1 if of == "overall" else 1])
        expected = written(tmp_path / "gradients", range(3))
    assert equal(Run.load(tmp_path), expected)


def test_size_on_disk(tmp_path: Path) -> None:
    """What a sample takes is little more than its numbers."""
    layers = tuple(f"block{i}/conv" for i in range(100))
    schema = Schema(layers, (), (), (), ("relu",) * 100, {})
    folder = tmp_path / "gradients"
    folder.mkdir()
    writer = Writer(folder, schema)
    file = next(folder.iterdir())
    statistics = catalogue.names("layer")

    def add(step: int) -> int:
        rows = {name: np.ones(100, np.float32) for name in statistics}
        writer.samples(Sample(step, 1e9, rows, {}, dict.fromkeys(catalogue.names("overall"), 1.0)).as_batch())
        writer.flush()
        return file.stat().st_size

    add(0)
    assert (add(2) - add(1)) <= 1.2 * 4 * 100 * len(statistics)
    writer.close()


def test_metadata_only_once(tmp_path: Path) -> None:
    written(tmp_path / "gradients", range(3))
    described: dict[str, int] = {}
    with next((tmp_path / "gradients").iterdir()).open("rb") as file:
        for payload in records.read(file, pytest.fail):
            for value in Event.FromString(payload).summary.value:
                if value.metadata.plugin_data.plugin_name:
                    described[value.tag] = described.get(value.tag, 0) + 1
    assert set(described.values()) == {1}


KILLED = """
import numpy as np, keras, kerasgrad, sys
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)])
model.compile("sgd", "mse")
print("ready", flush=True)
model.fit(np.ones((64, 4), "float32"), np.ones((64, 1), "float32"), batch_size=1, epochs=10**6, verbose=0,
          callbacks=[kerasgrad.GradientMonitor(sys.argv[1], update_freq=1)])
"""


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """kill -9: all samples up to the last flush load back."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            folder = tmp_path / "gradients"
            if folder.exists() and sum(p.stat().st_size for p in folder.iterdir()) > 200_000:
                break
            time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    run = Run.load(tmp_path)
    assert len(run) > 50 and run.steps.tolist() == list(range(len(run)))
    assert np.isfinite(run.overall("loss")).all()
    assert events.newest(tmp_path) == tmp_path / "gradients"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture(params=["default", "--load_fast=false"])
def tensorboard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    written(tmp_path / "mine" / "gradients", range(20))
    port = _free_port()
    command = [os.path.join(os.path.dirname(sys.executable), "tensorboard"), "--logdir", str(tmp_path), "--port", str(port)]
    loader = [] if request.param == "default" else [request.param]
    process = subprocess.Popen([*command, *loader], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def test_a_real_tensorboard_shows_the_scalars(tensorboard: str) -> None:
    """Plain TensorBoard, without our tab, in both loaders."""
    deadline, tags = time.monotonic() + 60, {}
    while time.monotonic() < deadline:
        try:
            tags = _ask(f"{tensorboard}/data/plugin/scalars/tags")
            if tags:
                break
        except OSError:
            pass
        time.sleep(0.5)
    run = "mine/gradients"
    assert {"health/loss", "health/gradient_norm", "health/depth_ratio", "health/dead_fraction"} <= set(tags[run])
    points = _ask(f"{tensorboard}/data/plugin/scalars/scalars?run=mine%2Fgradients&tag=health%2Floss")
    assert [step for _, step, _ in points] == list(range(20))
    assert points[3][2] == pytest.approx(sample(3).overall["loss"], rel=1e-6)
