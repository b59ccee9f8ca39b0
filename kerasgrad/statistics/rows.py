"""Raw moments, as they leave the step, to the statistics of the catalogue; on the host, in float64."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasgrad.catalogue import MEASURED, Of, Statistic
from kerasgrad.catalogue.moments import NORMS
from kerasgrad.catalogue.statistic import Merge
from kerasgrad.statistics.columns import Columns
from kerasgrad.statistics.measure import ABSENT

Array = NDArray[np.float64]
Moments = dict[str, Any]

_NORMS = tuple(moment.key for moment in NORMS)


def merge_replicas(name: str, values: Any, *, merges: Mapping[str, Merge]) -> Any:
    """Adds up what the replicas of a strategy saw.

    Args:
        name: of the tensor, see `measure.take_moments`.
        values: `[replicas, ...]`, or columns of that.
        merges: how each moment is merged, by key.

    Returns:
        The same without that axis. Gradients, weights and updates are the same on every replica already.
    """
    if name in ("variables", "histogram"):
        return Columns(values.keys, values.values[0]) if isinstance(values, Columns) else np.asarray(values[0])
    if not isinstance(values, Columns):
        return np.asarray(values.sum(axis=0))
    merged = np.array(values.values.sum(axis=0))
    for column, key in enumerate(values.keys):
        if merges[key] == "max":
            merged[..., column] = values.values[..., column].max(axis=0)
        elif merges[key] == "same":
            merged[..., column] = values.values[0, ..., column]
    return Columns(values.keys, merged)


def merges_of(statistics: Iterable[Statistic]) -> dict[str, Merge]:
    """How each moment is merged, by key: those of every step, and those that statistics bring with them."""
    own = {moment.key: moment.merge for statistic in statistics for moment in statistic.own}
    return {key: moment.merge for key, moment in MEASURED.items()} | own


@dataclass
class Table:
    """The moments of some samples, by row: what statistics are finished from.

    Attributes:
        variable: by key `[samples, variables]`.
        layer: by key `[samples, layers]`; those of a layer's variables are merged.
        overall: by key `[samples]`; those of all variables are merged.
        overflow: samples whose update loss scaling threw away, bool `[samples]`.
    """

    variable: Moments
    layer: Moments
    overall: Moments
    overflow: NDArray[np.bool_]

    def of(self, rows: Of) -> Moments:
        """The moments of one kind of row."""
        return {"variable": self.variable, "layer": self.layer, "overall": self.overall}[rows]


def tabulate(raws: Sequence[Mapping[str, Any]], *, owners: NDArray[np.int64], merges: Mapping[str, Merge]) -> Table:
    """Puts the moments of some samples together by row.

    Args:
        raws: samples, each as `measure` gives it, without replicas.
        owners: layer row of each variable in ascending order, -1 for none.
        merges: how each moment is merged, by key.

    Returns:
        The table. After a loss-scale overflow the moments of gradients and signals are NaN: the optimizer threw those away,
        and they say nothing about the model.
    """
    variables, layers, overall = (
        {key: np.stack([raw[name][key] for raw in raws]) for key in raws[0][name]}
        for name in ("variables", "layers", "overall")
    )
    overflow = _overflowed(variables, overall["step.loss_scale"])
    if overflow.any():
        for key in (*variables, *layers):
            if key.startswith(("gradient.", "signal.")):
                (variables if key in variables else layers)[key][overflow] = np.nan
        variables["clipped.square_sum"][overflow] = ABSENT
    count = layers["activation.count"].shape[1]
    by_layer = _present(_merged(variables, owners, count, merges)) | layers
    whole = _present(_merged(variables, np.zeros(len(owners), np.int64), 1, merges))
    overall |= {key: values[:, 0] for key, values in whole.items()} | {"step.overflow": overflow.astype(float)}
    with np.errstate(invalid="ignore", divide="ignore"):
        signal = np.sqrt(layers["signal.square_sum"] / layers["signal.count"])
    overall["depth.signal_rms"] = signal[:, np.unique(owners[owners >= 0])]
    return Table(_present(variables), by_layer, overall, overflow)


def _present(moments: Moments) -> Moments:
    """NaN in the place of sums that were not taken."""
    return {key: np.where(v == ABSENT, np.nan, v) if key in _NORMS else v for key, v in moments.items()}


def _overflowed(variables: Moments, loss_scale: Array) -> NDArray[np.bool_]:
    """Whether loss scaling skipped the update: a gradient was not finite, and no weight moved."""
    bad = np.nansum(variables["gradient.nonfinite"], axis=1) > 0
    updates = variables["update.square_sum"]
    moved = ((updates != ABSENT) & (updates != 0)).any(axis=1)
    return np.asarray(~np.isnan(loss_scale) & bad & ~moved)


def _merged(variables: Moments, owners: NDArray[np.int64], layers: int, merges: Mapping[str, Merge]) -> Moments:
    """One row for all variables of each layer: of each moment what those have that have it, a NaN among them included."""
    owned = owners >= 0
    rows = owners[owned]
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    merged = {}
    for key, values in variables.items():
        missing = ABSENT if key in _NORMS else np.nan
        merged[key] = np.full((len(values), layers), missing)
        if owned.any():
            present = _has(variables, key)[:, owned]
            how = np.maximum if merges[key] == "max" else np.add
            blank = -np.inf if merges[key] == "max" else 0.0
            found = how.reduceat(np.where(present, values[:, owned], blank), starts, axis=1)
            any_present = np.logical_or.reduceat(present, starts, axis=1)
            merged[key][:, rows[starts]] = np.where(any_present, found, missing)
    return merged


def _has(variables: Moments, key: str) -> NDArray[np.bool_]:
    """Which variables have a tensor of the kind that the moment is taken of."""
    quantity = key.partition(".")[0]
    if quantity == "gradient":
        return np.asarray(~np.isnan(variables["gradient.zeros"]))
    return np.asarray(variables[f"{quantity}.square_sum"] != ABSENT)


@dataclass
class Finished:
    """The statistics of some samples.

    Attributes:
        variable: by name `[samples, variables]`.
        layer: by name `[samples, layers]`.
        overall: by name `[samples]`.
        failed: statistics of a user's own that could not be computed, and why.
    """

    variable: dict[str, Array] = field(default_factory=dict)
    layer: dict[str, Array] = field(default_factory=dict)
    overall: dict[str, Array] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def of(self, rows: Of) -> dict[str, Array]:
        """The statistics of one kind of row."""
        return {"variable": self.variable, "layer": self.layer, "overall": self.overall}[rows]


def finish(statistics: Iterable[Statistic], table: Table) -> Finished:
    """Computes statistics from the moments of some samples.

    Args:
        statistics: which.
        table: the moments; a statistic some of whose moments are not in it is left out.

    Returns:
        The statistics. One of a user's own that raises, or gives another shape, is NaN, and said to have failed.
    """
    finished = Finished()
    for statistic in statistics:
        moments = {key: value for key, value in table.of(statistic.of).items() if key in statistic.keys}
        if len(moments) < len(statistic.keys):
            continue
        shape = next(np.shape(v) for v in table.of(statistic.of).values())
        try:
            with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
                values = np.array(statistic.finish({key: moments[key] for key in statistic.keys}), np.float64)
            if values.shape != shape:
                raise ValueError(f"`finish` gave shape {values.shape} in the place of {shape}")
        except Exception as error:
            finished.failed[f"{statistic.of} statistic {statistic.name}"] = f"its `finish` failed: {error!r}"
            values = np.full(shape, np.nan)
        finished.of(statistic.of)[statistic.name] = values
    return finished
