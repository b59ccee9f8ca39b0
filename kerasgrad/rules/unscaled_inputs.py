"""Unscaled inputs: the numbers that the first layer is fed are far from 1 in size.

What it sees: the size of the inputs, read off the gradients of the first layer: its kernel's is a sum of input times
signal, its bias's the sum of the signal, so that ||dL/dW|| / ||dL/db|| is about the length of an input, and divided by
sqrt(fan-in) its RMS. No data are looked at. Before a normalisation the bias has no gradient but rounding noise; so the
RMS of the layer's first outputs over its kernel scale rms(w) sqrt(fan-in) is taken as well, where its activation is
linear or a ReLU, and the smaller one counts. Of a recurrent layer the gradient of the kernel is a sum of input times
signal over the time steps, that of the recurrent kernel of state times signal: so the input is as much larger than the
state, whose RMS is that of the outputs.
Why it hurts: the first step of the weights is as many times too large; units die or saturate, the loss begins far too
high.
Threshold and source: an RMS above 10 with a gain below 0.8 is a warning, above 100 also if that gain is missing on
held-out data alone; above 3 it is a note (UMLAUT and DeepDiagnosis ask for values within [-1, 1]). An
RMS below 0.02 is a warning with a gain below 0.5.
Of fewer than 4 units neither number says much: sums of signals over a batch cancel in one unit, not in many at once.
Known false alarms: nets that begin with a normalisation or an embedding are not judged. Nets that learn all the same
get a note.
Remedies: standardize_inputs, rescale_pixels, add_input_normalization.
References: LeCun et al. 1998, Efficient backprop, section 4.3.
"""

from __future__ import annotations

import numpy as np

from kerasgrad.finding import Finding, Severity, counted
from kerasgrad.rules.evidence import START, Evidence, median
from kerasgrad.rules.rule import Verdict, rule

NOTE, WARNING, FAR = 3.0, 10.0, 100.0
GAIN = 0.8
TINY = 0.02
"""Inputs below this are lost beside the biases, if the model does not learn either."""
LOST = 0.5
FEW = 4
"""Units from which on the gradients of a layer tell the size of its inputs."""
CAUSES = (
    "pixels from 0 to 255",
    "columns in their own units, of which the largest rules",
    "numbers of words or categories, which want an Embedding or a one-hot code",
)
HALVED = {"linear": 1.0, "relu": 0.5, "leaky_relu": 0.5, "relu6": 0.5}
"""What these activations leave of the mean square of a symmetric input."""


@rule("variable/gradient_norm", least=3)
def unscaled_inputs(seen: Evidence) -> Verdict:
    """Judges the first layer with weights."""
    run = seen.run
    if not len(seen.learners):
        return "no layer has variables"
    first = seen.learners[0]
    own = np.flatnonzero(seen.owners == first)
    kinds = {run.variables[i].rpartition("/")[2]: int(i) for i in own}
    measured = np.flatnonzero(np.isfinite(seen.layer("activation_mean")[0]))
    fed = len(measured) > 0 and first <= measured[0] + 1
    if len(own) != len(kinds) or kinds.keys() - {"recurrent_kernel"} != {"kernel", "bias"} or not fed:
        return f"{seen.name(first)}, the first layer with weights, is not one kernel and one bias fed by the inputs"
    if "recurrent_kernel" in kinds:
        size, samples = _by_states(seen, first, kernel=kinds["kernel"], recurrent=kinds["recurrent_kernel"])
    elif run.schema.sizes[kinds["bias"]] < FEW:
        return f"{seen.name(first)} has {counted(run.schema.sizes[kinds['bias']], 'unit')}: too few to tell its inputs by"
    else:
        size, samples = _by_bias(seen, kernel=kinds["kernel"], bias=kinds["bias"])
        told = _by_outputs(seen, first, kernel=kinds["kernel"], bias=kinds["bias"])
        size = float(np.fmin(size, told) if size > TINY else np.fmax(size, told))
    if np.isnan(size):
        return f"no gradient reaches {seen.name(first)}"
    fires = not float(seen.layer("dead_fraction")[-1, first]) > 0  # of units that never fire neither number tells anything
    tiny = 0 < size < TINY and fires and seen.learning.poor(LOST)
    if size <= NOTE and not tiny:
        return []
    grave = tiny or (size > WARNING and (seen.learning.poor(GAIN) or (size > FAR and seen.learning.useless(GAIN))))
    said = (
        f"The inputs of {seen.name(first)} have an RMS of about {size:.3g}, by its gradients; about 1 is what layers expect."
    )
    return [
        Finding(
            severity=Severity.WARNING if grave else Severity.NOTE,
            summary=said,
            layers=(seen.name(first),),
            starts_at=seen.name(first),
            since=int(seen.steps[0]),
            quantity="RMS of the inputs",
            measured=size,
            threshold=TINY if tiny else WARNING if grave else NOTE,
            samples=samples,
            causes=("inputs that were scaled twice", "columns in units that make them tiny") if tiny else CAUSES,
            remedies=("standardize_inputs", "rescale_pixels", "add_input_normalization"),
        )
    ]


def _by_bias(seen: Evidence, *, kernel: int, bias: int) -> tuple[float, int]:
    """RMS of the inputs by the gradients of kernel and bias, NaN if none arrives; and the samples that it rests on."""
    norms = seen.variable("gradient_norm")[:START]
    given = (norms[:, bias] > 0) & (seen.variable("gradient_zeros")[:START, kernel] < 1)
    if not given.any():
        return float("nan"), 0
    fan_in = seen.run.schema.sizes[kernel] / seen.run.schema.sizes[bias]
    return float(median(norms[given, kernel] / norms[given, bias]) / np.sqrt(fan_in)), int(given.sum())


def _by_states(seen: Evidence, row: int, *, kernel: int, recurrent: int) -> tuple[float, int]:
    """The same by the gradients of kernel K and recurrent kernel U, `[inputs or units, gates x units]`, and the states.

    ||dL/dK|| / sqrt(inputs) is to ||dL/dU|| / sqrt(units) as the RMS of the inputs to that of the states; the sizes of
    the kernels are as inputs to units.
    """
    norms, sizes = seen.variable("gradient_norm")[:START], seen.run.schema.sizes
    given = (norms[:, recurrent] > 0) & (norms[:, kernel] > 0)
    if not given.any():
        return float("nan"), 0
    ratio = norms[given, kernel] / norms[given, recurrent] * np.sqrt(sizes[recurrent] / sizes[kernel])
    return float(median(ratio * seen.magnitude()[:START][given, row])), int(given.sum())


def _by_outputs(seen: Evidence, row: int, *, kernel: int, bias: int) -> float:
    """RMS of the inputs by the first outputs: sqrt(E a^2 / left) / (rms(w) sqrt(fan-in)); NaN where it cannot be told."""
    left = HALVED.get(seen.run.schema.activations[row])
    scale = float(seen.variable("weight_norm")[0, kernel]) / np.sqrt(seen.run.schema.sizes[bias])
    if left is None or seen.steps[0] > 0 or not scale > 0:
        return float("nan")
    return float(seen.magnitude()[0, row] / np.sqrt(left) / scale)
