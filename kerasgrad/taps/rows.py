"""The rows of a model: which layers and variables a sample has numbers of, in which order."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import keras

from kerasgrad.observation import LayerSeen
from kerasgrad.taps.gradients import Trained


@dataclass
class Rows:
    """The rows of a model, fixed by the first watched step, shared by traces, eager steps and replicas.

    Attributes:
        layers: row index by layer id.
        kinds: of each row's layer, where in the model and of which class.
        held: the layers themselves, so that their ids stay theirs.
        variables: the trainable variables in row order.
        owners: layer row of each variable, -1 for none.
        seen: what is the same in every step: path, units, activation, as empty `LayerSeen`.
        variable_paths: unique path of each variable.
        not_examined: why something has no numbers, by path.
        output: path of the layer that gives the model's output, the last that was called; `""` if it has no row.
        losses: how many losses the step differentiates, each for variables of its own.
        stale: layers of which `trainable` does not say what Keras does, see `trace_state.stale`.
    """

    layers: dict[int, int] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)
    held: list[keras.Layer] = field(default_factory=list)
    variables: list[Trained] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    seen: list[LayerSeen] = field(default_factory=list)
    variable_paths: list[str] = field(default_factory=list)
    not_examined: dict[str, str] = field(default_factory=dict)
    output: str = ""
    losses: int = 1
    stale: dict[str, list[str]] = field(default_factory=dict)
    fixed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
