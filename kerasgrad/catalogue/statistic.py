"""What a statistic is: one object that says how it is measured, merged, finished and shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Of = Literal["variable", "layer", "overall"]
Quantity = Literal["gradient", "clipped", "weight", "update", "activation", "signal", "units", "step", "depth", "monitor"]
Merge = Literal["sum", "max", "same"]
Scale = Literal["logarithmic", "linear", "share", "count"]
Group = Literal["Gradients", "Weights and updates", "Activations", "Units", "Model"]

Moments = Mapping[str, Any]
"""Moments by key, such as `"gradient.square_sum"`: float64 arrays with the samples on the first axis."""

OF_VARIABLES: tuple[Quantity, ...] = ("gradient", "clipped", "weight", "update")
OF_LAYERS: tuple[Quantity, ...] = ("activation", "signal")

FLOAT32 = (1e-37, 3e38)
"""Magnitudes that float32 holds to seven digits."""


@dataclass(frozen=True)
class Moment:
    """A number taken of a tensor inside the training step, from which statistics are finished on the host.

    Moments of several calls, time steps, variables of a layer and replicas are merged before anything is finished, so a
    statistic never needs to know how many there were.

    Attributes:
        quantity: the tensor: `"gradient"`, `"clipped"` (the gradient after clipping), `"weight"` (before the update),
            `"update"`, `"activation"` or `"signal"` (the gradient at a layer's output). The other quantities are filled
            in by the monitor.
        name: noun phrase, such as `"square_sum"`.
        entries: from the tensor's entries in float64 to one number an entry, which are then merged. It must work on an
            array of any shape, entry by entry: `lambda g: g**4`. With `previous` it takes the tensor of this step and
            that of the step before. None where the monitor measures the moment itself.
        merge: how entries, calls and replicas are merged: `"sum"`, `"max"`, or `"same"` where all replicas have one value.
        previous: whether it needs the tensor of the step before, of which a copy is kept on the device.
    """

    quantity: Quantity
    name: str
    entries: Callable[..., Any] | None = None
    merge: Merge = "sum"
    previous: bool = False

    @property
    def key(self) -> str:
        """`quantity.name`, the key in what `Statistic.finish` is given."""
        return f"{self.quantity}.{self.name}"


@dataclass(frozen=True)
class Statistic:
    """One number per row and sample.

    Give `GradientMonitor(statistics=[...])` one of your own: it is computed inside the step and is then in the run, the
    event file and the tab, and at hand for rules, like every other.

    Attributes:
        name: noun phrase, the key everywhere.
        of: what a row of it is: `"variable"`, `"layer"` or `"overall"` (one number a sample).
        unit: unit of the number; `"1"` where it has none.
        formula: how it is computed, in the notation of `kerasgrad.catalogue`.
        source: paper or definition it follows, empty for plain moments.
        moments: what it is made of: moments, or keys of those that every step measures (`kerasgrad.catalogue.MEASURED`).
        finish: from moments by key, float64 `[samples, rows]` (`[samples]` of the whole model), to the statistic of the
            same shape. Computed on the host.
        scale: `"logarithmic"` for magnitudes over many orders, `"share"` for 0 to 1, `"count"`, or `"linear"`.
        group: where the tab lists it.
        range: magnitudes within which float32, in which it is kept, holds it.

    Raises:
        ValueError: a field is not one of those, or the moments and the rows do not fit together.

    Example:
        >>> from kerasgrad.catalogue import Moment, Statistic
        >>> mean_size = Statistic(
        ...     "gradient_mean_size",
        ...     "layer",
        ...     "loss/weight",
        ...     "sum |g| / n",
        ...     moments=("gradient.count", Moment("gradient", "size_sum", abs)),
        ...     finish=lambda m: m["gradient.size_sum"] / m["gradient.count"],
        ... )
        >>> monitor = kerasgrad.GradientMonitor(statistics=[mean_size])
    """

    name: str
    of: Of
    unit: str
    formula: str
    source: str = ""
    moments: tuple[str | Moment, ...] = ()
    finish: Callable[[Moments], Any] = lambda moments: next(iter(moments.values()))
    scale: Scale = "logarithmic"
    group: Group = "Gradients"
    range: tuple[float, float] = FLOAT32

    def __post_init__(self) -> None:
        for field, choices in (("of", Of), ("scale", Scale), ("group", Group)):
            value = getattr(self, field)
            if value not in get_args(choices):
                raise ValueError(f"A statistic's `{field}` is one of {get_args(choices)}. Received: {field}={value!r}")
        if not self.name.isidentifier():
            raise ValueError(f"A statistic's name is a noun phrase such as 'gradient_norm'. Received: name={self.name!r}")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its moments."""
        return tuple(moment.key if isinstance(moment, Moment) else moment for moment in self.moments)

    @property
    def own(self) -> tuple[Moment, ...]:
        """The moments that are measured for it, besides those that every step measures."""
        return tuple(moment for moment in self.moments if isinstance(moment, Moment))

    def describe(self) -> dict[str, str]:
        """What a reader must know of it, as plain strings for JSON."""
        fields = ("name", "of", "unit", "formula", "source", "scale", "group")
        return {field: getattr(self, field) for field in fields}
