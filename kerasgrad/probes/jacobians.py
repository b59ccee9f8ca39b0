"""`jacobian`: how a net stretches and shrinks what passes through it, before it is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasgrad.probes import mean_field, singular
from kerasgrad.probes.asking import as_inputs, check_model, preserved
from kerasgrad.probes.tracing import called, choice
from kerasgrad.taps.collector import Layers
from kerasgrad.views.text import bar, number

Array = NDArray[np.float64]

LOST = 1e-4
"""Share of the gradient's norm from which on it counts as lost: 3 to 4 orders of magnitude are vanishing."""
ENTRIES = 2**14
"""Random entries that a mean square of singular values rests on: a relative error of about sqrt(2 / ENTRIES), 1 %."""
PROBES = 64
"""At most so many random vectors for each example."""
INPUT = "(input)"


@dataclass(frozen=True, repr=False)
class Jacobians:
    """Singular values of the Jacobians of a net. Its `repr` is the answer.

    Attributes:
        layers: paths of the layers whose outputs h_l are compared, in depth order.
        examples: how many inputs.
        chi: mean squared singular value of dh_l/dh_(l-1), `|J|_F^2 / n_l`, mean over the inputs, float64 `[layers]`; of the
            first layer with respect to the input. 1 keeps a gradient as large as it is. NaN where no way leads from one
            layer to the next.
        predicted: the same by mean-field theory, float64 `[layers]`; NaN where the theory does not apply.
        to_output: root of the mean squared singular value of dy/dh_l, y the last layer's output, float64 `[layers]`.
        values: the largest singular values of dh_l/dh_(l-1), float64 `[inputs asked for, values]`, falling, by path.
        whole: those of dy/dx.
        not_examined: why something has no numbers.
    """

    layers: tuple[str, ...]
    examples: int
    chi: Array
    predicted: Array
    to_output: Array
    values: dict[str, Array]
    whole: Array
    not_examined: dict[str, str] = field(default_factory=dict)

    @property
    def factor(self) -> float:
        """What a layer leaves of a gradient's norm: geometric mean of sqrt(chi) over all layers after the first."""
        return _factor(self.chi[1:])

    @property
    def predicted_factor(self) -> float:
        """The same by mean-field theory, over the layers that it covers (a softmax is none); NaN where it does not apply."""
        return _factor(self.predicted[1:])

    @property
    def lost_at(self) -> str:
        """The last layer whose gradient is below `LOST` of that at the output; `""` if it reaches all layers."""
        lost = [path for path, left in zip(self.layers, self.to_output, strict=True) if left < LOST]
        return lost[-1] if lost else ""

    def __repr__(self) -> str:
        """The answer: what a layer leaves, where the gradient is lost, and the layers one by one."""
        factor, theory = self.factor, self.predicted_factor
        said = "" if np.isnan(theory) else f" (mean-field theory: {number(theory)})"
        covered = np.isfinite(self.predicted[1:])
        if said and not covered.all():
            same = number(_factor(self.chi[1:][covered]))
            said = f" (of the {covered.sum()} that mean-field theory covers: {same}, theory: {number(theory)})"
        lines = [f"{len(self.layers)} layers, {self.examples} inputs: a layer leaves {number(factor)} of a gradient{said}."]
        if self.lost_at:
            depth = len(self.layers) - 1 - self.layers.index(self.lost_at)
            lines.append(f"{depth} layers below the output, at {self.lost_at}, less than {LOST:g} of it is left.")
        else:
            lines.append(f"On its way to the first layer it does not fall below {LOST:g}.")
        lines += ["", f"{'layer':<28} {'rms s.v.':>9} {'theory':>9} {'largest':>9} {'of output':>10}"]
        for row, path in enumerate(self.layers):
            top = self.values[path].max(initial=0.0) if path in self.values else float("nan")
            cells = [np.sqrt(self.chi[row]), np.sqrt(self.predicted[row]), top]
            text = " ".join(f"{number(float(cell)):>9}" for cell in cells)
            left = float(self.to_output[row])
            lines.append(f"{path[-28:]:<28} {text} {number(left):>10}  {bar(left, self.to_output)}".rstrip())
        lines += ["", "rms s.v.: root of the mean squared singular value of dh_l/dh_(l-1); of output: of dy/dh_l"]
        lines += [f"not examined: {what}: {why}" for what, why in self.not_examined.items()]
        return "\n".join(lines)


def jacobian(
    model: keras.Model, x: Any, *, layers: Layers = None, values: int = 4, inputs: int = 2, seed: int = 0
) -> Jacobians:
    """Singular values of the input-output and the layer-to-layer Jacobians of a model as it is, best before training.

    All comes from products of the Jacobians with vectors, by differentiating once and twice; no matrix is made. The model
    runs as in `predict` (no dropout, BatchNormalization with its moving averages, which before training do nothing).

    Args:
        model: a model of which each example goes its own way.
        x: inputs, `[examples, ...]`, or a structure of such arrays; integers have no Jacobian, and it begins behind them.
        layers: whose outputs are compared, as in `GradientMonitor`; None for all with matrices (dense, convolution,
            recurrent, attention). In a net with shortcuts name the blocks' ends, such as `"add*"`.
        values: how many of the largest singular values.
        inputs: for how many of the examples these are computed, which takes far longer than the means; 0 for none.
        seed: of the random vectors.

    Returns:
        The singular values, what a layer leaves of a gradient, measured and by mean-field theory for plain stacks of Dense
        layers, and where it is lost; `kerasgrad.views.singular_values` draws it.

    Raises:
        TypeError: the model is none of Keras 3.
        ValueError: fewer than two layers are chosen, or a number is below 1.

    Example:
        >>> kerasgrad.jacobian(model, x[:64])

    References:
        Pennington et al. 2017, Resurrecting the sigmoid in deep learning through dynamical isometry. Schoenholz et al. 2017,
        Deep information propagation.
    """
    check_model(model, "jacobian")
    if values < 1 or inputs < 0:
        raise ValueError(
            f"`values` takes a number from 1 and `inputs` one from 0. Received: values={values!r}, inputs={inputs!r}"
        )
    data = as_inputs(x)
    with preserved(model):
        net = _Net(model, layers)
        way = net.forward(data)
        rows, skipped = _means(way, np.random.default_rng(seed))
        top, whole = _largest(net, data, values, min(inputs, way.examples), seed)
    theory = np.full(len(rows.chi), np.nan)
    reason = mean_field.why_not(way.made_by) or ("" if way.from_input else "its input is not what the first layer gets")
    if reason:
        skipped["theory"] = reason
    else:
        theory = mean_field.predicted(way.made_by, way.nodes[0].numpy().astype(np.float64))
    return Jacobians(way.paths, way.examples, rows.chi, theory, rows.to_output, top, whole, skipped)


@dataclass
class _Way:
    """One forward pass: what the layers gave, and the tape that can differentiate it."""

    paths: tuple[str, ...]
    made_by: list[keras.Layer]
    nodes: list[Any]
    tape: tf.GradientTape
    from_input: bool

    @property
    def examples(self) -> int:
        return int(self.nodes[0].shape[0])

    def back(self, upper: int, lower: int | list[int], vectors: Any) -> Any:
        """The transposed Jacobian of one node with respect to others, times a vector for each example."""
        wanted = [self.nodes[i] for i in lower] if isinstance(lower, list) else self.nodes[lower]
        return self.tape.gradient(self.nodes[upper], wanted, output_gradients=vectors)


class _Net:
    """A model and which of its layers are compared."""

    def __init__(self, model: keras.Model, layers: Layers) -> None:
        self._model, self._choice = model, layers
        self._selects = choice(layers)

    def forward(self, data: Any) -> _Way:
        """Runs the model on a batch, as `predict` does."""
        flat = keras.tree.flatten(data)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([tensor for tensor in flat if tensor.dtype.is_floating])
            calls = called(self._model, data)
        from_input = len(flat) == 1 and flat[0].dtype.is_floating
        start = flat[0] if from_input else calls[0].outputs[0] if calls else None
        chosen = [c for c in calls if self._selects(c.layer, c.path) and c.outputs[0] is not start]
        if len(chosen) < 2:
            raise ValueError(
                "`jacobian` compares the outputs of at least two layers, each a single tensor of floats. The model called "
                f"{[c.path for c in calls]}. Received: layers={self._choice!r}, which chooses {[c.path for c in chosen]}"
            )
        paths: list[str] = []
        for call in chosen:
            again = sum(path.partition("#")[0] == call.path for path in paths)
            paths.append(f"{call.path}#{again + 1}" if again else call.path)
        nodes = [start, *(call.outputs[0] for call in chosen)]
        return _Way(tuple(paths), [call.layer for call in chosen], nodes, tape, from_input)


@dataclass
class _Means:
    chi: Array
    to_output: Array


def _means(way: _Way, random: np.random.Generator) -> tuple[_Means, dict[str, str]]:
    """Mean squares of singular values, from random signs: E |J'u|^2 = |J|_F^2."""
    count, skipped = len(way.paths), dict[str, str]()
    chi, squares = np.full(count, np.nan), np.zeros(count)
    for row, path in enumerate(way.paths):
        found = [_square(way.back(row + 1, row, u)) for u in _signs(way.nodes[row + 1], random)]
        chi[row] = np.mean(found) / _entries(way.nodes[row + 1])
        if np.isnan(chi[row]):
            skipped[path] = f"no way leads to it from {way.paths[row - 1] if row else 'the input'}"
    probes = _signs(way.nodes[-1], random)
    for u in probes:
        squares += [_square(g) for g in way.back(count, list(range(1, count)), u)] + [_square(u)]
    return _Means(chi, np.sqrt(squares / len(probes) / _entries(way.nodes[-1]))), skipped


def _entries(tensor: Any) -> int:
    return int(np.prod(tensor.shape))


def _signs(tensor: Any, random: np.random.Generator) -> list[Any]:
    """Random vectors of +1 and -1, as many as their entries make for the precision."""
    number = int(np.clip(np.ceil(ENTRIES / _entries(tensor)), 1, PROBES))
    return [tf.constant(random.choice([-1.0, 1.0], tensor.shape), tensor.dtype) for _ in range(number)]


def _square(gradient: Any) -> float:
    if gradient is None:
        return float("nan")
    return float(np.square(tf.convert_to_tensor(gradient).numpy().astype(np.float64)).sum())


def _largest(net: _Net, data: Any, values: int, inputs: int, seed: int) -> tuple[dict[str, Array], Array]:
    """The largest singular values of each step and of the whole, for some of the inputs."""
    found: dict[str, list[Array]] = {}
    whole: list[Array] = []
    copies = values + singular.SPARE
    for example in range(inputs):
        # As many copies of the example as vectors are multiplied at once.
        way = net.forward(keras.tree.map_structure(lambda t, i=example: tf.repeat(t[i : i + 1], copies, axis=0), data))
        for row, path in enumerate(way.paths):
            top = _of_pair(way, row + 1, row, values, seed)
            if top is not None:
                found.setdefault(path, []).append(top)
        top = _of_pair(way, len(way.paths), 0, values, seed)
        whole += [] if top is None else [top]
    return {path: np.stack(rows) for path, rows in found.items()}, np.array(whole)


def _of_pair(way: _Way, upper: int, lower: int, values: int, seed: int) -> Array | None:
    """The largest singular values of one Jacobian, for an example of which the batch holds copies; None without a way."""
    ahead, behind = way.nodes[upper], way.nodes[lower]
    zeros = tf.zeros_like(ahead)
    # J'u is linear in u: its own transposed derivative is J.
    with tf.GradientTape(persistent=True) as linear:
        linear.watch(zeros)
        pulled = way.back(upper, lower, zeros)
    if pulled is None:
        return None

    def shaped(vectors: Array, like: Any) -> Any:
        rows = np.zeros((like.shape[0], vectors.shape[0]))
        rows[: vectors.shape[1]] = vectors.T
        return tf.constant(rows.reshape(like.shape), like.dtype)

    def columns(tensor: Any, count: int) -> Array:
        flat = tf.convert_to_tensor(tensor).numpy().astype(np.float64)
        return np.asarray(flat.reshape(len(flat), -1)[:count].T)

    def forth(vectors: Array) -> Array:
        pushed = linear.gradient(pulled, zeros, output_gradients=shaped(vectors, behind))
        return columns(tf.zeros_like(ahead) if pushed is None else pushed, vectors.shape[1])

    def back(vectors: Array) -> Array:
        return columns(way.back(upper, lower, shaped(vectors, ahead)), vectors.shape[1])

    return singular.largest(forth, back, _entries(behind) // way.examples, values, seed=seed)


def _factor(chi: Array) -> float:
    given = chi[np.isfinite(chi)]
    if not len(given):
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(given).mean() / 2))
