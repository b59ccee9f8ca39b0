"""`GradientMonitor`: the callback that watches a real `model.fit`. The hooks of Keras, and nothing else."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from kerasgrad.catalogue import Statistic
from kerasgrad.monitoring import facts
from kerasgrad.monitoring.judge import OnFinding, StopOn
from kerasgrad.monitoring.recorder import WINDOW
from kerasgrad.monitoring.session import Session, nothing_watched
from kerasgrad.monitoring.settings import Settings
from kerasgrad.monitoring.train_function import TrainFunction
from kerasgrad.rules import DEFAULT, Diagnosis, Rule, diagnose
from kerasgrad.run import Run
from kerasgrad.taps.collector import LayerChoice

LOGGED = ("gradient_norm", "dead_fraction", "depth_ratio")
"""What `log_metrics` adds to the logs."""


class GradientMonitor(keras.callbacks.Callback):
    """Streams what every layer receives from a real `model.fit` to TensorBoard.

    Steps that are not sampled run the model's own train function, untouched. A sampled step runs the same step with
    taps: the gradients are those that train the model, taken from its own tape; there is no second pass.

    Args:
        log_dir: directory of the run, such as `"logs/mine"`; `tensorboard --logdir logs` then shows it. A further run
            in the same directory gets a numbered one inside it. None keeps the run in memory only.
        update_freq: when to sample, as in `keras.callbacks.TensorBoard`: a number of batches, `"batch"`, `"epoch"`, a
            function of the step, an object with `due(step, batch)`, or `"auto"`: the first 10 steps, some more at the
            start, then as often as keeps the measured cost under 1 % of the training time, and once in the last epoch.
        layers: which layers get a row: names or patterns such as `"block*"`, of the path or the layer's own name, or a
            function of the layer. None for all. What is said of the whole model still rests on all its variables.
        activations: whether to read what layers give (activations, dead and dormant units) and the gradient that reaches
            their outputs (the signal). Without them only gradients, weights and updates are left, which cost less.
        window: number of samples without firing after which a unit counts as dead.
        histograms: whether to record histograms of the gradients too.
        statistics: statistics of your own, `kerasgrad.catalogue.Statistic`, to be computed inside the sampled steps besides
            those of the catalogue; `kerasgrad.catalogue.update_cosine` is one that is ready.
        log_metrics: whether to add `gradient_norm`, `dead_fraction` and `depth_ratio` to the `logs`, so that callbacks
            after this one (EarlyStopping, CSVLogger) and `History` have them. It makes Keras wait for each step.
        rules: what the run is examined for while it trains, see `kerasgrad.rules`; `()` for nothing.
        on_finding: is called with each finding that is raised, and when it is withdrawn.
        stop_on: names of rules or severities, such as `"error"`, at which the training ends.
        verbose: 1 to say in one line at the end where the run is, 0 for silence.

    Raises:
        ValueError: an option is not one of those, or Keras runs on another backend than TensorFlow.
        TypeError: `layers`, `rules`, `on_finding` or `statistics` is of the wrong type.
        OSError: `log_dir` cannot be written; raised when training begins, as is a pattern that matches no layer.

    Example:
        >>> monitor = kerasgrad.GradientMonitor("logs/mine")
        >>> model.fit(x, y, epochs=5, callbacks=[monitor])
        >>> monitor.run
    """

    def __init__(
        self,
        log_dir: str | Path | None = None,
        *,
        update_freq: Any = "auto",
        layers: LayerChoice = None,
        activations: bool = True,
        window: int = WINDOW,
        histograms: bool = False,
        statistics: Sequence[Statistic] = (),
        log_metrics: bool = False,
        rules: Sequence[Rule] = DEFAULT,
        on_finding: OnFinding | None = None,
        stop_on: StopOn = (),
        verbose: int = 1,
    ) -> None:
        super().__init__()
        self._options = {
            "log_dir": log_dir, "update_freq": update_freq, "layers": layers, "activations": activations, "window": window,
            "histograms": histograms, "statistics": statistics, "rules": rules, "on_finding": on_finding, "stop_on": stop_on,
        }  # fmt: skip
        self.settings = Settings(**self._options)
        self.log_metrics = log_metrics
        self.verbose = verbose
        self.async_safe = not log_metrics
        self._session: Session | None = None
        self._train_function: TrainFunction | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> GradientMonitor:
        """A fresh monitor with the same settings: a tuner that copies its callbacks for each trial wants just that."""
        options = self._options | {"update_freq": copy.deepcopy(self._options["update_freq"], memo)}
        return type(self)(**options, log_metrics=self.log_metrics, verbose=self.verbose)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, it is its settings, like a copy."""
        options = self._options | {"log_metrics": self.log_metrics, "verbose": self.verbose}
        return functools.partial(type(self), **options), ()

    @property
    def run(self) -> Run:
        """What was recorded so far. Its `repr` is the report."""
        return nothing_watched() if self._session is None else self._session.run

    @property
    def diagnosis(self) -> Diagnosis:
        """What the rules find in the run as it is. Its `repr` is the report."""
        return diagnose(self.run, self.settings.rules) if self._session is None else self._session.diagnosis

    @property
    def step(self) -> int:
        """Training batches so far, over all fits of this model and the session that it resumed."""
        return 0 if self._session is None else self._session.position.step

    @property
    def failure(self) -> Exception | None:
        """Why watching stopped, None if it did not."""
        return None if self._session is None else self._session.failure

    # The hooks of Keras, in the order in which it calls them.

    def set_model(self, model: Any) -> None:
        """Called by Keras. Another model than before begins another run."""
        facts.check_model(model)
        super().set_model(model)
        if self._session is None or self._session.model is not model:
            if self._session is not None:
                self._session.end()
            self._session = Session(model, self.settings)
            self._train_function = TrainFunction(self._session)

    def on_train_begin(self, logs: Any = None) -> None:
        """Called by Keras. Raises what is wrong with the settings, before any training."""
        params = self.params or {}
        self._watching.begin(params.get("epochs"), params.get("steps"))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        self._watching.begin_epoch(epoch)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called by Keras: decides whether the step that comes is sampled."""
        if self._train_function is not None:
            self._watching.begin_step(batch, self._train_function.prepare)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called by Keras, perhaps from another thread."""
        self._watching.end_step(batch)
        if self.log_metrics:
            self._watching.read_samples()
            self._add_to(logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Called by Keras when validation begins, which is no part of the training time."""
        if self._session is not None:
            self._session.end_interval()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        self._watching.end_epoch(logs or {})
        if self.log_metrics:
            self._add_to(logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Called by Keras."""
        self._watching.end()
        if self.verbose and self.failure is None:
            print(self._watching.last_words())

    @property
    def _watching(self) -> Session:
        if self._session is None:
            raise RuntimeError("Keras calls `set_model` before any training; call it, or give the monitor to `model.fit`.")
        return self._session

    def _add_to(self, logs: Any) -> None:
        if isinstance(logs, dict):
            logs.update({name: self._watching.latest(name) for name in LOGGED})
