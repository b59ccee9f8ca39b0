"""What is said once of a whole run: its rows (`Schema`) and its facts (`Facts`), and whether a file's are such at all."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, TypedDict, Union, get_args, get_origin, get_type_hints

from kerasgrad import catalogue

MOST_ROWS, MOST_UNITS, MOST_BINS = 1_000_000, 200_000_000, 10_000
"""A schema that claims more was damaged or made up: memory would be asked for before a number is read."""


class Facts(TypedDict, total=False):
    """What is true of a whole run, as `Run.facts` holds it. Any may be missing; other versions of kerasgrad may have more.

    Attributes:
        run_id: names this training, whatever directory it is copied to.
        kerasgrad: version that recorded it.
        keras: version of Keras.
        tensorflow: version of TensorFlow.
        model: the model's name; of a run without samples the reason why it has none.
        parameters: number of the model's weights, None where it was not built.
        trainable: number of its trainable variables, likewise.
        optimizer: class of the optimizer, None where the model has none.
        precision: name of the dtype policy, such as `"mixed_float16"`.
        jit_compile: whether the step is compiled by XLA.
        run_eagerly: whether it runs without a graph.
        steps_per_execution: training steps in one call of the train function.
        replicas: of the distribution strategy, 1 without.
        loss_function: name of the loss in snake case; `""` if there is none, or several.
        from_logits: whether that loss takes logits.
        clipping: the optimizer's settings that clip gradients and are on, by name.
        batch_normalised: whether a trainable BatchNormalization layer is in the model.
        weight_penalty: whether a regulariser or the optimizer pulls weights to zero.
        update_freq: when steps are sampled, as it is written.
        window: samples without firing after which a unit counts as dead.
        batches: training batches so far, sampled or not.
        samples: how many of them were sampled, of this session.
        kept_every: of the samples every so manieth is in memory; the file holds all.
        tracing_seconds: what tracing the watched step took.
        overhead: share of the training time that sampling took, None before it is known.
        losses: how many losses the step differentiates.
        output_layer: path of the layer that gives the model's output.
        loss_scale_overflows: samples at which loss scaling skipped the update.
        stale_trainable: paths of layers that are trained, or are not, against what their `trainable` says.
        not_examined: why something has no numbers, by path of the layer, or by `path: what`.
        history: the logs of epochs by name, and under `step` the batches until the end of each.
        notes: what went wrong or ended the training, in sentences.
        baseline: name of the recorded baseline that this is, if it is a healthy one.
        directory: where the run was read from, or is written to; not stored.
        damaged: what could not be read from its files; not stored.
    """

    run_id: str
    kerasgrad: str
    keras: str
    tensorflow: str
    model: str
    parameters: int | None
    trainable: int | None
    optimizer: str | None
    precision: str
    jit_compile: bool
    run_eagerly: bool
    steps_per_execution: int
    replicas: int
    loss_function: str
    from_logits: bool
    clipping: dict[str, float]
    batch_normalised: bool
    weight_penalty: bool
    update_freq: str
    window: int
    batches: int
    samples: int
    kept_every: int
    tracing_seconds: float
    overhead: float | None
    losses: int
    output_layer: str
    loss_scale_overflows: int
    stale_trainable: dict[str, list[str]]
    not_examined: dict[str, str]
    history: dict[str, list[float | None]]
    notes: list[str]
    baseline: str
    directory: str
    damaged: list[str]


@functools.cache
def kinds_of_facts() -> dict[str, Any]:
    """The declared type of each fact."""
    return get_type_hints(Facts)


def misfits(facts: Mapping[str, Any]) -> list[str]:
    """The names of facts that are not of the type that is declared; what is not declared may be anything."""
    kinds = kinds_of_facts()
    return [name for name, value in facts.items() if name in kinds and not fits(value, kinds[name])]


def fits(value: Any, kind: Any) -> bool:
    """Whether a value read from JSON is of a type: a number, `str`, `None`, or a list, dict or union of such."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if origin is list:
        return isinstance(value, list) and all(fits(each, parts[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(each, parts[1]) for each in value.values())
    if kind is Any:
        return True
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return value is None if kind is type(None) else isinstance(value, kind)


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
        """The inverse of `to_dict`; keys of later versions are left out.

        Raises:
            ValueError: they are not the rows of a run; the message says what does not fit.
        """
        if not isinstance(values, Mapping):
            raise ValueError("the names of the rows are no dict")
        known = {k: v for k, v in values.items() if k in cls.__dataclass_fields__}
        missing = [k for k in ("layers", "variables", "owners", "sizes", "activations", "units") if k not in known]
        wrong = missing or [k for k, v in known.items() if not fits(v, _LISTS[k])]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} {'is missing' if missing else 'is not what it should be'} in its rows")
        arguments: dict[str, Any] = {k: (dict(v) if isinstance(v, Mapping) else tuple(v)) for k, v in known.items()}
        made = cls(**arguments)
        made._check()
        return made

    def _check(self) -> None:
        layers, variables = len(self.layers), len(self.variables)
        bins, own = list(self.bins), self.statistics
        for holds, what in (
            (layers <= MOST_ROWS and variables <= MOST_ROWS, "there are too many"),
            (len(set(self.layers)) == layers and len(set(self.variables)) == variables, "a name stands twice"),
            (len(self.activations) == layers, "layers and their activations differ in number"),
            (len(self.owners) == len(self.sizes) == variables, "variables, their owners and sizes differ in number"),
            (all(0 <= owner < layers for owner in self.owners), "a variable's owner is none of the layers"),
            (all(size >= 0 for size in self.sizes), "a variable's size is negative"),
            ({*self.units, *self.recurrent} <= set(self.layers), "units or time steps are of a layer that is not there"),
            (all(count > 0 for count in self.units.values()), "a layer has no units"),
            (sum(self.units.values()) <= MOST_UNITS, "there are too many units"),
            (len(set(self.recurrent)) == len(self.recurrent), "a recurrent layer stands twice"),
            (len(bins) != 1 and len(bins) <= MOST_BINS and bins == sorted(bins), "the edges of the histogram do not rise"),
            (not any(math.isnan(edge) for edge in bins), "an edge of the histogram is no number"),
            (all(_is_statistic(each) for each in own), "a statistic lacks its name or its kind of row"),
        ):
            if not holds:
                raise ValueError(f"the rows do not fit together: {what}")

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


_LISTS: dict[str, Any] = {
    "layers": list[str],
    "variables": list[str],
    "owners": list[int],
    "sizes": list[int],
    "activations": list[str],
    "units": dict[str, int],
    "recurrent": list[str],
    "bins": list[float],
    "statistics": list[dict[str, Any]],
}
"""What the fields of a schema are in JSON."""


def _is_statistic(described: Mapping[str, Any]) -> bool:
    known: Sequence[str] = get_args(catalogue.Of)
    fields = ("name", "of", "unit", "formula", "source", "scale", "group")
    if not all(isinstance(described.get(field, ""), str) for field in fields):
        return False
    return described.get("of") in known and str(described.get("name", "")).isidentifier()
