"""The Python state that a trace reads, and bakes into its graph: numbers on the model, `trainable`, random generators.

A step is traced twice, once as it is and once watched. Whatever differs between the two moments, or is changed by the first
trace, would be baked in differently.
"""

from __future__ import annotations

import contextlib
import functools
import random
import weakref
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.number, np.bool_)
_DEPTH, _MOST = 3, 20_000
_ACCOUNTS = (set(vars(keras.Model(name="kerasgrad"))) | set(vars(keras.layers.Layer(name="kerasgrad")))) - {"_trainable"}
_OF_FRAMEWORKS = ("keras", "tensorflow", "numpy", "builtins", "kerasgrad")


@dataclass
class PythonState:
    """What the Python state was at one moment.

    Attributes:
        attributes: of the model and what it holds, by object: its numbers, texts, and lists and dicts of such.
        generators: how each random generator is set back.
    """

    attributes: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)
    generators: list[Callable[[], Any]] = field(default_factory=list)

    @classmethod
    def now(cls, model: keras.Model) -> PythonState:
        """The state as it is; it keeps nothing alive."""
        moment = cls(generators=list(_settings(random, np.random)))
        for thing in _held_by(model):
            with contextlib.suppress(TypeError):  # what cannot be referred to weakly is left out
                moment.attributes.append((weakref.ref(thing), _values(thing)))
                moment.generators += _settings(*vars(thing).values())
        return moment

    @contextlib.contextmanager
    def again(self, model: keras.Model) -> Iterator[None]:
        """Within it the state is that of then; afterwards it is what it was before."""
        before = PythonState.now(model)
        self._set()
        try:
            yield
        finally:
            before._set()

    def _set(self) -> None:
        for reference, values in self.attributes:
            if (thing := reference()) is not None:
                _put(thing, values)
        for set_back in self.generators:
            set_back()


def _settings(*holders: Any) -> Iterator[Callable[[], Any]]:
    """How the random generators among these are set back to what they are now."""
    for holder in holders:
        if holder is random or isinstance(holder, random.Random):
            yield functools.partial(holder.setstate, holder.getstate())
        elif holder is np.random or isinstance(holder, np.random.RandomState):
            yield functools.partial(holder.set_state, holder.get_state())
        elif isinstance(holder, np.random.Generator):
            yield functools.partial(setattr, holder.bit_generator, "state", holder.bit_generator.state)


def _held_by(model: keras.Model) -> list[Any]:
    """The model, its layers and variables, optimizers and losses, and a user's own objects that they hold."""
    found: dict[int, Any] = {}
    waiting: list[tuple[Any, int]] = [(thing, 0) for thing in (model, *layers_of(model), *own_variables(model))]
    for thing, depth in waiting:  # grows while it is read
        if id(thing) in found or len(found) > _MOST:
            continue
        found[id(thing)] = thing
        if depth < _DEPTH:
            waiting += [(held, depth + 1) for held in list(vars(thing).values()) if _may_hold_state(held)]
    return list(found.values())


def _may_hold_state(thing: Any) -> bool:
    if isinstance(thing, keras.optimizers.Optimizer | keras.losses.Loss | keras.Layer):
        return True
    kind = type(thing)
    own = kind.__module__.partition(".")[0] not in _OF_FRAMEWORKS and not isinstance(thing, type)
    return own and hasattr(thing, "__dict__") and not callable(getattr(kind, "__get__", None))


def _values(thing: Any) -> dict[str, Any]:
    """The plain values among its attributes, and copies of its collections of such."""
    kept = {name: v for name, v in vars(thing).items() if not _is_account(thing, name)}
    return {name: copy for name, v in kept.items() if (copy := _copied(v)) is not _NOTHING}


def _is_account(thing: Any, name: str) -> bool:
    """Whether Keras itself keeps account there of what is built, called and named; `trainable` it does not count as such."""
    if isinstance(thing, keras.Variable):
        return name != "_trainable"
    if isinstance(thing, keras.optimizers.Optimizer):
        return name.startswith("_") or name == "built"
    return isinstance(thing, keras.Layer) and name in _ACCOUNTS


_NOTHING = object()


def _copied(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | set) and all(isinstance(v, _PLAIN) for v in value):
        return _kind_of(value)(value)
    if isinstance(value, dict) and all(isinstance(v, _PLAIN) for v in value.values()):
        return dict(value)
    return _NOTHING


def _kind_of(value: Any) -> type:
    """The plain type of a collection, of which Keras makes a kind of its own."""
    return next(kind for kind in (list, set, dict) if isinstance(value, kind))


def _put(thing: Any, values: dict[str, Any]) -> None:
    """Sets attributes back without going through `__setattr__`; collections are changed in place."""
    now = _values(thing)
    for name in now.keys() - values.keys():
        del vars(thing)[name]
    for name, value in values.items():
        current = vars(thing).get(name)
        if isinstance(value, list | set | dict) and isinstance(current, type(value)):
            if _kind_of(current)(current) != value:
                _refill(current, value)
        elif name not in now or current is not value:
            vars(thing)[name] = value


def _refill(current: Any, value: Any) -> None:
    kind = type(value)
    if kind is list:
        list.__setitem__(current, slice(None), value)
    else:
        kind.clear(current)
        kind.update(current, value)


def is_trainer(model: object) -> bool:
    """Whether something has the `fit` of Keras 3, as a model and whatever else is built on its trainer."""
    return any(kind.__module__.startswith("keras.src.trainers") for kind in type(model).__mro__)


def layers_of(model: keras.Model) -> list[keras.Layer]:
    """All layers in a model, those in layers too."""
    return list(model._flatten_layers(include_self=False))


def own_variables(model: keras.Model) -> list[keras.Variable]:
    """The variables that were made to be trained, whether or not they are frozen now."""
    found = {id(v): v for layer in (model, *layers_of(model)) for v in layer._trainable_variables}
    return list(found.values())


@contextlib.contextmanager
def trained_as(model: keras.Model, trained: Container[int]) -> Iterator[None]:
    """Within it `trainable` says of each variable, and of the layers that hold one, what is given.

    Args:
        model: the model.
        trained: the ids of the Keras variables that are trained.
    """
    kept: list[tuple[Any, bool]] = []

    def put(thing: Any, value: bool) -> None:
        kept.append((thing, thing._trainable))
        thing._trainable = value

    for layer in (*layers_of(model), model):
        inner = [v for part in (layer, *layers_of(layer)) for v in part._trainable_variables]
        if not layer.trainable and any(id(v) in trained for v in inner):
            put(layer, True)
    for variable in own_variables(model):
        if variable.trainable != (id(variable) in trained):
            put(variable, not variable.trainable)
    try:
        yield
    finally:
        for thing, value in reversed(kept):
            thing._trainable = value


def name_of(model: keras.Model, variable: tf.Variable) -> str:
    """Where in a model a variable of TensorFlow's own is held, as a path with the model's name; its own name if nowhere."""
    for layer in (model, *layers_of(model)):
        for attribute, held in vars(layer).items():
            if not attribute.startswith("_") and any(v is variable for v in _flat(held)):
                return f"{layer.path or layer.name}/{attribute}"
    return f"{model.name}/{variable.name.partition(':')[0]}"


def raw_variables(model: keras.Model) -> Iterator[tuple[str, tf.Variable]]:
    """The variables of TensorFlow's own in the attributes of a model and its layers, by path."""
    for layer in (model, *layers_of(model)):
        for attribute, held in vars(layer).items():
            for variable in _flat(held):
                if isinstance(variable, tf.Variable) and not attribute.startswith("_") and variable.trainable:
                    yield f"{layer.path or layer.name}/{attribute}", variable


def _flat(held: Any) -> list[Any]:
    """What an attribute holds: itself, or what is in a collection."""
    if isinstance(held, list | tuple):
        return list(held)
    return list(held.values()) if isinstance(held, dict) else [held]
