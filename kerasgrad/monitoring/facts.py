"""What is true of a whole run: its rows, the settings of the model, what could not be examined; and what rules a run out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasgrad.catalogue import Statistic
from kerasgrad.monitoring.overhead import Overhead
from kerasgrad.run import Facts, Schema
from kerasgrad.statistics import histogram
from kerasgrad.statistics.outputs import watched
from kerasgrad.taps import seams
from kerasgrad.taps.layers import below
from kerasgrad.taps.rows import Rows
from kerasgrad.version import __version__


def check_backend() -> None:
    """Makes sure that Keras runs on TensorFlow.

    Raises:
        ValueError: it does not.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "GradientMonitor needs Keras on TensorFlow: set the environment variable KERAS_BACKEND=tensorflow before keras "
            f"is imported. Received: backend={keras.backend.backend()!r}"
        )


def check_model(model: object) -> None:
    """Makes sure that a model is one of Keras 3, or trains as one does.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(model, keras.Model) and not seams.is_trainer(model):
        raise TypeError(
            "GradientMonitor watches models of Keras 3. For a model of tf_keras, port it to `import keras` (the same "
            f"layers are there). Received: {type(model).__module__}.{type(model).__name__}"
        )


def check_choice(model: keras.Model, selected: Callable[[keras.Layer, str], bool], choice: object) -> None:
    """Finds a choice of layers that matches none, a slip of the pen, before any training.

    Args:
        model: the model; one that is not built yet has no layers to compare with.
        selected: the choice as a predicate.
        choice: the choice as it was written.

    Raises:
        ValueError: the model has layers and none is chosen.
    """
    layers = model._flatten_layers(include_self=False) if model.built else []
    layers = [layer for layer in layers if not isinstance(layer, keras.layers.InputLayer)]
    known = {below(model, layer.path or layer.name): layer for layer in layers}
    if known and not any(selected(layer, path) for path, layer in known.items()):
        near = difflib.get_close_matches(str(choice), list(known), n=5, cutoff=0.3) or list(known)[:5]
        raise ValueError(f"`layers` matches no layer of the model. Some that it has: {near}. Received: layers={choice!r}")


def settings(model: keras.Model) -> Facts:
    """Versions, and how the model is trained; one with a loop of its own may have no optimizer."""
    optimizer = getattr(model, "optimizer", None)
    return {
        "kerasgrad": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "model": model.name,
        "parameters": model.count_params() if model.built else None,
        "trainable": len(model.trainable_variables) if model.built else None,
        "optimizer": type(optimizer).__name__ if optimizer is not None else None,
        "weight_penalty": _is_penalised(model),
        "precision": model.dtype_policy.name,
        "jit_compile": bool(model.jit_compile),
        "run_eagerly": bool(model.run_eagerly),
        "steps_per_execution": model.steps_per_execution,
        "replicas": model.distribute_strategy.num_replicas_in_sync,
    }


def _is_penalised(model: keras.Model) -> bool:
    """Whether a regulariser or the optimizer pulls weights to zero."""
    decay = getattr(getattr(model, "optimizer", None), "weight_decay", None)
    return bool(decay) or any(variable.regularizer is not None for variable in model.trainable_variables)


def of_watching(overhead: Overhead, rows: Rows) -> Facts:
    """What watching cost so far, and what it could not see."""
    return {
        "samples": overhead.samples,
        "tracing_seconds": round(overhead.tracing, 3),
        "overhead": None if np.isnan(overhead.share) else round(overhead.share, 5),
        "not_examined": not_examined(rows),
        "output_layer": rows.output,
        "losses": rows.losses,
        "stale_trainable": rows.stale,
    }


def schema(rows: Rows, raw: dict[str, Any], *, statistics: Sequence[Statistic] = ()) -> Schema:
    """The rows of a run.

    Args:
        rows: as the taps found them.
        raw: the first sample, which shows what there is over time and whether there are histograms.
        statistics: what is measured besides the catalogue.

    Returns:
        The schema; variables of layers that were not chosen are left out.
    """
    kept = [i for i, owner in enumerate(rows.owners) if owner >= 0]
    return Schema(
        layers=tuple(seen.path for seen in rows.seen),
        variables=tuple(rows.variable_paths[i] for i in kept),
        owners=tuple(rows.owners[i] for i in kept),
        sizes=tuple(int(np.prod(tuple(rows.variables[i].shape))) for i in kept),
        activations=tuple(seen.activation.name for seen in rows.seen),
        units={seen.path: seen.units for seen in rows.seen if watched(seen)},
        recurrent=tuple(rows.seen[int(name[5:])].path for name in raw if name.startswith("time/")),
        bins=tuple(histogram.EDGES.tolist()) if "histogram" in raw else (),
        statistics=tuple(statistic.describe() for statistic in statistics),
    )


def not_examined(rows: Rows) -> dict[str, str]:
    """Why something has no numbers, by path of the layer, or by `path: what`."""
    of_rows = {f"{seen.path}: {what}": reason for seen in rows.seen for what, reason in seen.not_examined.items()}
    return dict(rows.not_examined) | of_rows
