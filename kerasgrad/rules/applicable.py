"""Which remedies a run speaks against: what a net has already, or has no place for, is not named.

Each check answers, from what is recorded, why a remedy is out of place, `""` where nothing speaks against it. What the run
does not show, such as a shortcut that is a plain `x + y`, is not known here; `kerasgrad.remedies.apply` looks at the model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import numpy as np

from kerasgrad.rules.evidence import Evidence, median
from kerasgrad.rules.initial import gates, scale_of

BENT = {"sigmoid", "hard_sigmoid", "softmax", "tanh", "hard_tanh", "softsign"}
"""Activations whose derivative is below 1."""
RECTIFIED = {"relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "mish", "celu", "softplus"}
DYING = {"relu", "relu6"}
REGRESSIONS = (
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error", "huber",
    "log_cosh",
)  # fmt: skip
"""Losses of numbers rather than classes, by their names in Keras."""
HE, NEAR = 2**0.5, 0.1
"""rms(w) sqrt(fan-in) of He's initialiser, and by what share a kernel drawn from it may miss that."""
SHORTCUT = re.compile(r"(^|[/_])(add|residual|shortcut|skip|concatenate)(_\d+)?$")
"""Names of layers that join two ways; Keras gives them where a person gives none."""


def applicable(remedies: Iterable[str], seen: Evidence) -> tuple[str, ...]:
    """The remedies that nothing in the run speaks against.

    Args:
        remedies: names, the likeliest first; those that are not known here are kept.
        seen: what is known of the run.
    """
    return tuple(name for name in remedies if not any(check(seen) for names, check in CHECKS if name in names))


def _rectified(seen: Evidence) -> str:
    """Use of a ReLU helps layers that bend, or that are linear all through."""
    kinds = {kind for row, kind in enumerate(seen.run.schema.activations) if row != seen.output}
    return "it is rectified already" if kinds & RECTIFIED and not kinds & BENT else ""


def _has_no_relu(seen: Evidence) -> str:
    kinds = {kind for row, kind in enumerate(seen.run.schema.activations) if row != seen.output}
    return "" if kinds & DYING else "no hidden layer is a ReLU"


def _has_shortcuts(seen: Evidence) -> str:
    return "it has shortcuts" if any(map(SHORTCUT.search, seen.run.layers)) else ""


def _has_norms(seen: Evidence) -> str:
    normed = any(path.rpartition("/")[2] == "gamma" for path in seen.run.variables)
    return "it has normalisations" if normed or seen.run.facts.get("batch_normalised") else ""


def _has_no_batch_norm(seen: Evidence) -> str:
    return "it has no BatchNormalization" if seen.run.facts.get("batch_normalised") is False else ""


def _has_he_weights(seen: Evidence) -> str:
    """In the median hidden layer; one that differs is another matter, which the rule itself measures."""
    if not len(seen) or seen.steps[0] > 0 or len(seen.learners) < 2:
        return ""
    scales = np.array([scale_of(seen, row) for row in seen.learners if row != seen.output])
    scales = scales[np.isfinite(scales)]
    near = np.abs(scales / HE - 1) < NEAR
    return "its weights are He's" if len(scales) and near.all() else ""


def _has_gates(seen: Evidence) -> str:
    """Recurrent layers all of whose kernels are several side by side."""
    kernels = [o for path, o in zip(seen.run.variables, seen.owners, strict=True) if path.endswith("/recurrent_kernel")]
    known = [gates(seen.run, seen.name(owner)) for owner in kernels if owner >= 0]
    return "its recurrent layers have gates" if known and min(known) > 1 else ""


def _has_one_step(seen: Evidence) -> str:
    """Before the first step the state is zero, so that after one step the recurrent kernel has no gradient."""
    zeros = seen.run.table("gradient_norm", "variable") == 0
    own = [i for i, path in enumerate(seen.run.variables) if path.endswith("/recurrent_kernel")]
    return "its sequences have one time step" if own and len(zeros) and zeros[:, own].all() else ""


def _is_regression(seen: Evidence) -> str:
    """By its loss, unless an accuracy is reported, which shows that classes are meant."""
    metrics = {*(seen.run.facts.get("history") or {})}
    classes = any("accuracy" in name or name in ("acc", "auc") for name in metrics)
    return "it is a regression" if seen.run.facts.get("loss_function") in REGRESSIONS and not classes else ""


def _is_classification(seen: Evidence) -> str:
    return "it predicts classes" if "crossentropy" in str(seen.run.facts.get("loss_function") or "") else ""


def _clips(seen: Evidence) -> str:
    return "it clips already" if seen.run.facts.get("clipping") else ""


def _has_adam(seen: Evidence) -> str:
    return "it has Adam" if "adam" in str(seen.run.facts.get("optimizer") or "").lower() else ""


def _has_dropout(seen: Evidence) -> str:
    return "it has dropout" if any("dropout" in path.lower() for path in seen.run.layers) else ""


def _attends(seen: Evidence) -> str:
    return "it attends" if any("/query/" in f"/{path}" for path in seen.run.variables) else ""


def _takes_logits(seen: Evidence) -> str:
    return "its loss takes logits" if seen.run.facts.get("from_logits") else ""


def _starts_from_zero(seen: Evidence) -> str:
    """A rate that moves nothing, since nothing arrives, is not too low."""
    norm = median(seen.overall("gradient_norm"))
    return "no gradient arrives" if float(np.nan_to_num(norm, nan=1.0)) == 0 else ""


CHECKS: tuple[tuple[tuple[str, ...], Callable[[Evidence], str]], ...] = (
    (("use_relu",), _rectified),
    (("use_leaky_relu", "use_prelu"), _has_no_relu),
    (("add_shortcuts",), _has_shortcuts),
    (("add_normalization", "add_batch_normalization", "add_layer_normalization", "add_group_normalization"), _has_norms),
    (("lower_batchnorm_momentum", "use_group_normalization"), _has_no_batch_norm),
    (("use_he_initializer",), _has_he_weights),
    (("use_lstm", "use_gru"), _has_gates),
    (("shorten_sequences",), _has_one_step),
    (("use_sigmoid", "use_softmax", "use_binary_crossentropy", "weigh_classes"), _is_regression),
    (("scale_targets",), _is_classification),
    (("clip_gradients",), _clips),
    (("use_adam",), _has_adam),
    (("add_dropout",), _has_dropout),
    (("add_attention",), _attends),
    (("set_from_logits",), _takes_logits),
    (("raise_learning_rate",), _starts_from_zero),
)
"""Remedies, and what may speak against them."""
