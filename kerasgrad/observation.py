"""What the taps saw in one training step, before anything is computed from it.

The tensors belong to whichever framework the step ran in; this module never looks inside them. It is the one noun that
`taps` hands to `statistics`, so that the two rooms need not know each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Tensor = Any
"""A framework tensor; on the ground floor nobody asks which."""


@dataclass(frozen=True)
class Activation:
    """How a layer's output behaves, as far as units can die or saturate in it.

    Attributes:
        name: such as `"relu"`; `"unknown"` where it could not be told.
        watched: units of it can die or fall dormant (it can be exactly zero, or flat).
        saturates: `"tanh"` or `"sigmoid"` where its outputs are those of that curve, else `""`.
        nonnegative: no output is below zero, for certain.
    """

    name: str
    watched: bool = False
    saturates: str = ""
    nonnegative: bool = False


@dataclass
class Part:
    """One float tensor of a layer's output in one call.

    Attributes:
        output: `[batch, ..., units]`.
        mask: bool, the leading axes of `output`, or None.
        signal: gradient of the loss w.r.t. `output`, or None where none reached it.
    """

    output: Tensor
    mask: Tensor | None = None
    signal: Tensor | None = None


@dataclass
class LayerSeen:
    """A layer of the forward pass: one row.

    Attributes:
        path: unique name of the row.
        units: length of the last axis, 0 where that is unknown or differs between parts.
        activation: what it applies.
        parts: one per output tensor and call, in order.
        time_input: for a recurrent layer, its input `[batch, time, ...]` with mask and signal.
        not_examined: why there is no activation or signal, by statistic family.
    """

    path: str
    units: int = 0
    activation: Activation = field(default_factory=lambda: Activation("unknown"))
    parts: list[Part] = field(default_factory=list)
    time_input: Part | None = None
    not_examined: dict[str, str] = field(default_factory=dict)


@dataclass
class VariableSeen:
    """A trainable variable: one row.

    Attributes:
        path: unique name of the row.
        layer: index of the layer row that owns it, -1 where none does.
        size: number of entries.
        gradient: unscaled, summed over replicas; dense or (values, indices); None where none arrived.
        clipped: the same after the optimizer's clipping, None where it does not clip.
        before: value before the update.
        after: value after the update, None where no optimizer was applied to it.
    """

    path: str
    layer: int
    size: int
    gradient: Tensor | None = None
    clipped: Tensor | None = None
    before: Tensor | None = None
    after: Tensor | None = None


@dataclass
class Observation:
    """All that was seen in one step. Scalars are tensors, or None where the step has none."""

    layers: list[LayerSeen]
    variables: list[VariableSeen]
    loss: Tensor | None = None
    loss_scale: Tensor | None = None
    learning_rate: Tensor | None = None
    iteration: Tensor | None = None
    examples: Tensor | int | None = None
