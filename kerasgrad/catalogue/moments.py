"""The moments that every sampled step measures, by key: statistics name those that they need."""

from __future__ import annotations

from kerasgrad.catalogue.statistic import Moment, Quantity


def _of_tensor(quantity: Quantity) -> tuple[Moment, ...]:
    """Count, zeros, non-finite entries, sum of squares, sum, and largest magnitude of a tensor."""
    sums = ("count", "zeros", "nonfinite", "square_sum", "sum")
    return (*(Moment(quantity, name) for name in sums), Moment(quantity, "largest", merge="max"))


GRADIENT = _of_tensor("gradient")
NORMS = (Moment("clipped", "square_sum"), Moment("weight", "square_sum"), Moment("update", "square_sum"))
ACTIVATION = _of_tensor("activation")
SIGNAL = (Moment("signal", "count"), Moment("signal", "square_sum"))
SATURATED = (Moment("activation", "saturated"),)

STEP = (
    *(Moment("step", name, merge="same") for name in ("loss", "loss_scale", "learning_rate", "iteration")),
    Moment("step", "examples"),
)
"""Numbers of the step itself; replicas share all but their part of the batch."""

UNITS = (Moment("units", "activity"), Moment("units", "signal"))
"""Sums of |a| and of |s| for each unit of the layers in which units are followed."""

FOUND = (
    Moment("units", "silent"),
    Moment("units", "count"),
    Moment("step", "overflow", merge="same"),
    Moment("depth", "signal_rms"),
    Moment("monitor", "sample_seconds", merge="same"),
    Moment("monitor", "overhead", merge="same"),
)
"""What is known on the host only: of units over the window, of the layers with variables in depth order, of the monitor."""

MEASURED: dict[str, Moment] = {
    moment.key: moment for moment in (*GRADIENT, *NORMS, *ACTIVATION, *SIGNAL, *SATURATED, *STEP, *UNITS, *FOUND)
}
"""Every moment that a statistic can name by its key."""
