"""Directories that are not on a local disk: written through the file system that has them, or refused before training."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_events import SCHEMA, equal, sample

import kerasgrad
from kerasgrad import events
from kerasgrad.events import places, writer
from kerasgrad.events.writer import Writer
from kerasgrad.run import Run


class Bucket:
    """An object store: files alone, put there whole; folders are what their names say."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.broken = False

    def exists(self, address: str) -> bool:
        return address in self.files or self.is_dir(address)

    def is_dir(self, address: str) -> bool:
        return any(name.startswith(f"{address}/") for name in self.files)

    def names(self, address: str) -> list[str]:
        return sorted({n[len(address) + 1 :].partition("/")[0] for n in self.files if n.startswith(f"{address}/")})

    def make_dirs(self, address: str) -> None:
        pass

    def read(self, address: str) -> bytes:
        return self.files[address]

    def write(self, address: str, content: bytes) -> None:
        if self.broken:
            raise OSError("403 Forbidden")
        self.puts.append(address)
        self.files[address] = content

    def remove(self, address: str) -> None:
        del self.files[address]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    made = Bucket()
    monkeypatch.setattr(places, "_systems", [])
    events.add_file_system(lambda scheme: made if scheme == "bucket" else None)
    return made


def recorded(log_dir: str, steps: range) -> Run:
    run, put = Run(SCHEMA), Writer(events.new_directory(log_dir), SCHEMA)
    for step in steps:
        run.append(sample(step))
        put.samples(sample(step).as_batch())
    put.close()
    return run


def test_a_run_in_a_bucket_is_read_back_to_the_bit(bucket: Bucket) -> None:
    events.check_writable("bucket://b/logs")
    first, second = recorded("bucket://b/logs", range(4)), recorded("bucket://b/logs/", range(6))
    assert equal(Run.load("bucket://b/logs/gradients"), first) and equal(Run.load("bucket://b/logs"), second)
    assert {name.rpartition("/")[0] for name in bucket.files} == {"bucket://b/logs/gradients", "bucket://b/logs/2/gradients"}
    with pytest.raises(FileNotFoundError, match=r"There are runs in bucket://b/logs"):
        Run.load("bucket://b")


def test_a_remote_file_is_put_once_a_minute(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(writer.time, "monotonic", lambda: now[0])
    put = Writer(events.place("bucket://b/gradients"), SCHEMA)
    for step in range(300):
        now[0] += 1
        put.samples(sample(step).as_batch())
        put.facts(step, {"batches": step})
        put.flush()
    assert len(bucket.puts) <= 1 + 5
    assert len(Run.load("bucket://b/gradients")) >= 230, "of what was measured a minute at most is missing"
    put.close()
    assert len(Run.load("bucket://b/gradients")) == 300


def test_a_large_remote_file_is_ended_and_the_next_begun(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "REMOTE_SECONDS", 0.0)
    monkeypatch.setattr(writer, "REMOTE_BYTES", 20_000)
    run = recorded("bucket://b", range(30))
    assert len(bucket.files) > 2 and max(map(len, bucket.files.values())) < 30_000
    assert equal(Run.load("bucket://b"), run)


def model() -> keras.Model:
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


def fitted(monitor: kerasgrad.GradientMonitor) -> kerasgrad.Run:
    model().fit(np.ones((32, 4)), np.ones((32, 1)), batch_size=4, epochs=2, verbose=0, callbacks=[monitor])
    return monitor.run


def test_a_fit_writes_through_tensorflow(capsys: pytest.CaptureFixture[str]) -> None:
    run = fitted(kerasgrad.GradientMonitor("ram://kerasgrad/mine", update_freq=1))
    loaded = Run.load("ram://kerasgrad/mine")
    assert loaded.steps.tolist() == list(range(16))
    assert np.array_equal(loaded.table("signal_rms", "layer"), run.table("signal_rms", "layer"))
    assert loaded.facts["directory"] == "ram://kerasgrad/mine/gradients"
    assert "ram://kerasgrad/mine" in capsys.readouterr().out
    assert tf.io.gfile.exists("ram://kerasgrad/mine/gradients") and not Path("ram:").exists()


def test_a_bucket_that_fails_costs_the_file_and_not_the_training(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    monitor = kerasgrad.GradientMonitor("bucket://b/logs", update_freq=1)

    class Break(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            bucket.broken = True

    model().fit(np.ones((32, 4)), np.ones((32, 1)), batch_size=4, verbose=0, callbacks=[monitor, Break()])
    assert len(monitor.run) == 8 and "403 Forbidden" in monitor.run.facts["notes"][0]


@pytest.mark.parametrize("log_dir", ["s3://bucket/logs", "nothing://x", "https://example.org/logs"])
def test_an_address_that_nothing_can_write_is_refused_at_once(log_dir: str) -> None:
    with pytest.raises(ValueError, match=rf"no file system for .*Received: log_dir='{log_dir}'"):
        kerasgrad.GradientMonitor(log_dir)
    with pytest.raises(ValueError, match="no file system for"):
        Run.load(log_dir)
    assert not Path(log_dir.partition("/")[0]).exists()


def test_a_path_that_swallowed_a_slash_is_refused() -> None:
    with pytest.raises(ValueError, match="give the address as a str"):
        kerasgrad.GradientMonitor(Path("gs://bucket/logs"))


def test_what_looks_like_an_address_and_is_none_stays_a_path(tmp_path: Path) -> None:
    assert events.place("C:/logs") == Path("C:/logs") and events.place("a:b") == Path("a:b")
    assert events.place(f"file://{tmp_path}") == tmp_path


def test_fsspec_is_asked_for_what_tensorflow_does_not_know(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in with the few functions of fsspec that are called; it raises errors of its own."""

    class Fsspec:
        makedirs = staticmethod(lambda path, exist_ok: None)
        invalidate_cache = staticmethod(lambda: None)
        exists, isdir, cat_file = bucket.exists, bucket.is_dir, bucket.read
        rm_file = bucket.remove

        def ls(self, path: str, detail: bool) -> list[str]:
            return [f"{path}/{name}" for name in bucket.names(path)]

        def pipe_file(self, path: str, content: bytes) -> None:
            if "locked" in path:
                raise RuntimeError("no credentials")
            bucket.write(path, content)

    def filesystem(scheme: str) -> Fsspec:
        if scheme != "s3":
            raise ValueError("Protocol not known")
        return Fsspec()

    stand_in = types.ModuleType("fsspec")
    stand_in.filesystem = filesystem  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fsspec", stand_in)
    monkeypatch.setattr(places, "find_spec", lambda name: stand_in)
    run = recorded("s3://b/logs", range(3))
    assert equal(Run.load("s3://b/logs"), run)
    with pytest.raises(OSError, match=r"cannot be written: RuntimeError: no credentials.*s3://locked"):
        events.check_writable("s3://locked")
    with pytest.raises(ValueError, match="no file system for az://"):
        events.place("az://b")


def test_the_event_file_knows_no_tensorflow() -> None:
    look = "import sys, kerasgrad.events as e; e.place('file:///tmp'); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
