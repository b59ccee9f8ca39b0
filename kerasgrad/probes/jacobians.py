"""`jacobian`: how a net stretches and shrinks what passes through it, before it is trained."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasgrad.probes import mean_field, singular
from kerasgrad.probes.forward_pass import ForwardPass, Net, entries
from kerasgrad.probes.harness import as_inputs, build, check_finite, check_model, preserved
from kerasgrad.taps.collector import LayerChoice
from kerasgrad.views.text import bar, cropped, number, reasons

Array = NDArray[np.float64]

LOST = 1e-4
"""Share of the gradient's norm from which on it counts as lost: 3 to 4 orders of magnitude are vanishing."""
ENTRIES = 2**14
"""Random entries that a mean square of singular values rests on: a relative error of about sqrt(2 / ENTRIES), 1 %."""
PROBES = 64
"""At most so many random vectors for each example."""
MEMORY = 2**22
"""Numbers that the layers may give where the examples are copied for several vectors at once: 16 MB of float32."""


@dataclass(frozen=True, repr=False)
class Jacobians:
    """Singular values of the Jacobians of a net. Its `repr` is the answer.

    Attributes:
        layers: paths of the layers whose outputs h_l are compared, in depth order.
        examples: how many inputs.
        chi: mean squared singular value of dh_l/dh_(l-1), `|J|_F^2 / n_l`, mean over the inputs, float64 `[layers]`; of the
            first layer with respect to the input. 1 keeps a gradient as large as it is. NaN where no passed leads from one
            layer to the next.
        predicted: the same by mean-field theory, float64 `[layers]`; NaN where the theory does not apply: to layers that are
            not fed by the one before.
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
        lines = [f"{len(self.layers)} layers, {self.examples} inputs: a layer leaves {number(self.factor)} of a gradient."]
        theory, covered = number(self.predicted_factor), np.isfinite(self.predicted[1:])
        if covered.all():
            lines.append(f"Mean-field theory: {theory}.")
        elif covered.any():
            same = number(_factor(self.chi[1:][covered]))
            lines.append(
                f"Mean-field theory covers {covered.sum()} of the {len(covered)} layers after the first: it says {theory}, "
                f"measured {same}."
            )
        if self.lost_at:
            depth = len(self.layers) - 1 - self.layers.index(self.lost_at)
            lines.append(f"{depth} layers below the output, at {self.lost_at}, less than {LOST:g} of it is left.")
        else:
            lines.append(f"On its passed to the first layer it does not fall below {LOST:g}.")
        lines += ["", f"{'layer':<28} {'rms s.v.':>9} {'theory':>9} {'largest':>9} {'of output':>10}"]
        for row, path in enumerate(self.layers):
            top = self.values[path].max(initial=0.0) if path in self.values else float("nan")
            cells = [np.sqrt(self.chi[row]), np.sqrt(self.predicted[row]), top]
            text = " ".join(f"{number(float(cell)):>9}" for cell in cells)
            left = float(self.to_output[row])
            lines.append(f"{cropped(path, 28):<28} {text} {number(left):>10}  {bar(left, self.to_output)}".rstrip())
        lines += ["", "rms s.v.: root of the mean squared singular value of dh_l/dh_(l-1); of output: of dy/dh_l"]
        lines += reasons(self.not_examined)
        return "\n".join(lines)


def jacobian(
    model: keras.Model, x: Any, *, layers: LayerChoice = None, values: int = 4, inputs: int = 2, seed: int = 0
) -> Jacobians:
    """Singular values of the input-output and the layer-to-layer Jacobians of a model as it is, best before training.

    All comes from products of the Jacobians with vectors, by differentiating once and twice; no matrix is made. The model
    runs as in `predict` (no dropout, BatchNormalization with its moving averages, which before training do nothing).

    Args:
        model: a model of which each example goes its own passed.
        x: inputs, `[examples, ...]`, or a structure of such arrays, which count as one. Integers have no Jacobian, and it
            begins behind them; those of which the model makes floats at once, such as pixels, are taken as floats.
        layers: whose outputs are compared, as in `GradientMonitor`; None for all with matrices (dense, convolution,
            recurrent, attention), frozen or not. In a net with shortcuts name the blocks' ends, such as `"add*"`; of
            several branches one.
        values: how many of the largest singular values.
        inputs: for how many of the examples these are computed, which takes far longer than the means, above all in deep
            and recurrent nets; 0 for none.
        seed: of the random vectors.

    Returns:
        The singular values, what a layer leaves of a gradient, measured and by mean-field theory for plain stacks of Dense
        layers, and where it is lost; `kerasgrad.views.singular_values` draws it.

    Raises:
        TypeError: the model is none of Keras 3.
        ValueError: fewer than two layers are chosen, a number is below 1, or the inputs hold NaN or infinity.

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
    check_finite("jacobian", x=data)
    build(model, data)
    net, random = Net(model, layers), np.random.default_rng(seed)
    with preserved(model):
        passed = net.forward(data)
        means = _means(net, data, random)
        skipped = _reasons(passed, means.chi)
        theory, untold = _theory(passed, random)
        if inputs and not net.any_batch:
            inputs, skipped["largest"] = 0, "a layer keeps its state, and so takes batches of one size only"
        top, whole = _largest(net, data, means, values, min(inputs, passed.examples), seed)
    return Jacobians(passed.paths, passed.examples, means.chi, theory, means.to_output[1:], top, whole, skipped | untold)


def _theory(passed: ForwardPass, random: np.random.Generator) -> tuple[Array, dict[str, str]]:
    """What mean-field theory says of each layer, and why of some it says nothing."""
    if not all(type(call.layer) is keras.layers.Dense for call in passed.calls):
        why = "mean-field theory is applied to plain stacks of Dense layers only"
        return np.full(len(passed.paths), np.nan), {"theory": why}
    seen, stack = set[int](), list[mean_field.Fed]()
    for row, call in enumerate(passed.calls, start=1):
        plain = id(call.layer) not in seen and passed.is_plain(row, random)
        stack.append(mean_field.Fed(call.layer, np.asarray(call.inputs[0]), plain))
        seen.add(id(call.layer))
    untold = {f"theory of {path}": mean_field.why_not(fed) for path, fed in zip(passed.paths, stack, strict=True)}
    return mean_field.predicted(stack), {what: why for what, why in untold.items() if why}


@dataclass
class _Means:
    """Mean squares of singular values: of each step, and of the output with respect to each node."""

    chi: Array
    to_output: Array


def _means(net: Net, data: Any, random: np.random.Generator) -> _Means:
    """From random signs: E |J'u|^2 = |J|_F^2. Many signs go through a small net at once, as copies of the examples."""
    passed = net.forward(data)
    sizes = [entries(node) for node in passed.nodes]
    copies = min(MEMORY // sum(sizes), -(-ENTRIES // min(sizes[1:])), PROBES) if net.any_batch else 1
    if copies > 1:
        passed = net.forward(keras.tree.map_structure(lambda t: tf.concat([t] * copies, axis=0), data))
    most = -(-PROBES // max(copies, 1))
    count = len(passed.paths)
    chi, squares = np.full(count, np.nan), np.zeros(count + 1)
    for row in range(1, count + 1):
        found = [_squares(passed.back(row, [row - 1], u))[0] for u in _signs(passed.nodes[row], most, random)]
        chi[row - 1] = np.nan if passed.begins_at(row) else np.mean(found) / entries(passed.nodes[row])
    probes = _signs(passed.nodes[-1], most, random)
    for u in probes:
        squares += _squares([*passed.back(count, range(count), u), [u]])
    return _Means(chi, np.sqrt(squares / len(probes) / entries(passed.nodes[-1])))


def _signs(node: list[Any], most: int, random: np.random.Generator) -> list[Any]:
    """Random vectors of +1 and -1, as many as their entries make for the precision."""
    number = int(np.clip(-(-ENTRIES // entries(node)), 1, most))
    return [tf.constant(random.choice([-1.0, 1.0], node[0].shape), node[0].dtype) for _ in range(number)]


def _squares(gradients: list[list[Any]]) -> Array:
    """The sum of squares at each node; NaN where no passed leads to it."""
    found = []
    for node in gradients:
        given = [np.asarray(tf.convert_to_tensor(g)).astype(np.float64) for g in node if g is not None]
        found.append(sum(float(np.square(values).sum()) for values in given) if given else float("nan"))
    return np.array(found)


def _reasons(passed: ForwardPass, chi: Array) -> dict[str, str]:
    """Why some layers have no numbers."""

    def reaches(lower: int, upper: int) -> bool:
        found = passed.back(upper, [lower], tf.ones_like(passed.nodes[upper][0]))[0]
        return any(gradient is not None for gradient in found)

    skipped = dict(passed.left_out)
    for row in np.flatnonzero(np.isnan(chi)).tolist():
        path, node = passed.paths[row], passed.nodes[row + 1]
        before = passed.paths[row - 1] if row else "the input"
        if not np.isfinite(np.asarray(node[0])).all():
            skipped[path] = "what it gives holds NaN or infinity"
        elif passed.begins_at(row + 1):
            skipped[path] = "it is fed integers, which have no Jacobian; what follows begins with what it gives"
        elif not passed.nodes[0]:
            skipped[path] = "the input holds no floats that could be followed, and integers have no Jacobian"
        elif reaches(row, row + 1):
            skipped[path] = "its derivative holds NaN or infinity"
        elif row and reaches(0, row + 1):
            skipped[path] = (
                f"it lies on another branch than {before}; what a layer leaves means little over several branches: name the "
                "layers of one in `layers`"
            )
        else:
            skipped[path] = f"no passed leads to it from {before}"
    return skipped


def _largest(net: Net, data: Any, means: _Means, values: int, inputs: int, seed: int) -> tuple[dict[str, Array], Array]:
    """The largest singular values of each step and of the whole, for some of the inputs."""
    found: dict[str, list[Array]] = {}
    whole: list[Array] = []
    copies = values + singular.SPARE
    for example in range(inputs):
        # As many copies of the example as vectors are multiplied at once.
        passed = net.forward(keras.tree.map_structure(lambda t, i=example: tf.repeat(t[i : i + 1], copies, axis=0), data))
        for row in np.flatnonzero(np.isfinite(means.chi)).tolist():
            found.setdefault(passed.paths[row], []).append(_of_pair(passed, row + 1, row, values, seed))
        if np.isfinite(means.to_output[0]):
            whole.append(_of_pair(passed, len(passed.paths), 0, values, seed))
    return {path: np.stack(rows) for path, rows in found.items()}, np.array(whole)


def _of_pair(passed: ForwardPass, upper: int, lower: int, values: int, seed: int) -> Array:
    """The largest singular values of one Jacobian, for an example of which the batch holds copies."""
    ahead, behind = passed.nodes[upper], passed.nodes[lower]
    height, width = entries(ahead) // passed.examples, entries(behind) // passed.examples
    zeros = tf.zeros_like(ahead[0])

    @functools.cache
    def linear() -> tuple[tf.GradientTape, list[Any]]:
        # J'u is linear in u: its own transposed derivative is J.
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(zeros)
            return tape, passed.back(upper, [lower], zeros)[0]

    def forth(vectors: Array) -> Array:
        tape, gradients = linear()
        shaped = _shaped(vectors, behind, passed.examples)
        reached = [(g, v) for g, v in zip(gradients, shaped, strict=True) if g is not None]
        pushed = tape.gradient([g for g, _ in reached], zeros, output_gradients=[v for _, v in reached])
        return _columns([pushed], ahead, passed.examples)[:, : vectors.shape[1]]

    def back(vectors: Array) -> Array:
        pulled = passed.back(upper, [lower], _shaped(vectors, ahead, passed.examples)[0])[0]
        return _columns(pulled, behind, passed.examples)[:, : vectors.shape[1]]

    # J' has the same singular values; of the two spaces the smaller one is sooner searched through.
    forth, back, width = (forth, back, width) if width <= height else (back, forth, height)
    return singular.largest(forth, back, width, values, seed=seed)


def _shaped(vectors: Array, like: list[Any], examples: int) -> list[Any]:
    """Columns as examples of tensors; examples that are left over stay zero."""
    rows = np.zeros((examples, len(vectors)))
    rows[: vectors.shape[1]] = vectors.T
    parts = np.split(rows, np.cumsum([entries([tensor]) // examples for tensor in like])[:-1], axis=1)
    return [tf.constant(part.reshape(t.shape), t.dtype) for part, t in zip(parts, like, strict=True)]


def _columns(tensors: list[Any], like: list[Any], examples: int) -> Array:
    """The examples of tensors as columns, zero for a tensor that is None."""
    given = [tf.zeros_like(t) if g is None else tf.convert_to_tensor(g) for g, t in zip(tensors, like, strict=True)]
    return np.concatenate([np.asarray(g, np.float64).reshape(examples, -1) for g in given], axis=1).T


def _factor(chi: Array) -> float:
    given = chi[np.isfinite(chi)]
    if not len(given):
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(given).mean() / 2))
