"""A plugin for pytest that slips the monitor into every `fit`: other people's tests of training must pass as before.

    PYTHONPATH=$PWD:$PWD/tests python -m pytest -c /dev/null -p slipped_in -p no:cacheprovider -W ignore \\
        -k "not jax and not grain and not torch and not test_retracing" --pyargs keras.src.trainers.trainer_test

At the end it says how many fits were watched, and of which watching was given up, and why.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import collections
import functools
import importlib.util
import sys
import types
from typing import Any

import keras
import pytest

import kerasgrad

_fits: collections.Counter[str] = collections.Counter()


def _watched(fit: Any) -> Any:
    @functools.wraps(fit)
    def with_monitor(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = kwargs.get("callbacks")
        if isinstance(given, keras.callbacks.CallbackList) or len(args) > 5:
            return fit(self, *args, **kwargs)
        monitor = kerasgrad.GradientMonitor(None, update_freq=1, verbose=0)
        own = [given] if isinstance(given, keras.callbacks.Callback) else list(given or [])
        try:
            return fit(self, *args, **kwargs | {"callbacks": [*own, monitor]})
        finally:
            _fits[str(monitor.failure or "watched")] += 1

    return with_monitor


def pytest_configure(config: pytest.Config) -> None:
    """Wraps `fit` for the whole session. Keras' tests import JAX, for what they skip on TensorFlow."""
    if importlib.util.find_spec("jax") is None:
        sys.modules["jax"] = types.ModuleType("jax")
    keras.Model.fit = _watched(keras.Model.fit)
    trainer = next(kind for kind in keras.Model.__mro__ if "fit" in vars(kind) and kind is not keras.Model)
    trainer.fit = keras.Model.fit
    del keras.Model.fit


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says how many fits were watched."""
    terminalreporter.section("fits with the monitor")
    for said, count in _fits.most_common():
        terminalreporter.line(f"{count:4d} {said[:200]}")
