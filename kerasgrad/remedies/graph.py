"""A model's graph, read and put together anew with something changed, by Keras' own `clone_model`.

The model that is given is never touched: all layers of the copy are new. A layer that is not changed has the configuration,
the name, the weights and what else it would save of the one it was made from.

One long file: reading a graph, changing it and putting it together share one table of nodes.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras

from kerasgrad.remedies.training import recompiled
from kerasgrad.taps.layers import below

ALL = frozenset({"*"})
"""In the place of names of variables: all of them."""

Around = Callable[[Any, Any, Any, Any], Any]
"""Runs a call of the copy: from the call as it was seen, the new layer, its positional and its named arguments."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One call of a layer, or of an operation such as `+`.

    Attributes:
        layer: the layer, or the operation.
        path: its path without the model.
        inputs: the symbolic tensors that it was given.
        outputs: those that it gave.
    """

    layer: Any
    path: str
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]


@dataclass
class Graph:
    """The calls of a model, each after those whose outputs it takes.

    Attributes:
        calls: the calls.
        inputs: symbolic tensors that the model is given.
        outputs: those that it gives.
        inner: whether it is a model within a model, whose inputs are not those of the whole.
        ends: whether its outputs are those of the whole.
    """

    calls: list[Seen]
    inputs: list[Any]
    outputs: list[Any]
    inner: bool = False
    ends: bool = True

    @cached_property
    def makers(self) -> dict[int, Seen]:
        """By identity of a tensor the call that gave it."""
        return {id(tensor): call for call in self.calls for tensor in call.outputs}

    @cached_property
    def _users(self) -> dict[int, list[Seen]]:
        users: dict[int, list[Seen]] = {}
        for call in self.calls:
            for tensor in {id(t): t for t in call.inputs}.values():
                users.setdefault(id(tensor), []).append(call)
        return users

    @cached_property
    def _names(self) -> set[str]:
        return {call.layer.name for call in self.calls}

    def free(self, name: str) -> str:
        """A name for a new layer: this one, with a number behind it where the model has it already."""
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        unused = next(n for n in itertools.chain([name], numbered) if n not in self._names)
        self._names.add(unused)
        return unused

    def maker(self, tensor: Any) -> Seen | None:
        """The call that gave a tensor, None for an input."""
        return self.makers.get(id(tensor))

    def users(self, call: Seen) -> list[Seen]:
        """The calls that take what a call gave."""
        return list({id(u): u for tensor in call.outputs for u in self._users.get(id(tensor), ())}.values())

    def before(self, call: Seen) -> Seen | None:
        """The one call whose output a call takes; None where it takes several or an input."""
        return self.maker(call.inputs[0]) if len({id(t) for t in call.inputs}) == 1 else None

    def after(self, call: Seen) -> Seen | None:
        """The one call that takes what a call gave and nothing else; None where there are several or it is an output."""
        users = self.users(call)
        if len(users) != 1 or len({id(t) for t in users[0].inputs}) != 1 or self.is_output(call):
            return None
        return users[0]

    def is_output(self, call: Seen) -> bool:
        """Whether a call gives an output of the model."""
        ends = {id(t) for t in self.outputs}
        return any(id(t) in ends for t in call.outputs)

    def once(self, call: Seen) -> bool:
        """Whether the layer is called just once."""
        return sum(other.layer is call.layer for other in self.calls) == 1


@dataclass
class Edit:
    """What is to become different.

    Attributes:
        replace: by identity of a layer what makes the new one in its place.
        redraw: by identity of a layer names of the variables that begin anew, as the new layer makes them.
        values: by identity of a layer a function from its weights by name to those that become others.
        around: runs a call of the copy in another way; by identity of the call as it was seen.
        inputs: makes of each new input tensor what the layers are given in its place.
        branches: whether a chain becomes something else than a chain.
        thaws: whether a model that is frozen as a whole is so no more; each layer in it says for itself.
        said: what is changed, in words.
    """

    replace: dict[int, Callable[[], Any]] = field(default_factory=dict)
    redraw: dict[int, frozenset[str]] = field(default_factory=dict)
    values: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    around: dict[int, Around] = field(default_factory=dict)
    inputs: Callable[[Any], Any] | None = None
    branches: bool = False
    thaws: bool = False
    said: list[str] = field(default_factory=list)

    def add(self, said: str, **changes: Any) -> None:
        """Takes in a change: `replace=(layer, make)` and the like."""
        self.said.append(said)
        for what, (of, change) in changes.items():
            getattr(self, what)[id(of)] = change


Editor = Callable[[Graph], Edit]


def is_graph(model: Any) -> bool:
    """Whether a model is a graph of layers, Functional or Sequential, and not a class with a `call` of its own."""
    if isinstance(model, keras.Sequential):
        return bool(model.built)
    # A class with a `train_step` of its own may be made like a Functional model: then its `call` is that of Keras.
    inputs = getattr(model, "_inputs_struct", None)
    return inputs is not None and type(model).call.__module__.startswith("keras.")


def rebuilt(model: keras.Model, editor: Editor) -> tuple[keras.Model, list[str]]:
    """Puts a model together anew.

    Args:
        model: a Functional or Sequential model; models inside it are put together anew too.
        editor: from a graph to what is to become different in it.

    Returns:
        The copy, compiled as the model is, and what was changed.

    Raises:
        ValueError: a layer cannot be copied, since it has no configuration.
    """
    said: list[str] = []
    copy = _rebuilt(model, model, editor, said)
    return recompiled(copy, model), said


def unchanged(graph: Graph) -> Edit:
    """Edits nothing: the copy is as the model is."""
    return Edit()


def _rebuilt(model: keras.Model, root: keras.Model, editor: Editor, said: list[str], ends: bool = True) -> keras.Model:
    chain = isinstance(model, keras.Sequential)
    given = (model.inputs[0], model.outputs[0]) if chain else (model.input, model.output)
    shell = keras.Model(*given, name=model.name)
    graph = _survey(shell, root, model is not root, ends)
    edit = editor(graph)
    said += edit.said
    pairs: dict[int, tuple[Any, Any]] = {}

    def clone(layer: Any) -> Any:
        if isinstance(layer, keras.Model) and is_graph(layer):
            last = ends and any(call.layer is layer and graph.is_output(call) for call in graph.calls)
            return _rebuilt(layer, root, editor, said, last)
        new = edit.replace[id(layer)]() if id(layer) in edit.replace else copied(layer)
        pairs[id(layer)] = (layer, new)
        return new

    inputs = _fresh_inputs(shell)
    fed = {} if edit.inputs is None else {id(t): edit.inputs(t) for t in tensors(inputs)}
    calls = iter(graph.calls)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        seen = next(calls)
        if fed:
            args, kwargs = keras.tree.map_structure(lambda t: fed.get(id(t), t), (args, kwargs))
        around = edit.around.get(id(seen))
        return layer(*args, **kwargs) if around is None else around(seen, layer, args, kwargs)

    clone_of_shell = keras.models.clone_model(shell, input_tensors=inputs, clone_function=clone, call_function=call)
    copy = _as(model, inputs, clone_of_shell.output, chain and not edit.branches)
    for layer, new in pairs.values():
        _carry_over(layer, new, edit)
    if not model.trainable and not edit.thaws:  # setting it sets that of all layers inside
        copy.trainable = False
    return copy


def _survey(shell: keras.Model, root: keras.Model, inner: bool, ends: bool) -> Graph:
    """Reads the graph off a clone that is thrown away, so that the model's own layers are not called."""
    originals: dict[int, Any] = {}
    calls: list[Seen] = []

    def clone(layer: Any) -> Any:
        within = isinstance(layer, keras.Model) and is_graph(layer)
        new = _rebuilt(layer, root, unchanged, []) if within else copied(layer)
        originals[id(new)] = layer
        return new

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        original = originals[id(layer)]
        path = below(root, getattr(original, "path", None) or original.name)
        calls.append(Seen(original, path, tuple(tensors((args, kwargs))), tuple(tensors(outputs))))
        return outputs

    inputs = _fresh_inputs(shell)
    seen = keras.models.clone_model(shell, input_tensors=inputs, clone_function=clone, call_function=call)
    return Graph(calls, tensors(inputs), tensors(seen.output), inner, ends)


def _fresh_inputs(shell: keras.Model) -> Any:
    names = {id(layer.output): layer.name for layer in shell.layers if isinstance(layer, keras.layers.InputLayer)}
    return keras.tree.map_structure(
        lambda t: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=names.get(id(t), t.name)), shell.input
    )


def _as(model: keras.Model, inputs: Any, outputs: Any, chain: bool) -> keras.Model:
    """The copy, of the model's own class where that can be."""
    if chain:
        return keras.Sequential(keras.Model(inputs, outputs).layers, name=model.name)
    if isinstance(model, keras.Sequential):
        return keras.Model(inputs, outputs, name=model.name)
    try:
        return type(model)(inputs, outputs, name=model.name)
    except TypeError as error:
        raise ValueError(
            f"A {type(model).__name__} cannot be made from inputs and outputs alone: apply the remedy by hand. "
            f"Received: {error}"
        ) from error


def copied(layer: Any, cls: Any = None, **changes: Any) -> Any:
    """A new layer with the configuration of another.

    Args:
        layer: the layer, or the operation.
        cls: class of the new one; that of the layer if None.
        **changes: entries of the configuration that become others; in a wrapper those of the layers in it.

    Raises:
        ValueError: the layer has no configuration that it can be made from.
    """
    if isinstance(layer, keras.layers.Lambda):  # Keras does not make Python functions from a configuration
        given = {"output_shape": layer._output_shape, "arguments": layer.arguments, "dtype": layer.dtype_policy}
        return keras.layers.Lambda(layer.function, name=layer.name, **given)
    try:
        config = dict(layer.get_config())
        of = (
            [config]
            if "layer" not in config
            else [config[w]["config"] for w in ("layer", "backward_layer") if config.get(w)]
        )
        for inner in of:
            inner.update(changes)
        made = cls or type(layer)
        return made.from_config(config)
    except Exception as error:
        raise ValueError(
            f"The layer {layer.name!r} of type {type(layer).__name__} cannot be copied from its configuration. Give it a "
            f"get_config, or apply the remedy by hand. Received: {type(error).__name__}: {str(error).splitlines()[0][:200]}"
        ) from error


def _carry_over(layer: Any, new: Any, edit: Edit) -> None:
    """Gives a new layer the weights, and the other state, that are kept of the one it was made from."""
    if not isinstance(layer, keras.layers.Layer):
        return
    redraw = edit.redraw.get(id(layer), frozenset())
    if redraw == ALL:
        return
    if not redraw:
        _carry_state(layer, new, frozen=id(layer) not in edit.replace)
    old = dict(_named(layer))
    if id(layer) in edit.values:
        old |= edit.values[id(layer)]({name: keras.ops.convert_to_numpy(v) for name, v in old.items()})
    for name, variable in _named(new):
        short = name.rpartition("/")[2]
        if short not in redraw and name in old and tuple(old[name].shape) == tuple(variable.shape):
            variable.assign(old[name])


def _carry_state(layer: Any, new: Any, frozen: bool) -> None:
    """What a layer, and the layers in it, would save and load again, through Keras' own hooks: not all of it is weights.

    An adapted `Normalization` works with constants that it makes when it loads; vocabularies are tables.
    """
    pairs = list(zip(layer._flatten_layers(), new._flatten_layers(), strict=False))
    shapes = [[tuple(variable.shape) for variable in of.weights] for of in (layer, new)]
    if shapes[0] != shapes[1] or any(type(old) is not type(own) for old, own in pairs):
        return  # another kind of layer, or another size
    for old, own in pairs:
        if frozen:
            own.trainable = old.trainable  # a configuration says it of the outermost layer alone
        try:
            saved: dict[str, Any] = {}
            old.save_own_variables(saved)
            own.load_own_variables({name: keras.ops.convert_to_numpy(value) for name, value in saved.items()})
            if hasattr(old, "save_assets"):
                with tempfile.TemporaryDirectory() as folder:
                    old.save_assets(folder)
                    own.load_assets(folder)
                if hasattr(old, "get_vocabulary") and old.get_vocabulary() != own.get_vocabulary():
                    raise ValueError("its vocabulary has tokens that its own file cannot hold, such as line ends")
        except Exception as error:
            raise ValueError(
                f"The state of the layer {old.name!r} of type {type(old).__name__} cannot be carried over to a copy by what "
                "it saves and loads. Give it its state when it is made, such as `vocabulary=`, or apply the remedy by hand. "
                f"Received: {type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
            ) from error


def _named(layer: Any) -> Iterable[tuple[str, Any]]:
    """The weights by path below the layer; where paths repeat, numbered."""
    counts: dict[str, int] = {}
    for variable in layer.weights:
        name = variable.path.removeprefix(layer.path + "/") if layer.path else variable.path
        counts[name] = counts.get(name, 0) + 1
        yield (name if counts[name] == 1 else f"{counts[name]}/{name}"), variable


def tensors(structure: Any) -> list[Any]:
    """The symbolic tensors in a structure."""
    return [t for t in keras.tree.flatten(structure) if isinstance(t, keras.KerasTensor)]
