"""One observed step to a handful of tensors, computed inside the step itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from kerasgrad.catalogue.moments import ACTIVATION, GRADIENT, NORMS, SATURATED, SIGNAL, STEP
from kerasgrad.catalogue.of_layers import SATURATION
from kerasgrad.catalogue.statistic import OF_LAYERS, OF_VARIABLES, Moment, Quantity
from kerasgrad.observation import LayerSeen, Observation, Part, VariableSeen
from kerasgrad.statistics import histogram
from kerasgrad.statistics.columns import Columns
from kerasgrad.statistics.moments import merge_rows, moments, square_sums
from kerasgrad.statistics.outputs import Output, outputs_of, units
from kerasgrad.statistics.own_moments import Measurable, Previous, own_moment
from kerasgrad.statistics.readings import Reading, count_true, counted, spread

_NAN = float("nan")
ABSENT = -1.0
"""In the place of a sum of squares that was not taken; NaN there is a NaN that was found."""


def take_moments(
    observation: Observation,
    *,
    compiled: bool,
    histograms: bool,
    own: Sequence[Moment] = (),
    previous: Previous | None = None,
) -> dict[str, Any]:
    """Raw moments of all that was seen.

    Args:
        observation: the step.
        compiled: whether XLA compiles the step, which rules out tensors whose size depends on data.
        histograms: whether to count gradients into bins as well.
        own: moments besides those of every step.
        previous: keeps what moments need of the step before.

    Returns:
        float64. `Columns` by the keys of their moments: `variables` and `layers`, `[rows]` each, and `overall`. Tensors:
        `units [2, units]`, per unit of every watched layer the sums of |a| and |s|; `time/<row> [time, 2]`, per time step
        the count and sum of squares of the signal; `histogram [layers, bins]`. What is missing is NaN, of the sums of
        squares of updates, weights and clipped gradients `ABSENT`.
    """
    gradients = [_values(v.gradient, compiled) for v in observation.variables]
    outputs = outputs_of(observation)
    updates = [
        None if v.after is None else Reading.of(v.after).tensor - Reading.of(v.before).tensor for v in observation.variables
    ]
    tensors = {
        "gradient": gradients,
        "clipped": [None if v.clipped is None else _values(v.clipped, compiled) for v in observation.variables],
        "weight": [v.before for v in observation.variables],
        "update": updates,
    }
    asked = {quantity: [m for m in own if m.quantity == quantity] for quantity in (*OF_VARIABLES, *OF_LAYERS)}
    of_variables: dict[str, Any] = {}
    for quantity in OF_VARIABLES:
        if asked[quantity]:
            kept = _kept(asked[quantity], previous)
            rows = _rows_of_variables(observation, quantity, tensors=tensors[quantity], previous=kept)
            of_variables |= {moment.key: own_moment(moment, rows) for moment in asked[quantity]}
    of_layers = {m.key: own_moment(m, rows) for quantity, rows in _rows_of_layers(outputs).items() for m in asked[quantity]}
    measured = {
        "variables": _joined(_variables(observation, tensors, compiled=compiled), of_variables),
        "layers": _joined(_layers(observation, outputs, compiled=compiled), of_layers),
        "overall": Columns(_keys(STEP), _scalars([getattr(observation, moment.name) for moment in STEP])),
        "units": units(observation, outputs),
    }
    for row, layer in enumerate(observation.layers):
        if layer.time_input is not None:
            measured[f"time/{row}"] = _over_time(layer.time_input)
    if histograms:
        sizes, owners = [v.size for v in observation.variables], [v.layer for v in observation.variables]
        measured["histogram"] = histogram.counts(gradients, sizes, owners, len(observation.layers))
    return measured


def _keys(moments: Iterable[Moment]) -> tuple[str, ...]:
    return tuple(moment.key for moment in moments)


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


def _variables(observation: Observation, tensors: Mapping[str, list[Any]], *, compiled: bool) -> Columns:
    gradients = tensors["gradient"]
    found = moments([Reading.of(g) for g in gradients if g is not None], compiled)
    columns = Columns(found.keys, _scattered(found.values, gradients))
    sizes = tf.constant([float(v.size) for v in observation.variables], tf.float64)
    # Rows that a sparse gradient leaves out are zeros.
    counts = {"count": sizes, "zeros": columns["zeros"] + sizes - columns["count"]}
    of_gradient = tf.stack([counts[key] if key in counts else columns[key] for key in columns.keys], axis=1)
    norms = [_square_sum(tensors[moment.quantity], compiled) for moment in NORMS]
    return Columns(_keys((*GRADIENT, *NORMS)), tf.concat([of_gradient, *norms], axis=1))


def _square_sum(tensors: list[Any], compiled: bool) -> Any:
    found = square_sums([Reading.of(t) for t in tensors if t is not None], compiled)
    return _scattered(found["square_sum"][:, None], tensors, ABSENT)


def _rows_of_variables(
    observation: Observation, quantity: str, *, tensors: list[Any], previous: Previous | None
) -> list[list[Measurable]]:
    """The tensor of each variable, with what it was in the step before if `previous` keeps that."""
    rows = []
    for row, (tensor, variable) in enumerate(zip(tensors, observation.variables, strict=True)):
        before = None
        if previous is not None:
            # Of the variable's own shape, as a step can be compared with the next; zeros where there is none.
            whole = tf.zeros_like(variable.before) if tensor is None else _whole(variable, quantity, tensor=tensor)
            before = previous.exchange((quantity, row), whole)
            tensor = None if tensor is None else whole
        sparse = before is None and isinstance(getattr(variable, quantity, None), tf.IndexedSlices)
        size = variable.size if sparse else None
        rows.append([] if tensor is None else [Measurable(Reading.of(tensor), size, before)])
    return rows


def _kept(moments: Sequence[Moment], previous: Previous | None) -> Previous | None:
    return previous if any(moment.previous for moment in moments) else None


def _whole(variable: VariableSeen, quantity: str, *, tensor: Any) -> Any:
    """A tensor with the zeros that a sparse gradient leaves out."""
    return tf.convert_to_tensor(getattr(variable, quantity) if quantity in ("gradient", "clipped") else tensor)


def _rows_of_layers(outputs: list[list[Output]]) -> dict[Quantity, list[list[Measurable]]]:
    return {
        "activation": [[Measurable(part.activation) for part in parts] for parts in outputs],
        "signal": [[Measurable(part.signal) for part in parts if part.signal is not None] for parts in outputs],
    }


def _joined(columns: Columns, own: Mapping[str, Any]) -> Columns:
    """More columns beside those there are."""
    if not own:
        return columns
    return Columns((*columns.keys, *own), tf.concat([columns.values, tf.stack(list(own.values()), axis=1)], axis=1))


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


def _layers(observation: Observation, outputs: list[list[Output]], *, compiled: bool) -> Columns:
    each = [(row, output) for row, parts in enumerate(outputs) for output in parts]
    signals = [(row, output.signal) for row, output in each if output.signal is not None]
    columns = [
        _by_layer(moments([output.activation for _, output in each], compiled), [row for row, _ in each], len(outputs)),
        _by_layer(square_sums([signal for _, signal in signals], compiled), [row for row, _ in signals], len(outputs)),
    ]
    saturated = [_saturated(layer) for layer in observation.layers]
    keys = _keys((*ACTIVATION, *SIGNAL, *SATURATED))
    return Columns(keys, tf.concat([*columns, _scalars(saturated)[:, None]], axis=1))


def _by_layer(each: Columns, rows: list[int], layers: int) -> Any:
    """Numbers of all parts of each layer together: sums add up, the largest magnitude is that of all; NaN without parts."""
    if rows == list(range(layers)):  # one tensor each, as in most models
        return each.values
    if not rows:
        return tf.fill([layers, len(each.keys)], tf.constant(_NAN, tf.float64))
    merged = merge_rows(
        {key: each[key] for key in each.keys},
        ("largest",),
        add=lambda values: tf.math.unsorted_segment_sum(values, rows, layers),
        most=lambda values: tf.math.unsorted_segment_max(values, rows, layers),
    )
    return _blank(tf.stack([merged[key] for key in each.keys], axis=1), set(range(layers)) - set(rows))


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
