"""The joints of Keras and TensorFlow at which a training step can be watched without changing it.

`keras.Layer.__call__` (what a layer gives), `tf.GradientTape.gradient` (what is differentiated), `Optimizer.apply`
(what trains the model), `tf.distribute.Strategy.run` (what each replica runs) and the call of a `tf.function` are
wrapped while a watched step is traced or, when eager, runs, and put back afterwards. A wrapper does nothing in a thread
without a listener, so that another training in another thread is not touched; under `MirroredStrategy` each replica
thread has its own.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import keras
import tensorflow as tf


class Listener(Protocol):
    """Who is told, in the thread that it listens in. Each method runs the original exactly once, and here nothing else."""

    def on_layer(self, call: Callable[..., Any], layer: keras.Layer, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Runs `call(*args, **kwargs)`, the layer's own `__call__`, and gives back what it gave."""
        return call(*args, **kwargs)

    def on_gradient(self, gradient: Callable[..., Any], tape: tf.GradientTape, target: Any, sources: Any, **kw: Any) -> Any:
        """Runs `gradient(target, sources, ...)`, the tape's own, and gives back what it gave."""
        return gradient(target, sources, **kw)

    def on_apply(self, apply: Callable[..., Any], optimizer: Any, grads: Any, variables: Any) -> Any:
        """Runs `apply(grads, variables)`, the optimizer's own."""
        return apply(grads, variables)

    def on_function(self, call: Callable[..., Any], function: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Runs `call(*args, **kwargs)`, a function made by `tf.function`, and gives back what it gave."""
        return call(*args, **kwargs)

    def on_run(self, run: Callable[..., Any], strategy: Any, function: Any, args: Any, kwargs: Any) -> Any:
        """Runs `run(function, args, kwargs)`, the strategy's own, and gives back what it gave."""
        return run(function, args, kwargs)


_TRACED = type(tf.function(lambda: None))


class _Listeners(threading.local):
    def __init__(self) -> None:
        self.stack: list[Listener] = []


_listeners = _Listeners()
_lock = threading.Lock()
_installed = 0
_undo: list[Callable[[], None]] = []


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within it, in this thread, `listener` is told. Nested listeners are told from the outside in."""
    _listeners.stack.append(listener)
    try:
        yield
    finally:
        _listeners.stack.remove(listener)


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Within it the joints are wrapped; afterwards, whatever happened, they are as they were."""
    global _installed
    with _lock:
        if _installed == 0:
            _install()
        _installed += 1
    try:
        yield
    finally:
        with _lock:
            _installed -= 1
            if _installed == 0:
                while _undo:
                    _undo.pop()()


def _install() -> None:
    _wrap(keras.Layer, "__call__", _layer_call)
    _wrap(tf.GradientTape, "gradient", _tape_gradient)
    for optimizer in _with_an_apply(keras.optimizers.Optimizer):
        _wrap(optimizer, "apply", _optimizer_apply)
    _wrap(tf.distribute.Strategy, "run", _strategy_run)
    _wrap(_TRACED, "__call__", _function_call)


def _with_an_apply(base: type) -> Iterator[type]:
    """The class and those made of it, by whomever, that have an `apply` of their own."""
    found: list[type] = [base]
    for kind in found:  # grows while it is read
        made: list[type] = kind.__subclasses__()
        found += [one for one in made if one not in found]
    return (kind for kind in found if kind is base or "apply" in vars(kind))


def _wrap(owner: type, name: str, wrapper: Callable[..., Any]) -> None:
    """Puts `wrapper(original, self, ...)` in the place of `owner.name`, remembering whether it was inherited."""
    own = owner.__dict__.get(name)
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return wrapper(original, self, *args, **kwargs)

    setattr(owner, name, wrapped)
    _undo.append(lambda: setattr(owner, name, own) if own is not None else delattr(owner, name))


def _tell(original: Callable[..., Any], self: Any, say: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls `original` through every listener of this thread, the outermost first."""
    stack = list(_listeners.stack)
    if not stack:
        return original(self, *args, **kwargs)
    call: Callable[..., Any] = functools.partial(original, self)
    for listener in reversed(stack):
        call = functools.partial(say, listener, call)
    return call(*args, **kwargs)


def _layer_call(original: Callable[..., Any], layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
    def say(listener: Listener, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return listener.on_layer(call, layer, args, kwargs)

    return _tell(original, layer, say, *args, **kwargs)


def _tape_gradient(
    original: Callable[..., Any], tape: tf.GradientTape, target: Any, sources: Any, *args: Any, **kwargs: Any
) -> Any:
    names = ("output_gradients", "unconnected_gradients")
    kwargs.update(zip(names, args, strict=False))

    def say(listener: Listener, gradient: Callable[..., Any], target: Any, sources: Any, **kwargs: Any) -> Any:
        return listener.on_gradient(gradient, tape, target, sources, **kwargs)

    return _tell(original, tape, say, target, sources, **kwargs)


def _function_call(original: Callable[..., Any], function: Any, *args: Any, **kwargs: Any) -> Any:
    def say(listener: Listener, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return listener.on_function(call, function, args, kwargs)

    return _tell(original, function, say, *args, **kwargs)


def _optimizer_apply(original: Callable[..., Any], optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
    def say(listener: Listener, apply: Callable[..., Any], grads: Any, variables: Any) -> Any:
        return listener.on_apply(apply, optimizer, grads, variables)

    return _tell(original, optimizer, say, grads, trainable_variables)


def _strategy_run(
    original: Callable[..., Any], strategy: Any, fn: Any, args: Any = (), kwargs: Any = None, **more: Any
) -> Any:
    def say(listener: Listener, run: Callable[..., Any], fn: Any, args: Any, kwargs: Any, **more: Any) -> Any:
        return listener.on_run(functools.partial(run, **more), strategy, fn, args, kwargs)

    return _tell(original, strategy, say, fn, args, kwargs, **more)
