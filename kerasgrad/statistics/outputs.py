"""What layers put out, read once for all statistics, and the sums of single units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kerasgrad.observation import LayerSeen, Observation
from kerasgrad.statistics.joined import Joined, by_width
from kerasgrad.statistics.readings import Reading


@dataclass
class Output:
    """One part of a layer's output, ready to be measured.

    Attributes:
        activation: the output itself.
        signal: the gradient that reached it, or None.
        activity: per unit, the sum of |activation|, float64 `[units]`; None where units are not followed.
        unit_signal: per unit, the sum of |signal|, likewise.
    """

    activation: Reading
    signal: Reading | None
    activity: Any = None
    unit_signal: Any = None


def outputs_of(observation: Observation) -> list[list[Output]]:
    """Reads every part of every layer, and what several statistics need of it only once."""
    found = []
    for layer in observation.layers:
        signals = [None if part.signal is None else Reading.of(part.signal, part.mask) for part in layer.parts]
        parts = [Output(Reading.of(p.output, p.mask), s) for p, s in zip(layer.parts, signals, strict=True)]
        if layer.activation.nonnegative:
            for part in parts:
                part.activation.magnitude = part.activation.tensor
        found.append(parts)
    followed = [part for layer, parts in zip(observation.layers, found, strict=True) if watched(layer) for part in parts]
    for output, sums in zip(followed, unit_sums([part.activation for part in followed]), strict=True):
        output.activity = sums
        if output.activation.magnitude is output.activation.tensor:
            output.activation.total = tf.reduce_sum(sums)
    with_signal = [part for part in followed if part.signal is not None]
    for output, sums in zip(with_signal, unit_sums([p.signal for p in with_signal if p.signal is not None]), strict=True):
        output.unit_signal = sums
    return found


def unit_sums(readings: list[Reading]) -> list[Any]:
    """Sum of magnitudes for each unit.

    Args:
        readings: tensors `[..., units]` with known units; the magnitudes that this needs are left in them.

    Returns:
        For each, float64 `[units]`.
    """
    flat = []
    for reading in readings:
        tensor = reading.tensor
        if tensor.shape.rank > 2:
            # Within each example first, which runs at memory speed; those sums are few and are added in float64.
            if reading.magnitude is None:
                reading.magnitude = tf.abs(tensor)
            tensor = tf.reduce_sum(reading.magnitude, axis=list(range(1, tensor.shape.rank - 1)))
        flat.append(tf.reshape(tensor, [-1, tensor.shape[-1]]))
    sums: list[Any] = [None] * len(flat)
    for same in by_width({i: int(tensor.shape[-1]) for i, tensor in enumerate(flat)}):
        joined = Joined.of([flat[i] for i in same])
        for i, row in zip(same, tf.unstack(joined.sum(tf.abs(tf.cast(joined.rows, tf.float64)))), strict=True):
            sums[i] = row
    return sums


def watched(layer: LayerSeen) -> bool:
    """Whether units of the layer are followed one by one."""
    return layer.activation.watched and layer.units > 0


def units(observation: Observation, outputs: list[list[Output]]) -> Any:
    """Sums of |a| and of |s| for each unit of the layers in which units are followed, float64 `[2, units]`."""
    followed = [(layer.units, parts) for layer, parts in zip(observation.layers, outputs, strict=True) if watched(layer)]
    if not followed:
        return tf.zeros([2, 0], tf.float64)
    activity = [_added([output.activity for output in parts], units) for units, parts in followed]
    signal = [_added([output.unit_signal for output in parts], units) for units, parts in followed]
    return tf.stack([tf.concat(activity, axis=0), tf.concat(signal, axis=0)])


def _added(sums: list[Any], units: int) -> Any:
    """What all parts of a layer add up to, for each unit; NaN where there is nothing to add."""
    given = [s for s in sums if s is not None]
    return tf.add_n(given) if given else tf.fill([units], tf.constant(float("nan"), tf.float64))
