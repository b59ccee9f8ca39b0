"""`linear_probe`: how much of the labels each layer's output already tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kerasgrad.probes import ridge
from kerasgrad.probes.asking import as_inputs, check_model, preserved
from kerasgrad.probes.tracing import called, choice
from kerasgrad.taps.collector import Layers
from kerasgrad.views.text import number

Array = NDArray[np.float64]

FEATURES = 1024
"""Features that a layer's output is folded into where it has more."""
HELD_OUT = 0.3
"""Share of the examples that the scores rest on."""
BATCH = 256
SIGMA = 2.0
"""A layer that is not better than with random weights by so many standard errors told nothing by its training."""
INPUT = "(input)"


@dataclass(frozen=True, repr=False)
class LinearProbe:
    """Scores of a linear model on each layer's output. Its `repr` is the answer.

    Attributes:
        layers: the input, as it is, and the layers in depth order.
        trained: score on held-out examples with the weights as they are, float64 `[layers]`.
        random: the same with weights drawn anew from the layers' own initialisers.
        score: `"accuracy"`, or `"R2"` where the targets are numbers: the share of their variance that is explained.
        guess: the score of the best constant.
        held_out: how many examples the scores rest on.
    """

    layers: tuple[str, ...]
    trained: Array
    random: Array
    score: str
    guess: float
    held_out: int

    @property
    def error(self) -> Array:
        """Standard error of the difference between trained and random accuracy, at most, float64 `[layers]`."""
        spread = [p * (1 - p) / self.held_out for p in (np.clip(self.trained, 0, 1), np.clip(self.random, 0, 1))]
        return np.asarray(np.sqrt(spread[0] + spread[1]))

    @property
    def stayed_random(self) -> tuple[str, ...]:
        """Layers that tell no more than with random weights, within `SIGMA` standard errors."""
        better = self.trained - self.random > SIGMA * self.error
        return tuple(path for path, told in zip(self.layers[1:], better[1:], strict=True) if not told)

    def __repr__(self) -> str:
        """The answer: score by layer, trained beside random."""
        heading = f"{self.score} of a linear model on each layer's output, {self.held_out} held-out examples"
        lines = [heading, "", f"{'layer':<28} {'trained':>8} {'random':>8}"]
        for path, trained, random in zip(self.layers, self.trained, self.random, strict=True):
            mark = "  as random" if path in self.stayed_random else ""
            lines.append(f"{path[-28:]:<28} {number(float(trained)):>8} {number(float(random)):>8}{mark}")
        lines += ["", f"The best constant: {number(self.guess)}."]
        if self.stayed_random:
            lines.append(
                f"{len(self.stayed_random)} of {len(self.layers) - 1} layers tell no more than with random weights."
            )
        return "\n".join(lines)


def linear_probe(model: keras.Model, x: Any, y: Any, *, layers: Layers = None, seed: int = 0) -> LinearProbe:
    """How much each layer's output tells about the labels: a ridge regression for each layer, on examples held out.

    Beside each score stands that of the same layer with weights drawn anew from its own initialisers, as before training:
    an early layer that is not better than that stayed random, however well the layers above it make do. The model runs as
    in `predict`; all its weights are put back, bit for bit.

    Args:
        model: a model, trained as far as it is.
        x: inputs, `[examples, ...]`, or a structure of such arrays; some hundreds at least.
        y: labels, `[examples]` or one-hot `[examples, classes]`; floats that are neither are numbers to be explained.
        layers: which layers, as in `GradientMonitor`; None for all with matrices.
        seed: of the split, the folding and the random weights.

    Returns:
        The scores. Outputs of more than 1024 numbers are folded into as many by random signs, which keeps inner
        products up to an error of some percent. `kerasgrad.views.linear_probe` draws it.

    Raises:
        TypeError: the model is none of Keras 3.
        ValueError: fewer than ten examples, or as many labels as examples are not there, or no layer is chosen.

    Example:
        >>> kerasgrad.linear_probe(model, x_test[:1000], y_test[:1000]).stayed_random

    References:
        Alain & Bengio 2016, Understanding intermediate layers using linear classifier probes.
        Weinberger et al. 2009, Feature hashing for large scale multitask learning, for the folding.
    """
    check_model(model, "linear_probe")
    data, (targets, score) = as_inputs(x), _targets(y)
    examples = len(keras.tree.flatten(data)[0])
    if len(targets) != examples or examples < 10:
        raise ValueError(
            f"`linear_probe` takes at least ten examples, and a label for each. Received: {examples} examples, "
            f"{len(targets)} labels"
        )
    selected = choice(layers)
    order = np.random.default_rng(seed).permutation(examples)
    held = max(1, round(HELD_OUT * examples))
    split = order[held:], order[:held]

    def scores() -> dict[str, float]:
        return {path: _score(f, targets, score, split) for path, f in _outputs(model, data, selected, seed).items()}

    with preserved(model):
        trained = scores()
        _draw_anew(model, seed)
        random = scores()
    if len(trained) < 2:
        raise ValueError(f"`layers` matches no layer that gives one tensor of floats. Received: layers={layers!r}")
    paths = tuple(trained)
    told, guessed = (np.array([of[path] for path in paths]) for of in (trained, random))
    return LinearProbe(paths, told, guessed, score, _of_constant(targets, score, split), held)


def _targets(y: Any) -> tuple[Array, str]:
    """Targets as columns, and what their prediction is scored by."""
    values = np.asarray(y)
    flat = values.reshape(len(values), -1) if values.ndim else values.reshape(0, 1)
    if flat.shape[1] == 1 and (values.dtype.kind in "iub" or np.isin(flat, (0, 1)).all()):
        return np.asarray(flat == np.unique(flat)[None], np.float64), "accuracy"
    if flat.shape[1] > 1 and np.isin(flat, (0, 1)).all() and (flat.sum(axis=1) == 1).all():
        return flat.astype(np.float64), "accuracy"
    return flat.astype(np.float64), "R2"


def _of_constant(targets: Array, score: str, split: tuple[Any, Any]) -> float:
    constant = np.repeat(targets[split[0]].mean(axis=0)[None], len(split[1]), axis=0)
    return _scored(constant, targets[split[1]], score)


def _score(features: Array, targets: Array, score: str, split: tuple[Any, Any]) -> float:
    if not np.isfinite(features).all():
        return float("nan")
    fitted = ridge.predictions(features[split[0]], targets[split[0]], features[split[1]])
    return _scored(fitted, targets[split[1]], score)


def _scored(predicted: Array, targets: Array, score: str) -> float:
    if score == "accuracy":
        return float((predicted.argmax(axis=1) == targets.argmax(axis=1)).mean())
    spread = np.square(targets - targets.mean(axis=0)).sum()
    return float(1 - np.square(targets - predicted).sum() / spread) if spread else float("nan")


def _outputs(model: keras.Model, data: Any, selected: Any, seed: int) -> dict[str, Array]:
    """The input and each layer's output as features, `[examples, features]`, by path."""
    examples, found = len(keras.tree.flatten(data)[0]), dict[str, list[Array]]()
    for start in range(0, examples, BATCH):
        batch = keras.tree.map_structure(lambda t, s=start: t[s : s + BATCH], data)
        taken = {INPUT: keras.tree.flatten(batch)}
        for call in called(model, batch):
            if selected(call.layer, call.path):
                taken.setdefault(call.path, call.outputs)
        for path, parts in taken.items():
            flat = [np.asarray(part).reshape(len(part), -1) for part in parts]
            found.setdefault(path, []).append(_folded(np.concatenate(flat, axis=1), seed))
    return {path: np.concatenate(batches) for path, batches in found.items()}


def _folded(features: Any, seed: int) -> Array:
    """At most `FEATURES` columns: each column is added to a random one with a random sign."""
    features, width = features.astype(np.float64), features.shape[1]
    if width <= FEATURES:
        return np.asarray(features)
    random = np.random.default_rng(seed)
    place, sign = random.integers(0, FEATURES, width), random.choice([-1.0, 1.0], width)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(FEATURES))
    present = np.append(starts[1:], width) > starts
    folded = np.zeros((len(features), FEATURES))
    folded[:, present] = np.add.reduceat((features * sign)[:, order], starts[present], axis=1)
    return folded


def _draw_anew(model: keras.Model, seed: int) -> None:
    """Gives every variable a value from the initialiser that its layer holds for it; matrices without one get Glorot's."""
    state = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        own = {id(variable): name for name, variable in vars(layer).items() if isinstance(variable, keras.Variable)}
        for variable in [*layer._trainable_variables, *layer._non_trainable_variables]:
            if not variable.dtype.startswith(("float", "bfloat")):
                continue
            name = own.get(id(variable), "").lstrip("_")
            # `kernel_initializer`, but `recurrent_initializer` for `recurrent_kernel`.
            names = (f"{name}_initializer", f"{name.removesuffix('_kernel')}_initializer")
            given = next((found for found in (getattr(layer, n, None) for n in names) if found is not None), None)
            if given is None and len(variable.shape) >= 2:
                given = keras.initializers.GlorotUniform(int(state.integers(2**31)))
            if given is not None:
                variable.assign(given(variable.shape, dtype=variable.dtype))
