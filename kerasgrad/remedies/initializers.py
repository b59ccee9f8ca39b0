"""Weights that begin anew, at a size that suits the layer."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

from kerasgrad.remedies.graph import ALL, Edit, Graph, copied
from kerasgrad.remedies.places import named
from kerasgrad.remedies.remedy import Given, by_graph

KERNELS = frozenset({"kernel", "depthwise_kernel", "pointwise_kernel", "recurrent_kernel"})
BIASES = frozenset({"bias", "beta"})
DEAD_AFTER = 10
"""Samples after which a unit that never fired counts as dead."""
SAME, CERTAIN = 1.1, 3.0
"""Factor within which two deviations are the same, or standard errors if that is more: a small kernel says little."""


def initializers_of(layer: Any, name: str, gain: float = 1.0) -> dict[str, Any]:
    """Entries of a layer's configuration for another initialiser of its kernels; a recurrent kernel's is orthogonal."""
    inner = getattr(layer, "forward_layer", layer)
    found = [f"{of}_initializer" for of in ("kernel", "depthwise", "pointwise") if hasattr(inner, f"{of}_initializer")]
    made: dict[str, Any] = dict.fromkeys(found)
    for entry in found:
        made[entry] = keras.initializers.Orthogonal(gain) if name == "orthogonal" else name
        made[entry] = keras.initializers.serialize(keras.initializers.get(made[entry]))
    if hasattr(inner, "recurrent_initializer"):
        made["recurrent_initializer"] = "orthogonal"
    return made


def use_he_initializer(given: Given, graph: Graph) -> Edit:
    """Kernels drawn anew with variance 2 / fan-in, which keeps a signal's size through ReLUs.

    Of the layers that the finding names, of all hidden ones where there is none. Kernels only: biases, normalisations and
    all other layers keep what they have. What those kernels had learnt is lost. One that this initialiser has
    drawn, and that still has its size, is left alone: it would only be another lot.

    Source: He et al. 2015, Delving deep into rectifiers, equation 10.
    """
    return _redrawn(given, graph, "he_normal")


def use_glorot_initializer(given: Given, graph: Graph) -> Edit:
    """Kernels drawn anew with variance 2 / (fan-in + fan-out), for tanh, sigmoid and linear layers.

    Else as `use_he_initializer`.

    Source: Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, equation 16.
    """
    return _redrawn(given, graph, "glorot_uniform")


def use_lecun_initializer(given: Given, graph: Graph) -> Edit:
    """Kernels drawn anew with variance 1 / fan-in, for tanh and SELU.

    Else as `use_he_initializer`.

    Source: LeCun et al. 1998, Efficient backprop, section 4.6; Klambauer et al. 2017, Self-normalizing neural networks.
    """
    return _redrawn(given, graph, "lecun_normal")


def use_orthogonal_initializer(given: Given, graph: Graph) -> Edit:
    """Kernels drawn anew as orthogonal matrices, times the square root of 2 before a ReLU.

    Else as `use_he_initializer`.

    Source: Saxe et al. 2014, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks.
    """
    return _redrawn(given, graph, "orthogonal")


def _redrawn(given: Given, graph: Graph, name: str) -> Edit:
    edit = Edit()
    for block in named(given, graph):
        layer = block.first.layer
        entries = initializers_of(layer, name, np.sqrt(2) if "relu" in block.activation else 1.0)
        if entries and not _is_drawn(layer, entries):
            edit.add(
                f"{block.first.path}: kernel drawn anew, {name}",
                replace=(layer, functools.partial(copied, layer, **entries)),
                redraw=(layer, KERNELS),
            )
    return edit


def _is_drawn(layer: Any, entries: dict[str, Any]) -> bool:
    """Whether the kernels of a layer are of these very initialisers, and still of their size."""
    for entry, made in entries.items():
        fresh: Any = keras.initializers.get(made)
        own = getattr(layer, entry, None)
        kernel = getattr(layer, f"{entry.removesuffix('_initializer')}_kernel", getattr(layer, "kernel", None))
        if not isinstance(own, type(fresh)) or kernel is None:
            return False
        ratio = float(np.std(kernel)) / float(np.std(fresh(kernel.shape)))
        if abs(np.log(max(ratio, 1e-30))) > max(np.log(SAME), CERTAIN / np.sqrt(np.prod(kernel.shape))):
            return False
    return True


def reset_biases(given: Given, graph: Graph) -> Edit:
    """Biases, and the shifts of normalisations, back to zero.

    Of the layers that the finding names, of all hidden ones where there is none. Kernels and all else are kept.

    Source: zero is what Keras and most papers begin with; Lu et al. 2019, Dying ReLU and initialization, for what a
    negative start does.
    """
    edit = Edit()
    for block in named(given, graph):
        for call in block.calls:
            biased = [v.name for v in getattr(call.layer, "weights", ()) if v.name in BIASES and np.any(np.asarray(v))]
            if biased and not hasattr(call.layer, "cell") and not hasattr(call.layer, "forward_layer"):
                edit.add(f"{call.path}: {' and '.join(biased)} back to 0", values=(call.layer, _zero_biases))
    return edit


def _zero_biases(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: v * 0 if name in BIASES else v for name, v in weights.items()}


def reset_dead_units(given: Given, graph: Graph) -> Edit:
    """Units that never fire begin anew: the weights into them are drawn again (He) and their bias is zero.

    With a run, exactly the units that did not fire in its window; without one, all units of the layers that the finding
    names. All other weights are kept, those that lead out of a unit too. Of convolutions a unit is a channel.

    Source: Sokar et al. 2023, The dormant neuron phenomenon in deep reinforcement learning (ReDo).
    """
    edit = Edit()
    for block in named(given, graph):
        layer = block.first.layer
        if not hasattr(layer, "kernel") or hasattr(layer, "cell"):
            continue
        dead = _dead(given, block)
        if dead is None:
            if given.finding is None:
                continue
            biases = {id(c.layer): BIASES for c in block.calls[1:]}
            he = initializers_of(layer, "he_normal") | {"bias_initializer": "zeros"}
            edit.redraw |= biases
            edit.add(
                f"{block.first.path}: all units begin anew",
                replace=(layer, functools.partial(copied, layer, **he)),
                redraw=(layer, ALL),
            )
        elif dead.any():
            edit.add(f"{block.first.path}: {dead.sum()} of {len(dead)} units begin anew", values=(layer, _begun_anew(dead)))
    return edit


def _dead(given: Given, block: Any) -> Any:
    """Which units of a block did not fire in the run's window; None where that is not known."""
    if given.run is None or not len(given.run):
        return None
    path = next((call.path for call in reversed(block.calls) if call.path in given.run.units), None)
    if path is None or given.run.units[path].samples < DEAD_AFTER:
        return None
    window = min(int(given.run.facts.get("window", DEAD_AFTER)), len(given.run))
    return given.run.units[path].last_fired < given.run.steps[-window]


def _begun_anew(dead: Any) -> Any:
    def changed(weights: dict[str, Any]) -> dict[str, Any]:
        kernel = np.array(weights["kernel"])
        fresh = np.asarray(keras.initializers.HeNormal()(kernel.shape), kernel.dtype)
        kernel[..., dead] = fresh[..., dead]
        bias = {"bias": np.where(dead, 0, weights["bias"]).astype(kernel.dtype)} if "bias" in weights else {}
        return weights | {"kernel": kernel} | bias

    return changed


REMEDIES = (
    by_graph(use_he_initializer, 'keras.layers.Dense(units, kernel_initializer="he_normal")'),
    by_graph(use_glorot_initializer, 'keras.layers.Dense(units, kernel_initializer="glorot_uniform")'),
    by_graph(use_lecun_initializer, 'keras.layers.Dense(units, kernel_initializer="lecun_normal")'),
    by_graph(use_orthogonal_initializer, 'keras.layers.Dense(units, kernel_initializer="orthogonal")'),
    by_graph(reset_biases, "layer.bias.assign(keras.ops.zeros_like(layer.bias))"),
    by_graph(
        reset_dead_units,
        "fresh = keras.initializers.HeNormal()(layer.kernel.shape)\n"
        "layer.kernel.assign(keras.ops.where(dead, fresh, layer.kernel))  # dead: bool [units], from run.units\n"
        "layer.bias.assign(keras.ops.where(dead, 0.0, layer.bias))",
        needs=("run", "finding"),
    ),
)
