"""What is said once of a whole run: its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerasgrad import catalogue


@dataclass(frozen=True)
class Schema:
    """The rows of a run, the same in all its samples.

    Attributes:
        layers: paths, in depth order.
        variables: paths, grouped by layer in the same order.
        owners: for each variable the index of its layer.
        sizes: for each variable its number of entries.
        activations: for each layer the name of its activation.
        units: for each layer watched for dead units, their number.
        recurrent: layers with a signal over time.
        bins: edges of the gradient histogram, empty if none is recorded.
        statistics: what is measured beyond the catalogue: dicts with the `name`, `of` (`"layer"`, `"variable"` or
            `"overall"`), `unit`, `formula`, `scale` and `group` of each statistic.
    """

    layers: tuple[str, ...]
    variables: tuple[str, ...]
    owners: tuple[int, ...]
    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    units: Mapping[str, int]
    recurrent: tuple[str, ...] = ()
    bins: tuple[float, ...] = ()
    statistics: tuple[Mapping[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain lists and dicts, for JSON."""
        return {k: (dict(v) if isinstance(v, Mapping) else list(v)) for k, v in self.__dict__.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schema:
        """The inverse of `to_dict`; keys of later versions are left out."""
        known = {k: v for k, v in values.items() if k in cls.__dataclass_fields__}
        arguments: dict[str, Any] = {k: (dict(v) if isinstance(v, Mapping) else tuple(v)) for k, v in known.items()}
        return cls(**arguments)

    def names(self, of: catalogue.Of) -> tuple[str, ...]:
        """The statistics of one kind of row: those of the catalogue, then the run's own."""
        own = (str(each["name"]) for each in self.statistics if each["of"] == of)
        return tuple(dict.fromkeys((*catalogue.names(of), *own)))

    def subset(self, layers: list[int], variables: list[int]) -> Schema:
        """The rows of some layers and some variables, by index."""
        kept = tuple(self.layers[i] for i in layers)
        return Schema(
            kept,
            tuple(self.variables[i] for i in variables),
            tuple(layers.index(self.owners[i]) for i in variables),
            tuple(self.sizes[i] for i in variables),
            tuple(self.activations[i] for i in layers),
            {path: n for path, n in self.units.items() if path in kept},
            tuple(path for path in self.recurrent if path in kept),
            self.bins,
            self.statistics,
        )
