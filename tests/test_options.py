"""The contract of every option of the monitor: what it takes, what it refuses and how, and what it changes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grid
import keras
import numpy as np
import pytest
from grid import BATCH, GRID

import kerasgrad
from kerasgrad.catalogue import update_cosine
from kerasgrad.finding import Finding, Severity
from kerasgrad.monitoring.schedule import Every
from kerasgrad.rules import rule

EPOCHS = 2
STEPS = EPOCHS * grid.N // BATCH


@rule("overall/loss")
def always(seen: Any) -> Any:
    """A rule that finds something in every run."""
    return [Finding(rule="always", severity=Severity.ERROR, summary="It is.", since=0)]


TOLD: list[Finding] = []


@dataclass
class Watched:
    """What a training left behind."""

    monitor: kerasgrad.GradientMonitor
    history: dict[str, list[float]]
    printed: str
    folder: Path

    @property
    def steps(self) -> list[int]:
        return self.monitor.run.steps.tolist()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        accepted: for each value what must hold of a training with it, and not of one with the default beside it.
        refused: values with the error that they raise, and what its message says besides the value that was received.
        with_: other settings that it needs to be seen.
        late: whether it is refused when training begins, not when the monitor is made.
    """

    accepted: Sequence[tuple[Any, Callable[[Watched], bool]]]
    refused: Sequence[tuple[Any, type[Exception], str]]
    with_: dict[str, Any] = field(default_factory=dict)
    late: bool = False


HERE = "{folder}"
OPTIONS = {
    "log_dir": Option(
        [(None, lambda w: not list(w.folder.iterdir())), (HERE, lambda w: len(kerasgrad.Run.load(w.folder)) == STEPS)],
        [(HERE + "/file/logs", OSError, "log_dir=None")],
        late=True,
    ),
    "update_freq": Option(
        [
            (3, lambda w: w.steps == [0, 3, 6]), ("batch", lambda w: w.steps == list(range(STEPS))),
            ("epoch", lambda w: w.steps == [0, STEPS // EPOCHS]), ("auto", lambda w: w.steps == list(range(STEPS))),
            (lambda step: step == 5, lambda w: w.steps == [5]), (Every(4), lambda w: w.steps == [0, 4]),
        ],
        [(value, ValueError, "a number of batches from 1") for value in (0, -1, 1.5, True, None, "always")],
    ),
    "layers": Option(
        [
            (None, lambda w: len(w.monitor.run.layers) == 4), ("dense_[12]", lambda w: len(w.monitor.run.layers) == 2),
            (["dense_3"], lambda w: w.monitor.run.layers == ("dense_3",)),
            (lambda layer: layer.units == 3, lambda w: w.monitor.run.layers == ("dense_3",)),
        ],
        [(3, TypeError, "a name or pattern"), ([None], TypeError, "a name or pattern")],
    ),
    "activations": Option(
        [(True, lambda w: measured(w, "signal_rms")), (False, lambda w: not measured(w, "signal_rms"))], []
    ),
    "window": Option(
        [(2, lambda w: died(w) > 0), (5, lambda w: not died(w) > 0)],
        [(value, ValueError, "a number of samples from 1") for value in (0, -5, 2.5, True, "many")],
    ),
    "histograms": Option(
        [(False, lambda w: not w.monitor.run.schema.bins), (True, lambda w: w.monitor.run.histogram("dense").sum() > 0)], []
    ),
    "statistics": Option(
        [
            ((), lambda w: not w.monitor.run.schema.statistics),
            ([update_cosine], lambda w: bool(np.isfinite(w.monitor.run.table("update_cosine", "layer")[1:]).all())),
        ],
        [(update_cosine, TypeError, "takes a list"), (["update_cosine"], TypeError, "takes a list")],
        {"update_freq": 1},
    ),
    "log_metrics": Option(
        [(False, lambda w: set(w.history) == {"loss", "accuracy"}), (True, lambda w: w.history["gradient_norm"][-1] > 0)], []
    ),
    "rules": Option(
        [((), lambda w: not w.monitor.diagnosis), ([always], lambda w: [f.rule for f in w.monitor.diagnosis] == ["always"])],
        [([max], TypeError, "make one of a function"), (["always"], TypeError, "make one of a function")],
    ),
    "on_finding": Option(
        [(None, lambda w: not TOLD), (TOLD.append, lambda w: [f.rule for f in TOLD] == ["always"])],
        [("log", TypeError, "a function of a finding")],
        {"rules": [always]},
    ),
    "stop_on": Option(
        [
            ((), lambda w: len(w.history["loss"]) == EPOCHS), ("always", lambda w: len(w.history["loss"]) == 1),
            (["error"], lambda w: len(w.history["loss"]) == 1), (Severity.ERROR, lambda w: len(w.history["loss"]) == 1),
        ],
        [("alway", ValueError, "always"), (["fatal"], ValueError, "error")],
        {"rules": [always]},
    ),
    "verbose": Option([(0, lambda w: not w.printed), (1, lambda w: w.printed.startswith("kerasgrad: 8 samples"))], []),
}  # fmt: skip

ACCEPTED = [(name, value, holds) for name, option in OPTIONS.items() for value, holds in option.accepted]
REFUSED = [(name, *case) for name, option in OPTIONS.items() for case in option.refused]


def measured(watched: Watched, statistic: str) -> bool:
    return not np.isnan(watched.monitor.run.table(statistic, "layer")).all()


def died(watched: Watched) -> float:
    """The share of the first layer's units that are dead at the end, NaN where that is not known yet."""
    return float(watched.monitor.run.layer("dead_fraction")["dense"][-1])


def net() -> Any:
    """A net whose first unit fires for the first batch of an epoch only, and all others of its layer always."""
    case, first = GRID["mlp"](), np.eye(16)[0]
    case.x[:, 0], case.x[:BATCH, 0] = 0, 101
    kernel = np.array(case.model.layers[0].kernel)
    kernel[0], kernel[1:, 0] = first, 0
    case.model.layers[0].kernel.assign(kernel)
    case.model.layers[0].bias.assign(np.where(first, -100, 10))
    return case


def placed(value: Any, folder: Path) -> Any:
    return value.format(folder=folder) if isinstance(value, str) else value


def settings(name: str, value: Any, folder: Path) -> dict[str, Any]:
    given = {"log_dir": None, "update_freq": 1, "verbose": 0} | OPTIONS[name].with_
    return given | {name: placed(value, folder)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    TOLD.clear()
    made = tmp_path / "logs"
    made.mkdir()
    return made


def test_every_option_has_a_contract() -> None:
    assert set(OPTIONS) == set(inspect.signature(kerasgrad.GradientMonitor).parameters)
    text = str(kerasgrad.GradientMonitor.__doc__)
    assert not [name for name in OPTIONS if f"        {name}: " not in text]


@pytest.mark.parametrize(
    ("name", "value", "holds"), [pytest.param(*case, id=f"{case[0]}-{i}") for i, case in enumerate(ACCEPTED)]
)
def test_what_is_accepted_has_its_effect(
    name: str, value: Any, holds: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keras.utils.set_random_seed(7)
    case, monitor = net(), kerasgrad.GradientMonitor(**settings(name, value, folder))
    given = {"batch_size": BATCH, "epochs": EPOCHS, "shuffle": False, "verbose": 0, "callbacks": [monitor]}
    fitted = case.model.fit(case.x, case.y, **given)
    assert monitor.failure is None
    assert holds(Watched(monitor, fitted.history, capsys.readouterr().out, folder)), f"{name}={value!r}"


@pytest.mark.parametrize(
    ("name", "value", "error", "says"), [pytest.param(*case, id=f"{case[0]}-{i}") for i, case in enumerate(REFUSED)]
)
def test_what_is_refused_says_what_was_received_and_the_way_out(
    name: str, value: Any, error: type[Exception], says: str, folder: Path
) -> None:
    (folder / "file").write_text("")
    given = settings(name, value, folder)
    with pytest.raises(error) as raised:
        monitor = kerasgrad.GradientMonitor(**given)
        assert OPTIONS[name].late, "refused where it is given, not in the middle of a training"
        case = net()
        case.model.fit(case.x, case.y, batch_size=BATCH, verbose=0, callbacks=[monitor])
    assert says in str(raised.value) and "Received: " in str(raised.value)


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="windows"):
        kerasgrad.GradientMonitor(windows=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in ("log_dir", "verbose", "log_metrics")])
def test_watch_takes_the_same(name: str, folder: Path) -> None:
    model = net().model
    kerasgrad.watch(model, **settings(name, OPTIONS[name].accepted[-1][0], folder))
    for value, error, _ in OPTIONS[name].refused:
        with pytest.raises(error):
            kerasgrad.watch(model, **settings(name, value, folder))
