"""What a user does first, with nothing but the installed package; run by `wheel.sh`, and no test of pytest."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
BIN = Path(sys.executable).parent
SECONDS = 120
"""For a server to be there and to have read a run of a few steps."""


def require(holds: object, what: str) -> None:
    """Ends the trial where something does not hold."""
    if not holds:
        raise SystemExit(f"wheel: {what}")
    print(f"  {what}", flush=True)


def said(*words: str) -> str:
    """What a command prints."""
    done = subprocess.run([str(BIN / words[0]), *words[1:]], capture_output=True, text=True, check=False)
    require(done.returncode == 0, f"`{' '.join(words)}` ends with {done.returncode}\n{done.stderr[-2000:]}".rstrip())
    return done.stdout


def the_package_is_the_installed_one() -> None:
    import kerasgrad

    where = Path(kerasgrad.__file__)
    require("site-packages" in where.parts, f"kerasgrad {kerasgrad.__version__} is imported from {where.parent}")
    require(kerasgrad.__version__ == metadata.version("kerasgrad"), "its version is that of the wheel")
    files = [str(file) for file in metadata.files("kerasgrad") or ()]
    require(
        not [f for f in files if f.startswith(("tests/", "benchmarks/", "tutorials/"))], "nothing but its packages is in it"
    )


def a_training_is_watched() -> None:
    import keras
    import numpy as np

    import kerasgrad

    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(256, 8)).astype(np.float32)
    layers = [keras.layers.Dense(16, "relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((8,)), *layers])
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    monitor = kerasgrad.GradientMonitor("logs/mine", update_freq=2, verbose=0)
    model.fit(x, (x[:, 0] > 0).astype(int), epochs=3, verbose=0, callbacks=[monitor])
    loss = monitor.run.overall("loss")
    require(len(loss) == 12 and loss[-1] < loss[0], f"{len(loss)} samples, loss {loss[0]:.2f} -> {loss[-1]:.2f}")
    require("dense" in repr(monitor.run) and monitor.diagnosis.samples == len(loss), "it has a report and a diagnosis")


def the_commands_work() -> None:
    require("tensorboard" in said("kerasgrad", "--help"), "`kerasgrad --help` lists the commands")
    require(said("kerasgrad", "report", "logs/mine").startswith("sequential"), "`kerasgrad report` prints the run")
    said("kerasgrad", "report", "logs/mine", "--html", "report.html")
    require(Path("report.html").stat().st_size > 1e6, "and writes the page, with plotly in it")
    require("plain.relu" in said("python", "-m", "zoo", "list"), "`python -m zoo list` lists the models")


def a_recorded_baseline_is_in_it() -> None:
    import zoo

    require(len(zoo.baseline("plain.relu")) > 10, "a baseline of the zoo can be read")


def the_tab_is_served() -> None:
    for command in (("tensorboard", "--logdir", "logs"), ("kerasgrad", "tensorboard", "logs")):
        with served(command) as url:
            page = asked(f"{url}/data/plugin/kerasgrad/static/index.js")
            require(page.startswith("//") or "import" in page, f"`{' '.join(command)}` serves the tab")
            require(asked(f"{url}/data/plugins_listing").count("Gradient Flow") == 1, "and lists it once")


@contextlib.contextmanager
def served(command: tuple[str, ...]) -> Iterator[str]:
    """A real TensorBoard that has read the run; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open("tensorboard.log", "w", encoding="utf-8") as log:
        words = [str(BIN / command[0]), *command[1:], "--port", str(port)]
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + SECONDS
        while not _lists_the_run(url):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(
                    f"wheel: `{' '.join(command)}` does not serve the run\n{Path('tensorboard.log').read_text()}"
                )
            time.sleep(0.3)
        yield url
    finally:
        process.terminate()
        process.wait()


def _lists_the_run(url: str) -> bool:
    with contextlib.suppress(OSError):
        runs = json.loads(asked(f"{url}/data/plugin/kerasgrad/runs"))["runs"]
        return any(run["name"] == "mine/gradients" and run["reason"] is None for run in runs)
    return False


def asked(url: str) -> str:
    """The answer of a server."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


TRIALS: tuple[Callable[[], None], ...] = (
    the_package_is_the_installed_one, a_training_is_watched, the_commands_work, a_recorded_baseline_is_in_it,
    the_tab_is_served,
)  # fmt: skip

if __name__ == "__main__":
    names = ("tensorflow", "keras", "tensorboard", "numpy", "setuptools")
    print("wheel:", ", ".join(f"{name} {metadata.version(name)}" for name in names))
    for trial in TRIALS:
        print(trial.__name__.replace("_", " "), flush=True)
        trial()
    print("wheel: all well")
