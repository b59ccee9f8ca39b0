"""What the tests of the tab share: runs on disk, a real TensorBoard, a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasgrad import catalogue
from kerasgrad.events.writer import Writer
from kerasgrad.finding import Finding, Severity
from kerasgrad.run import Run, Sample, Schema

SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"

# Without a sandbox, since CI is root in a container; and with nothing that calls its maker's servers by itself.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-default-apps", "--disable-dev-shm-usage", "--disable-quic",
]  # fmt: skip

MANY = 10_000
FINDING = Finding(
    rule="vanishing_gradient", severity=Severity.WARNING, summary="The signal dies.", layers=("stem", "block/dense"),
    starts_at="block/dense", since=10, quantity="first / last", measured=1e-5, threshold=1e-3,
    samples=11, causes=("sigmoids",), remedies=("use_relu",),
)  # fmt: skip
LAYERS = ("stem", "block/dense", "block/<script>alert(1)</script>", "block/<b>a&b</b>", "head")
STATISTICS = (
    "signal_rms", "gradient_norm", "gradient_nonfinite", "update_ratio", "activation_zeros", "activation_nonfinite",
    "dead_fraction", "dormant_fraction",
)  # fmt: skip


def schema(layers: Sequence[str] = LAYERS) -> Schema:
    """A run of layers without variables but one."""
    return Schema(tuple(layers), (f"{layers[0]}/kernel",), (0,), (4,), ("relu",) * len(layers), {}, (), ())


def sample(step: int, layers: int, seed: int = 0, statistics: Sequence[str] = STATISTICS) -> Sample:
    """Seeded numbers: magnitudes fall with depth, shares lie between 0 and 1, no entry is bad."""
    random = np.random.default_rng([seed, step])
    noise = random.uniform(0.5, 1, layers)
    kinds = {"magnitude": noise * 10.0 ** np.linspace(-5, 0, layers), "share": noise, "count": np.zeros(layers)}

    def kind(name: str) -> str:
        return "count" if name.endswith("nonfinite") else "share" if name.endswith(("fraction", "zeros")) else "magnitude"

    layer = {name: kinds[kind(name)].astype(np.float32) for name in statistics}
    overall = dict.fromkeys(catalogue.names("overall"), 1.0) | {"loss": float(np.exp(-step / 50))}
    return Sample(step, 1e9 + step, layer, {}, overall)


def write(
    folder: Path,
    steps: Sequence[int],
    layers: Sequence[str] = LAYERS,
    *,
    seed: int = 0,
    findings: Sequence[Finding] = (),
    **facts: Any,
) -> None:
    """Writes a run as the monitor does."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = Writer(folder, schema(layers))
    for step in steps:
        writer.samples(sample(step, len(layers), seed).as_batch())
    writer.facts(steps[-1], {"model": folder.parent.name, **facts})
    writer.findings(steps[-1], findings)
    writer.close()


def write_sick(folder: Path) -> None:
    """A run whose last step broke: `stem` is no number, `block/dense` exactly 0, `head` was never examined."""
    folder.mkdir(parents=True)
    writer = Writer(folder, schema())
    for step in range(10):
        made = sample(step, len(LAYERS))
        made.layer["signal_rms"][4] = np.nan
        if step == 9:
            made.layer["signal_rms"][:2] = np.nan, 0
            made.layer["gradient_nonfinite"][0] = 5
            made.overall["gradient_norm"] = np.nan
        writer.samples(made.as_batch())
    writer.facts(9, {"model": "sick", "not_examined": {"head: signal": "it <i>has</i> none"}})
    writer.close()


def write_many(folder: Path) -> None:
    """As many samples as the tab promises, more than TensorBoard keeps on its own."""
    folder.mkdir(parents=True)
    writer = Writer(folder, schema(("a", "b")))
    for step in range(MANY):
        writer.samples(sample(step, 2, statistics=("signal_rms",)).as_batch())
    writer.close()


def write_damaged(root: Path) -> None:
    """Runs that cannot be shown, or not to their end."""
    write(root / "torn" / "gradients", range(5))
    file = next((root / "torn" / "gradients").iterdir())
    file.write_bytes(file.read_bytes()[:-150])
    (root / "torn_early" / "gradients").mkdir(parents=True)
    (root / "torn_early" / "gradients" / file.name).write_bytes(file.read_bytes()[:900])
    (root / "no_layers" / "gradients").mkdir(parents=True)
    writer = Writer(root / "no_layers" / "gradients", Schema((), (), (), (), (), {}))
    writer.samples(sample(1, 0).as_batch())
    writer.close()
    with pytest.MonkeyPatch.context() as later:
        later.setattr("kerasgrad.events.format.VERSION", 99)
        write(root / "later" / "gradients", range(2))


def write_all(root: Path) -> int:
    """The runs of the tests that share a TensorBoard; how many they are."""
    write(root / "first" / "gradients", range(0, 40, 2), findings=[FINDING])
    write(root / "two" / "gradients", range(0, 60, 2), seed=1)
    write(root / "zoo" / "gradients", range(0, 60, 2), seed=2, baseline="plain.relu")
    for i in range(7):
        write(root / f"more{i}" / "gradients", range(3), ("a", "b"), seed=i)
    write_sick(root / "sick" / "gradients")
    write_many(root / "many" / "gradients")
    write_damaged(root)
    return 16


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str) -> bytes:
    """The answer of a server."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bytes(answer.read())


def refusal(url: str) -> tuple[int, bytes]:
    """Status and text of an answer that is an error."""
    try:
        ask(url)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    return 200, b""


def listed(url: str) -> dict[str, Any]:
    """The runs that the plugin lists, by name."""
    return {run["name"]: run for run in json.loads(ask(f"{url}/data/plugin/kerasgrad/runs"))["runs"]}


@contextlib.contextmanager
def tensorboard(log_dir: Path, *flags: str, runs: int) -> Iterator[str]:
    """A TensorBoard that has read all runs, as `tensorboard --logdir` starts it; its address."""
    with launched(log_dir, *flags) as url:
        wait_until_read(url, runs)
        yield url


@contextlib.contextmanager
def launched(log_dir: Path, *flags: str) -> Iterator[str]:
    """A TensorBoard that has just been started."""
    port = free_port()
    program = os.path.join(os.path.dirname(sys.executable), "tensorboard")
    command = [program, "--logdir", str(log_dir), "--port", str(port), "--reload_interval", "1", *flags]
    with (log_dir.parent / f"tensorboard-{port}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def wait_until_read(url: str, runs: int) -> None:
    """Waits until a TensorBoard has read that many runs to their end."""
    wait_for(lambda: len(listed(url)) >= runs)
    wait_for(lambda: _settled(url))


def _settled(url: str) -> bool:
    """Whether two looks one second apart find the same samples."""
    first = {name: run.get("last_step") for name, run in listed(url).items()}
    time.sleep(1.2)
    return first == {name: run.get("last_step") for name, run in listed(url).items()}


def wait_for(condition: Any, seconds: float = 300) -> None:
    """Waits until a condition holds; a server that does not answer yet counts as no."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.2)
    raise TimeoutError(f"After {seconds} s it still does not hold.")


def browser_path(own: str) -> str | None:
    """Where there is a Chromium: on the path, or Playwright's own."""
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    return next((path for path in found if path), own if os.path.exists(own) else None)


def load(log_dir: Path, run: str) -> Run:
    """The same run as the library reads it."""
    return Run.load(log_dir / run)
