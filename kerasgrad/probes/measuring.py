"""`measure`: what every layer receives from one batch, without training."""

from __future__ import annotations

import time
from typing import Any

import keras

from kerasgrad.finding import counted
from kerasgrad.monitoring import facts, progress
from kerasgrad.monitoring.instrument import Instrument
from kerasgrad.monitoring.recorder import WINDOW, Recorder, Taken
from kerasgrad.probes.harness import as_batch, check_model, preserved, step_without_update
from kerasgrad.run import Run
from kerasgrad.taps.collector import Collector, LayerChoice, Rows, chooses
from kerasgrad.taps.reading import examples

NO_UPDATE = "one batch was measured, and no update was made"


def measure(model: keras.Model, x: Any, y: Any = None, sample_weight: Any = None, *, layers: LayerChoice = None) -> Run:
    """Measures one batch as `GradientMonitor` would measure a training step on it; nothing is trained.

    The model's own `train_step` runs once, eagerly, with its own tape, and its update is held back. So loss, weights of
    examples, mixed precision, gradient clipping and a `train_step` of your own are those of the training. Afterwards all
    variables are what they were: weights, moving averages, seeds, metrics, optimizer.

    Args:
        model: a compiled model. One that is not built yet is built by this.
        x: inputs of one batch, `[examples, ...]`, or a structure of arrays as `fit` takes it.
        y: targets of the batch, or None where the step takes none.
        sample_weight: weights of the examples, `[examples]`, or None.
        layers: which layers get a row, as in `GradientMonitor`.

    Returns:
        A run of one sample at step 0, with the rows and numbers of the monitor. What belongs to an update
        (`update_norm`, `update_ratio`) is NaN, and a unit counts as dead that fires for no example of the batch. Under a
        strategy the batch is measured on one device, as a whole.

    Raises:
        TypeError: the model is none of Keras 3, or `layers` is of the wrong type.
        ValueError: the model is not compiled, `layers` matches no layer, or the batch is empty or of unequal lengths.

    Example:
        >>> kerasgrad.measure(model, x[:32], y[:32])                       # its repr is the report
        >>> kerasgrad.measure(model, x, y).layer("signal_rms")["dense_3"]  # float32 [1]
    """
    facts.check_backend()
    check_model(model, "measure", compiled=True)
    selected, data, rows = chooses(layers), as_batch(x, y, sample_weight), Rows()
    facts.check_choice(model, selected, layers)
    collector, instrument = Collector(model, rows, selected), Instrument()
    with preserved(model):
        step_without_update(model, data, collector)
        collector.examples = examples(data)
        for applied in collector.backward.applied.values():
            applied.after = None
        measured = instrument.compute(collector.observation())
    if collector.failures:
        raise collector.failures[0]
    raw = instrument.read(measured[None])
    run = Run(facts.schema(rows, raw))
    Recorder(run, None, window=1, owners=rows.owners).record([Taken(0, time.time(), raw)])
    run.facts |= facts.settings(model) | progress.objective(model)
    if run.overall("dead_fraction")[0] > 0:
        seen = counted(int(run.overall("examples")[0]), "example")
        run.facts["notes"] = [f"dead units: those that fire for none of {seen}; the monitor waits for {WINDOW} samples"]
    run.facts["not_examined"] = facts.not_examined(rows) | {"updates": NO_UPDATE}
    return run
