"""`linear_probe`: how much of the labels each layer's output already tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasgrad.probes import ridge
from kerasgrad.probes.harness import as_inputs, build, check_finite, check_model, check_no_dataset, preserved
from kerasgrad.probes.tracing import called, choice, named, not_of_each
from kerasgrad.taps.collector import LayerChoice
from kerasgrad.views.text import cropped, number, reasons

Array = NDArray[np.float64]

FEATURES = 1024
"""Features that a layer's output is folded into where it has more."""
HELD_OUT = 0.3
"""Share of the examples that the scores rest on."""
BATCH = 256
SIGMA = 2.0
"""A layer that is not better than with random weights by so many standard errors told nothing by its training."""
DRAWS = 4
"""Random weights are drawn so many times: one draw may be a lucky one."""
INPUT = "(input)"


@dataclass(frozen=True, repr=False)
class LinearProbe:
    """Scores of a linear model on each layer's output. Its `repr` is the answer.

    Attributes:
        layers: the input, as it is, where it holds numbers, and the layers in depth order.
        trained: score on held-out examples with the weights as they are, float64 `[layers]`; NaN where an output holds NaN.
        random: the same with weights drawn anew from the layers' own initialisers, mean of `DRAWS` draws.
        error: standard error of their difference, float64 `[layers]`: that of the differences of the held-out examples, each
            paired with itself, and that of the draws.
        score: `"accuracy"`, or `"R2"` where the targets are numbers: the share of their variance that is explained.
        guess: the score of the best constant.
        held_out: how many examples the scores rest on.
        not_examined: why something has no score.
    """

    layers: tuple[str, ...]
    trained: Array
    random: Array
    error: Array
    score: str
    guess: float
    held_out: int
    not_examined: dict[str, str] = field(default_factory=dict)

    @property
    def stayed_random(self) -> tuple[str, ...]:
        """LayerChoice that tell no more than with random weights, within `SIGMA` standard errors, or than a constant."""
        better = (self.trained - self.random > SIGMA * self.error) & (self.trained > self.guess)
        told = better | np.isnan(self.trained - self.random)
        return tuple(path for path, known in zip(self.layers, told, strict=True) if not known and path != INPUT)

    def __repr__(self) -> str:
        """The answer: score by layer, trained beside random."""
        kind = "" if self.score == "accuracy" else ", y taken as numbers"
        heading = f"{self.score} of a linear model on each layer's output, {self.held_out} held-out examples{kind}"
        lines = [heading, "", f"{'layer':<28} {'trained':>8} {'random':>8}"]
        for path, trained, random in zip(self.layers, self.trained, self.random, strict=True):
            mark = "  as random" if path in self.stayed_random else ""
            mark = "  holds NaN or infinity" if np.isnan(trained - random) else mark
            lines.append(f"{cropped(path, 28):<28} {number(float(trained)):>8} {number(float(random)):>8}{mark}")
        lines += ["", f"The best constant: {number(self.guess)}."]
        if self.stayed_random:
            among = sum(path != INPUT for path in self.layers)
            lines.append(f"{len(self.stayed_random)} of {among} layers tell no more than with random weights.")
        return "\n".join([*lines, *reasons(self.not_examined)])


def linear_probe(model: keras.Model, x: Any, y: Any, *, layers: LayerChoice = None, seed: int = 0) -> LinearProbe:
    """How much each layer's output tells about the labels: a ridge regression for each layer, on examples held out.

    Beside each score stands that of the same layer with weights drawn anew from its own initialisers, as before training:
    an early layer that is not better than that stayed random, however well the layers above it make do. The model runs as
    in `predict`; all its weights are put back, bit for bit.

    Args:
        model: a model, trained as far as it is.
        x: inputs, `[examples, ...]`, or a structure of such arrays; some hundreds at least.
        y: labels, `[examples]`, integers or text, or one-hot `[examples, classes]`; other floats are numbers to explain.
        layers: which layers, as in `GradientMonitor`; None for all with matrices, frozen or not.
        seed: of the split, the folding and the random weights.

    Returns:
        The scores. Outputs of more than 1024 numbers are folded into as many by random signs, which keeps inner
        products up to an error of some percent. `kerasgrad.views.linear_probe` draws it.

    Raises:
        TypeError: the model is none of Keras 3.
        ValueError: there are fewer than ten examples, or not a label for each, or NaN among them; or no layer is chosen.

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
    check_finite("linear_probe", x=data, y=targets)
    build(model, _batch(data, 0))
    selected, random = choice(layers), np.random.default_rng(seed)
    order = random.permutation(examples)
    held = max(1, round(HELD_OUT * examples))
    split = order[held:], order[:held]

    left_out: dict[str, str] = {}

    def gains(known: dict[str, Array]) -> dict[str, Array]:
        outputs = _outputs(model, data, selected, seed, left_out)
        return known | {path: _gains(f, targets, score, split) for path, f in outputs.items() if path not in known}

    with preserved(model):
        trained, drawn = gains({}), list[dict[str, Array]]()
        if not set(trained) - {INPUT}:
            raise ValueError(f"`layers` matches no layer that gives floats for each example. Received: layers={layers!r}")
        for _ in range(DRAWS):
            _draw_anew(model, random)
            drawn.append(gains({path: trained[path] for path in trained if path == INPUT}))
    paths = tuple(trained)
    told, guessed = np.array([trained[path] for path in paths]), np.array([[of[path] for path in paths] for of in drawn])
    constant = _gained(np.repeat(targets[split[0]].mean(axis=0)[None], held, axis=0), targets[split[1]], score)
    scores = told.mean(axis=1), guessed.mean(axis=(0, 2)), _error(told, guessed)
    return LinearProbe(paths, *scores, score, float(constant.mean()), held, left_out)


def _error(told: Array, guessed: Array) -> Array:
    """Standard error of the difference between scores.

    Args:
        told: what each held-out example adds to the score, `[layers, examples]`.
        guessed: the same with random weights, `[draws, layers, examples]`.

    Returns:
        float64 `[layers]`. Of examples: the deviation of the differences over sqrt(examples). Of draws: the deviation of
        their scores, once for the trained weights, which began as a draw too, and once for the mean of the draws.
    """
    of_examples = (told - guessed.mean(axis=0)).var(axis=1, ddof=1) / told.shape[1] if told.shape[1] > 1 else 0.0
    of_draws = guessed.mean(axis=2).var(axis=0, ddof=1) * (1 + 1 / len(guessed))
    return np.asarray(np.sqrt(of_examples + of_draws))


def _targets(y: Any) -> tuple[Array, str]:
    """Targets as columns, and what their prediction is scored by."""
    check_no_dataset(y)
    try:
        values = np.asarray(y)
    except ValueError:  # arrays of unequal shapes
        values = np.asarray(None)
    if values.dtype.kind == "O" and values.ndim and all(isinstance(label, str) for label in values.flat):
        values = values.astype(str)
    if not values.ndim or values.dtype.kind not in "iubfUS":
        raise ValueError(
            "`linear_probe` takes the labels of one output as an array, such as y['name'] or y[0] where there are several. "
            f"Received: y of type {type(y).__name__}"
        )
    flat, discrete = values.reshape(len(values), -1), values.dtype.kind in "iubUS"
    binary = values.dtype.kind not in "US" and bool(np.isin(flat, (0, 1)).all())
    if flat.shape[1] == 1 and (discrete or binary):
        return np.asarray(flat == np.unique(flat)[None], np.float64), "accuracy"
    if values.ndim == 2 and binary and (flat.sum(axis=1) == 1).all():
        return flat.astype(np.float64), "accuracy"
    if discrete:
        raise ValueError(
            "`linear_probe` takes one label for each example, or one-hot labels. Of labels for each step take those of one "
            "step, y[:, -1], of several labels for each example one, y[:, 0]; numbers to be explained are given as floats. "
            f"Received: y of shape {values.shape} and type {values.dtype}"
        )
    return flat.astype(np.float64), "R2"


def _gains(features: Array, targets: Array, score: str, split: tuple[Any, Any]) -> Array:
    """What each held-out example adds to the score of a layer."""
    if not np.isfinite(features).all():
        return np.full(len(split[1]), np.nan)
    fitted = ridge.predictions(features[split[0]], targets[split[0]], features[split[1]])
    return _gained(fitted, targets[split[1]], score)


def _gained(predicted: Array, targets: Array, score: str) -> Array:
    """What each example adds: 1 if it is right, or 1 less its squared error over the variance; the mean is the score."""
    if score == "accuracy":
        return np.asarray(predicted.argmax(axis=1) == targets.argmax(axis=1), np.float64)
    spread = np.square(targets - targets.mean(axis=0)).sum() / len(targets)
    return 1 - np.square(targets - predicted).sum(axis=1) / spread if spread else np.full(len(targets), np.nan)


def _batch(data: Any, start: int) -> Any:
    return keras.tree.map_structure(lambda tensor: tensor[start : start + BATCH], data)


def _outputs(model: keras.Model, data: Any, selected: Any, seed: int, left_out: dict[str, str]) -> dict[str, Array]:
    """The input and each layer's output as features, `[examples, features]`, by path; of what is left out, why."""
    examples, found = len(keras.tree.flatten(data)[0]), dict[str, list[Array]]()
    for start in range(0, examples, BATCH):
        batch = _batch(data, start)
        count, taken = len(keras.tree.flatten(batch)[0]), {INPUT: keras.tree.flatten(batch)}
        if any(part.dtype == tf.string for part in taken[INPUT]):
            left_out[INPUT] = "it is text"
        calls = named([call for call in called(model, batch) if selected(call.layer, call.path)])
        for path, call in calls.items():
            taken[path] = call.outputs
            if why := not_of_each(call, count):
                left_out[path] = why
        for path in taken.keys() - left_out.keys():
            flat = [np.asarray(part).reshape(count, -1) for part in taken[path]]
            found.setdefault(path, []).append(_folded(np.concatenate(flat, axis=1), seed))
    return {path: np.concatenate(found[path]) for path in (INPUT, *calls) if path not in left_out}


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


def _draw_anew(model: keras.Model, random: np.random.Generator) -> None:
    """Gives every variable a value from the initialiser that its layer holds for it; matrices without one get Glorot's."""
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
                given = keras.initializers.GlorotUniform(seed=0)  # without a seed it would draw one from Python's numbers
            if given is not None:
                value = np.array(_reseeded(given, random)(variable.shape, dtype=variable.dtype))
                if name == "bias" and getattr(layer, "unit_forget_bias", False):
                    value[len(value) // 4 : len(value) // 2] = 1  # an LSTM's, which no initialiser of the layer says
                variable.assign(value)


def _reseeded(initializer: Any, random: np.random.Generator) -> Any:
    """The same initialiser with a seed of ours: with its own it gives the weights that the model began with."""
    config = initializer.get_config() if isinstance(initializer, keras.initializers.Initializer) else {}
    return type(initializer).from_config(config | {"seed": int(random.integers(2**31))}) if "seed" in config else initializer
