"""What a training "as people write it" is for the tests: how it is built, run, and what of it may be compared.

A program is a function of a seed that builds a `Training`. The harness of `test_steps_people_write.py` runs each one alone
and under the monitor, and compares all that it holds, bit by bit. Programs know nothing of the monitor: a `fit` gets
callbacks, and a loop of one's own a driver, whose `step(function, *args)` stands for `function(*args)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[Any]
Callbacks = Sequence[keras.callbacks.Callback]


class Driver(Protocol):
    """Runs the steps of a loop: `kerasgrad.watch`, or `Plain`."""

    def step(self, function: Callable[..., Any], *args: Any) -> Any:
        """Runs one training step."""

    def end_epoch(self, **logs: float) -> None:
        """Says that an epoch is over."""


class Plain:
    """The driver of a loop that nobody watches."""

    def step(self, function: Callable[..., Any], *args: Any) -> Any:
        """Calls the step."""
        return function(*args)

    def end_epoch(self, **logs: float) -> None:
        """Nobody wants to know."""


@dataclass
class Training:
    """One training, built and ready to run.

    Args:
        model: the model that a monitor watches; a function, if it is another one after the training than before.
        fit: the whole training with callbacks; or
        loop: the whole training with a driver.
        held: what else moves, by name: models, layers, optimizers, variables, or functions that give an array. The model and
            its optimizer are always held.
        moves_otherwise: whether weights move without a gradient too, as when a callback or a moving average writes them, so
            that the updates cannot add up to the whole way.
    """

    model: keras.Model | Callable[[], keras.Model]
    fit: Callable[[Callbacks], Any] | None = None
    loop: Callable[[Driver], Any] | None = None
    held: Mapping[str, Any] = field(default_factory=dict)
    moves_otherwise: bool = False

    @property
    def watched(self) -> keras.Model:
        """The model as it is now."""
        return self.model if isinstance(self.model, keras.Model) else self.model()

    def everything(self) -> dict[str, Any]:
        """All that is held, by name."""
        model = self.watched
        held = {"model": model, **self.held}
        optimizer = getattr(model, "optimizer", None)
        return {**held, "optimizer": optimizer} if isinstance(optimizer, keras.optimizers.Optimizer) else held

    def values(self) -> dict[str, list[tuple[str, Array]]]:
        """Everything that can be compared: weights, states of optimizers, seeds and metrics, numbers kept in Python.

        Returns:
            Path and value of each variable, by what holds it.
        """
        found: dict[str, list[tuple[str, Array]]] = {}
        for name, thing in self.everything().items():
            if not isinstance(thing, tf.Variable | keras.Variable) and not hasattr(thing, "variables"):
                found[name] = [("", np.asarray(thing()))]
            else:
                found[name] = [(_path(v), _numbers(v)) for v in _variables_of(thing)]
        return found

    def trainables(self) -> dict[int, tuple[str, Array]]:
        """Path and value of the variables that gradients may move, by identity."""
        found: dict[int, tuple[str, Array]] = {}
        for thing in self.everything().values():
            if isinstance(thing, keras.Layer):
                variables = thing.trainable_variables
            else:
                variables = [thing] if isinstance(thing, tf.Variable | keras.Variable) and thing.trainable else []
            found |= {id(v): (_path(v), _numbers(v)) for v in variables if _is_float(v)}
        return found


def _variables_of(thing: Any) -> list[Any]:
    if isinstance(thing, tf.Variable | keras.Variable):
        return [thing]
    if isinstance(thing, keras.Model):
        return [*thing.variables, *thing.metrics_variables]
    return list(thing.variables)


def _path(variable: Any) -> str:
    return str(getattr(variable, "path", variable.name)).removesuffix(":0")


def _is_float(variable: Any) -> bool:
    return "float" in str(variable.dtype)


def _numbers(variable: Any) -> Array:
    value = variable if isinstance(variable, tf.Variable) else variable.value
    return np.array(value if value.dtype != tf.bfloat16 else tf.cast(value, "float32"))


@dataclass(frozen=True)
class Program:
    """A program by name.

    Args:
        name: what is particular about it.
        build: seed -> training.
        fast: whether it belongs to the few that every test run has.
    """

    name: str
    build: Callable[[int], Training]
    fast: bool = False


PROGRAMS: dict[str, Program] = {}
"""All programs; the modules `people_*` register theirs."""


def register(name: str, build: Callable[[int], Training], *, fast: bool = False) -> None:
    """Adds a program.

    Raises:
        ValueError: there is one of that name.
    """
    if name in PROGRAMS:
        raise ValueError(f"There is a program of that name. Received: name={name!r}")
    PROGRAMS[name] = Program(name, build, fast)


def program(build: Callable[[int], Training]) -> Callable[[int], Training]:
    """Registers a function as a program of its name."""
    register(build.__name__, build)
    return build


def fast_program(build: Callable[[int], Training]) -> Callable[[int], Training]:
    """Registers a function as a program of its name, one of the few that every test run has."""
    register(build.__name__, build, fast=True)
    return build


def fitted(model: keras.Model, x: Any, y: Any = None, *, held: Mapping[str, Any] | None = None, **options: Any) -> Training:
    """A training by one `fit` of two epochs, with callbacks of its own before those of the harness."""
    own = options.pop("callbacks", [])
    options = {"epochs": 2, "batch_size": 8, "verbose": 0, **options}
    if isinstance(x, tf.data.Dataset | keras.utils.PyDataset):
        del options["batch_size"]
        options["shuffle"] = False
    return Training(model, fit=lambda callbacks: model.fit(x, y, callbacks=[*own, *callbacks], **options), held=held or {})


def table(seed: int, classes: int = 3, rows: int = 44) -> tuple[Array, Array]:
    """Rows of eight numbers and their class; the last batch of eight is odd."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 8)).astype("float32")
    return x, (x[:, :classes].argmax(axis=1)).astype("int64")


def line(seed: int, rows: int = 44) -> tuple[Array, Array]:
    """Rows of eight numbers and one number to predict."""
    x, _ = table(seed, rows=rows)
    return x, (x @ np.linspace(-1, 1, 8)).astype("float32")[:, None]


def pictures(seed: int, rows: int = 20) -> tuple[Array, Array]:
    """Grey pictures of 8 x 8 and whether their left half is the brighter one."""
    x = np.random.default_rng(seed).uniform(size=(rows, 8, 8, 1)).astype("float32")
    return x, (x[:, :, :4].mean(axis=(1, 2, 3)) > x[:, :, 4:].mean(axis=(1, 2, 3))).astype("int64")


def words(seed: int, rows: int = 24, length: int = 9) -> tuple[Array, Array]:
    """Sequences of word numbers below 20, padded with zeros, and whether the first one is even."""
    random = np.random.default_rng(seed)
    x = random.integers(1, 20, size=(rows, length))
    x[np.arange(length) >= random.integers(3, length + 1, size=(rows, 1))] = 0
    return x, (x[:, 0] % 2).astype("int64")


def layered(*units: int, activation: str = "relu", last: str | None = None, inputs: int = 8) -> keras.Sequential:
    """A plain net."""
    dense = [keras.layers.Dense(n, activation=activation) for n in units[:-1]]
    return keras.Sequential([keras.Input((inputs,)), *dense, keras.layers.Dense(units[-1], activation=last)])


def classifier(optimizer: Any = "adam", **options: Any) -> keras.Sequential:
    """A plain net for `table`, compiled."""
    model = layered(12, 12, 3, last="softmax")
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model
