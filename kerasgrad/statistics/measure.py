"""One observed step to a handful of tensors, computed inside the step itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kerasgrad.observation import LayerSeen, Observation, Part
from kerasgrad.statistics import histogram
from kerasgrad.statistics.joined import Joined, by_width
from kerasgrad.statistics.moments import COLUMNS, moments, square_sums
from kerasgrad.statistics.readings import Reading, count_true, counted, spread

GRADIENT_COLUMNS = (*COLUMNS, "clipped_square_sum", "weight_square_sum", "update_square_sum")
SIGNAL_COLUMNS = ("signal_count", "signal_square_sum", "saturated")
LAYER_COLUMNS = (*COLUMNS, *SIGNAL_COLUMNS)
OVERALL_COLUMNS = ("loss", "loss_scale", "learning_rate", "iteration", "examples")

SATURATION = 0.97
"""|tanh| beyond which a unit counts as saturated (Karpathy 2022)."""

_NAN = float("nan")
ABSENT = -1.0
"""In the place of a sum of squares that was not taken; NaN there is a NaN that was found."""


def measure(observation: Observation, *, compiled: bool, histograms: bool) -> dict[str, Any]:
    """Raw moments of all that was seen.

    Args:
        observation: the step.
        compiled: whether XLA compiles the step, which rules out tensors whose size depends on data.
        histograms: whether to count gradients into bins as well.

    Returns:
        float64 tensors: `variables [rows, GRADIENT_COLUMNS]`, `layers [rows, LAYER_COLUMNS]`, `overall
        [OVERALL_COLUMNS]`; `units [2, units]`, per unit of every watched layer the sums of |a| and |s|;
        `time/<row> [time, 2]`, per time step the count and sum of squares of the signal; `histogram [layers, bins]`.
        What is missing is NaN, in the three last columns of the variables `ABSENT`.
    """
    gradients = [_values(v.gradient, compiled) for v in observation.variables]
    outputs = _outputs(observation)
    measured = {
        "variables": _variables(observation, gradients, compiled),
        "layers": _layers(observation, outputs, compiled),
        "overall": _scalars([getattr(observation, name) for name in OVERALL_COLUMNS]),
        "units": _units(observation, outputs),
    }
    for row, layer in enumerate(observation.layers):
        if layer.time_input is not None:
            measured[f"time/{row}"] = _over_time(layer.time_input)
    if histograms:
        sizes, owners = [v.size for v in observation.variables], [v.layer for v in observation.variables]
        measured["histogram"] = histogram.counts(gradients, sizes, owners, len(observation.layers))
    return measured


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


def _outputs(observation: Observation) -> list[list[Output]]:
    """Reads every part of every layer, and what several statistics need of it only once."""
    outputs = []
    for layer in observation.layers:
        signals = [None if part.signal is None else Reading.of(part.signal, part.mask) for part in layer.parts]
        parts = [Output(Reading.of(p.output, p.mask), s) for p, s in zip(layer.parts, signals, strict=True)]
        if layer.activation.nonnegative:
            for part in parts:
                part.activation.magnitude = part.activation.tensor
        outputs.append(parts)
    followed = [part for layer, parts in zip(observation.layers, outputs, strict=True) if watched(layer) for part in parts]
    for output, sums in zip(followed, unit_sums([part.activation for part in followed]), strict=True):
        output.activity = sums
        if output.activation.magnitude is output.activation.tensor:
            output.activation.total = tf.reduce_sum(sums)
    with_signal = [part for part in followed if part.signal is not None]
    for output, sums in zip(with_signal, unit_sums([p.signal for p in with_signal if p.signal is not None]), strict=True):
        output.unit_signal = sums
    return outputs


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


def _values(gradient: Any, compiled: bool) -> Any:
    """A gradient as a tensor whose entries are those of the dense one, less zeros that a sparse one leaves out."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    if compiled:
        return tf.convert_to_tensor(gradient)
    # Repeated ids add up: the norm is that of the sums.
    _, positions = tf.unique(tf.reshape(gradient.indices, [-1]))
    rows = tf.reshape(gradient.values, [tf.size(gradient.indices), -1])
    return tf.math.unsorted_segment_sum(rows, positions, tf.reduce_max(tf.concat([positions, [-1]], 0)) + 1)


def _variables(observation: Observation, gradients: list[Any], compiled: bool) -> Any:
    seen = observation.variables
    columns = _scattered(moments([Reading.of(g) for g in gradients if g is not None], compiled), gradients)
    count, zeros = columns[:, COLUMNS.index("count")], columns[:, COLUMNS.index("zeros")]
    sizes = tf.constant([float(v.size) for v in seen], tf.float64)
    # Rows that a sparse gradient leaves out are zeros.
    counts = tf.stack([sizes, zeros + sizes - count], axis=1)
    clipped = [None if v.clipped is None else _values(v.clipped, compiled) for v in seen]
    updates = [None if v.after is None else Reading.of(v.after).tensor - Reading.of(v.before).tensor for v in seen]
    norms = [
        _scattered(square_sums([Reading.of(t) for t in tensors if t is not None], compiled)[:, 1:], tensors, ABSENT)
        for tensors in (clipped, [v.before for v in seen], updates)
    ]
    return tf.concat([counts, columns[:, 2:], *norms], axis=1)


def _scattered(rows: Any, present: list[Any], absent: float = _NAN) -> Any:
    """Puts one row for each tensor that is there into its place; `absent` for those that are None."""
    if not present:
        return rows
    positions = [0] * len(present)
    given = 0
    for i, tensor in enumerate(present):
        if tensor is not None:
            given += 1
            positions[i] = given
    missing = tf.fill([1, rows.shape[1]], tf.constant(absent, tf.float64))
    return tf.gather(tf.concat([missing, rows], axis=0), positions)


def _layers(observation: Observation, outputs: list[list[Output]], compiled: bool) -> Any:
    each = [(row, output) for row, parts in enumerate(outputs) for output in parts]
    signals = [(row, output.signal) for row, output in each if output.signal is not None]
    columns = [
        _by_layer(moments([output.activation for _, output in each], compiled), [row for row, _ in each], len(outputs)),
        _by_layer(square_sums([signal for _, signal in signals], compiled), [row for row, _ in signals], len(outputs)),
    ]
    saturated = [_saturated(layer) for layer in observation.layers]
    return tf.concat([*columns, _scalars(saturated)[:, None]], axis=1)


def _by_layer(each: Any, rows: list[int], layers: int) -> Any:
    """Numbers of all parts of each layer together: sums add up, the largest magnitude is that of all; NaN without parts."""
    if rows == list(range(layers)):  # one tensor each, as in most models
        return each
    if not rows:
        return tf.fill([layers, each.shape[1]], tf.constant(_NAN, tf.float64))
    merged = tf.math.unsorted_segment_sum(each, rows, layers)
    if each.shape[1] == len(COLUMNS):
        largest = tf.math.unsorted_segment_max(each[:, -1:], rows, layers)
        merged = tf.concat([merged[:, :-1], largest], axis=1)
    return _blank(merged, set(range(layers)) - set(rows))


def _blank(rows: Any, missing: set[int]) -> Any:
    """NaN in the rows that have nothing."""
    flags = tf.constant([[row in missing] for row in range(rows.shape[0])], tf.bool, [rows.shape[0], 1])
    return tf.where(flags, tf.constant(_NAN, tf.float64), rows)


def _saturated(layer: LayerSeen) -> Any:
    """How many entries lie on the flat ends of tanh or sigmoid; None for another activation."""
    if not layer.activation.saturates or not layer.parts:
        return None
    total = tf.constant(0.0, tf.float64)
    for part in layer.parts:
        centred = part.output if layer.activation.saturates == "tanh" else 2 * part.output - 1
        flat = tf.abs(centred) > SATURATION
        if part.mask is not None:
            flat &= spread(part.mask, flat)
        total += count_true(flat)
    return total


def watched(layer: LayerSeen) -> bool:
    """Whether units of the layer are followed one by one."""
    return layer.activation.watched and layer.units > 0


def _units(observation: Observation, outputs: list[list[Output]]) -> Any:
    followed = [(layer.units, parts) for layer, parts in zip(observation.layers, outputs, strict=True) if watched(layer)]
    if not followed:
        return tf.zeros([2, 0], tf.float64)
    activity = [_added([output.activity for output in parts], units) for units, parts in followed]
    signal = [_added([output.unit_signal for output in parts], units) for units, parts in followed]
    return tf.stack([tf.concat(activity, axis=0), tf.concat(signal, axis=0)])


def _added(sums: list[Any], units: int) -> Any:
    """What all parts of a layer add up to, for each unit; NaN where there is nothing to add."""
    given = [s for s in sums if s is not None]
    return tf.add_n(given) if given else tf.fill([units], tf.constant(_NAN, tf.float64))


def _over_time(part: Part) -> Any:
    """Count and sum of squares for each time step (axis 1), float64 `[time, 2]`."""
    reading = Reading.of(tf.cast(part.signal, tf.float64), part.mask)
    signal, axes = reading.tensor, [0, *range(2, reading.tensor.shape.rank)]
    sums = [tf.reduce_sum(entries, axes) for entries in (counted(signal, reading.mask), tf.square(signal))]
    return tf.stack(sums, axis=1)


def _scalars(values: list[Any]) -> Any:
    if not values:
        return tf.zeros([0], tf.float64)
    return tf.stack([tf.constant(_NAN, tf.float64) if v is None else tf.cast(v, tf.float64) for v in values])
