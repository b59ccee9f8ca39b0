"""Every statistic that kerasgrad measures: its name, of what, unit, formula and source.

A statistic is one number per row and sample, where a row is a layer, a variable, or the whole run. The names are the
keys of `Run.layer`, `Run.variable` and `Run.overall`, and the tags of the event file (`kerasgrad/<name>`).

Notation: g gradient of the loss w.r.t. a variable, w the variable, a a layer's output (its activation),
s = dL/da the signal at that output, n the number of entries. Masked time steps count in none of a and s.

To add a statistic, add its entry here (or a file of its own) and its float64 twin in `tests/twin.py`. One of your own goes
to `GradientMonitor(statistics=[...])`; `update_cosine` is one that is ready to be asked for.
"""

from __future__ import annotations

import functools

from kerasgrad.catalogue.moments import MEASURED
from kerasgrad.catalogue.of_gradients import of_gradients
from kerasgrad.catalogue.of_layers import OF_LAYERS
from kerasgrad.catalogue.of_model import OF_MODEL
from kerasgrad.catalogue.statistic import Moment, Of, Statistic
from kerasgrad.catalogue.update_cosine import update_cosine

__all__ = ["MEASURED", "STATISTICS", "Moment", "Of", "Statistic", "find", "names", "update_cosine"]

STATISTICS: tuple[Statistic, ...] = (*of_gradients("variable"), *of_gradients("layer"), *OF_LAYERS, *OF_MODEL)
"""What is measured unless it is switched off."""


@functools.cache
def names(of: Of) -> tuple[str, ...]:
    """The names of all statistics of one kind of row.

    Args:
        of: `"variable"`, `"layer"` or `"overall"`.

    Returns:
        Names in the order of the catalogue.
    """
    return tuple(statistic.name for statistic in STATISTICS if statistic.of == of)


def find(name: str, of: Of) -> Statistic:
    """Looks a statistic up.

    Args:
        name: its name, such as `"gradient_norm"`.
        of: what its rows are.

    Returns:
        The entry.

    Raises:
        KeyError: there is none of that name; the message lists those there are.
    """
    for statistic in STATISTICS:
        if statistic.name == name and statistic.of == of:
            return statistic
    known = ", ".join(names(of))
    raise KeyError(f"No statistic of a {of} has that name. Known: {known}. Received: name={name!r}")
