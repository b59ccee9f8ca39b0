"""`prescribe`: tries the remedies that the findings name, each for the same few steps, and says which one helps."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from kerasgrad import remedies
from kerasgrad.finding import Diagnosis, Finding, Severity
from kerasgrad.monitoring.callback import GradientMonitor
from kerasgrad.monitoring.progress import loss_name
from kerasgrad.probes import audit
from kerasgrad.probes.harness import check_model, preserved
from kerasgrad.remedies.graph import is_graph
from kerasgrad.remedies.prescription import Prescription, Trial
from kerasgrad.remedies.remedy import Remedied
from kerasgrad.rules import diagnose
from kerasgrad.run import Run

EPOCHS = 8
"""Parts that the steps are fitted in: some rules look at what is known by epoch."""
HELD_OUT, EVALUATED = 0.2, 2000
"""Share of the examples that is held out, and how many at most are looked at."""
GAIN = 0.05
"""Share of its held-out loss by which a model must get better, if its findings stay as many."""


@dataclass
class _Bench:
    """What is the same for all trials: examples, batches, seed, the clock."""

    x: Any
    y: Any
    held_out: tuple[Any, Any]
    steps: int
    batch_size: int
    seed: int
    deadline: float

    def train(self, names: tuple[str, ...], made: Remedied) -> tuple[Trial, Diagnosis, Run]:
        """Trains a copy under the monitor, diagnoses it and evaluates it on what it has not seen."""
        began = time.monotonic()
        model, batch = made.model, made.batch_size or self.batch_size
        self._build(model)
        keras.utils.set_random_seed(self.seed)
        # Judged once, when it is over: nobody wants the alarms of nine trials in the log.
        monitor = GradientMonitor(update_freq=1, window=max(2, self.steps // 2), rules=(), verbose=0)
        epochs = max(1, min(EPOCHS, self.steps // 10))
        # The order is drawn from the seed, not by `fit`: all trials see the same examples in the same steps.
        order = np.random.default_rng(self.seed)
        count = len(keras.tree.flatten(self.x)[0])
        index = np.concatenate([order.permutation(count) for _ in range(-(-self.steps * batch // count))])
        rows = tf.data.Dataset.from_tensor_slices(index[: self.steps * batch].reshape(self.steps, batch))
        tables = keras.tree.map_structure(tf.constant, (self.x, self.y))
        batches = rows.map(lambda row: keras.tree.map_structure(lambda t: tf.gather(t, row), tables)).repeat()
        steps = self.steps // epochs
        model.fit(batches, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[monitor])
        # As a dataset: `evaluate` takes no arrays of strings.
        held_out = tf.data.Dataset.from_tensor_slices(self.held_out).batch(32)
        scores = model.evaluate(held_out, verbose=0, return_dict=True)
        run = monitor.run
        diagnosis, audited = diagnose(run), audit(model, batch)
        known = {finding.rule for finding in diagnosis}
        before = tuple(finding for finding in audited.of(Severity.WARNING) if finding.rule not in known)
        warnings, loss = (*diagnosis.of(Severity.WARNING), *before), loss_name(model.loss)[0]
        return Trial(names, warnings, scores, made.changed, time.monotonic() - began, batch, loss), diagnosis, run

    def _build(self, model: keras.Model) -> None:
        """Makes the variables of optimizer and metrics now: a step that makes them is traced twice, which takes as long."""
        # A train_step of its own may know no such loss; then it is traced twice.
        with contextlib.suppress(Exception):
            model.optimizer.build(model.trainable_variables)
            x, y = keras.tree.map_structure(lambda v: v[:1], (self.x, self.y))
            predicted = model(x)
            model.compute_loss(x, y, predicted)
            model.compute_metrics(x, y, predicted)
            model.reset_metrics()

    @property
    def is_late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self.deadline


def prescribe(
    model: keras.Model, x: Any, y: Any, *, steps: int = 200, batch_size: int = 32, validation_data: Any = None,
    seconds: float = 600, seed: int = 0, verbose: int = 1,
) -> Prescription:  # fmt: skip
    """Tries the remedies that the findings name, and the best two together, and says with figures which one helps.

    A copy of the model is trained for a few steps under the monitor and diagnosed. If neither a rule nor the audit warns,
    the model is left alone. Otherwise each remedy that a finding or the audit names is applied to a copy and trained for as
    many steps from the same seed on the same batches; then the best two together, of two families. First come those with the
    fewest warnings of the untreated model left and no error of their own, among them those with the least loss on held-out
    examples. Where only the audit warns, one that lifts no warning is not taken, whatever its loss.

    The model itself is never touched; the random seeds of Python, NumPy and TensorFlow are set.

    Args:
        model: a Functional or Sequential model, built and compiled; its weights are what each trial starts from.
        x: inputs: an array, or arrays in a tuple, list or dict.
        y: targets of the same examples, likewise.
        steps: of training in each trial; some rules need 50 and more.
        batch_size: examples in a step.
        validation_data: `(x, y)` that are held out; a fifth of the examples if None.
        seconds: after so many no further trial is begun. What was left out is said.
        seed: of weights that are drawn anew, of dropout and of the order of the examples.
        verbose: 1 for progress, 0 for silence.

    Returns:
        The best model, not yet trained, compiled and ready for `fit`; and the table of trials, its `repr`. Where nothing
        helps `model` is the one that was given.

    Raises:
        TypeError: `model` is no Keras model, or `x`, `y` or `validation_data` are no arrays.
        ValueError: the model is not compiled or not built, there are too few examples or not as many of `x` as of `y`, or a
            copy of the model predicts something else than the model does.

    Example:
        >>> better = kerasgrad.prescribe(model, x, y)
        >>> better
        >>> better.model.fit(x, y, epochs=10)
    """
    _check(model, x, y, validation_data, steps, batch_size)
    audited = audit(model, batch_size)
    if not is_graph(model):
        return Prescription(model, None, (), audited, _advised(audited.findings, model), NOT_A_GRAPH)
    bench = _bench(x, y, validation_data, steps, batch_size, seed, seconds)
    with _progress(verbose) as progress:
        task = progress.add_task("as it is", total=None)
        keras.utils.set_random_seed(seed)
        copy = remedies.plain_copy(model)
        _check_copy(model, copy.model, bench.x)
        untreated, diagnosis, run = bench.train((), copy)
        if not untreated.warnings:
            return Prescription(model, None, (untreated,), diagnosis, (), HEALTHY)
        named = _named(diagnosis, audited)
        progress.update(task, total=len(named) + 1)
        trials = [untreated]
        for name in named:
            progress.update(task, advance=1, description=name)
            trials.append(_try(bench, (name,), model, named, run))
        ranked = _ranked(trials, untreated)
        # Of one family the second would undo the first.
        first = {remedies.FAMILY[trial.remedies[0]]: trial for trial in reversed(ranked) if trial.helps}
        best = [trial for trial in ranked if trial in first.values()]
        if len(best) > 1:
            pair = best[0].remedies + best[1].remedies
            progress.update(task, advance=1, description=" + ".join(pair))
            trials.append(_try(bench, pair, model, named, run))
    ranked = _ranked(trials, untreated)
    advice = _advised((*diagnosis.findings, *audited.findings), model)
    if not ranked or not ranked[0].helps:
        return Prescription(model, None, (untreated, *ranked), diagnosis, advice, _why(ranked))
    keras.utils.set_random_seed(seed)
    made = _applied(bench, ranked[0].remedies, model, named, run)
    return Prescription(made.model, ranked[0], (untreated, *ranked), diagnosis, advice, "")


HEALTHY = "neither a rule nor the audit warns of it: the model is left alone"
NOTHING = "no remedy that was tried helps: the model is left as it is"
UNNAMED = "the findings name no remedy that can be tried: the model is left as it is"
UNTRIED = "no remedy could be tried, as the table says: the model is left as it is"
NOT_A_GRAPH = "it has a call of its own: its graph cannot be put together anew, so nothing was tried"
LATE = "not tried: the time was up"


def _why(trials: list[Trial]) -> str:
    """Why nothing helps."""
    if not trials:
        return UNNAMED
    return NOTHING if any(trial.scores for trial in trials) else UNTRIED


def _check(model: Any, x: Any, y: Any, held_out: Any, steps: int, batch_size: int) -> None:
    check_model(model, "prescribe")
    _check_arrays(x=x, y=y)
    if held_out is not None:
        if not isinstance(held_out, list | tuple) or len(held_out) != 2:
            raise TypeError(
                "`validation_data` is `(x, y)`, of arrays: of a dataset take some hundred examples into arrays. "
                f"Received: validation_data of type {type(held_out).__name__}"
            )
        _check_arrays(**dict(zip(("validation_data[0]", "validation_data[1]"), held_out, strict=True)))
    if not getattr(model, "compiled", False) or not model.built:
        raise ValueError(
            f"`prescribe` trains copies of the model: build it and compile it first. Received: built={model.built}, "
            f"compiled={getattr(model, 'compiled', False)}"
        )
    for what, value in (("steps", steps), ("batch_size", batch_size)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"`{what}` is a number from 1. Received: {what}={value!r}")


def _check_arrays(**given: Any) -> None:
    """Inputs and targets by name: arrays, with as many examples in each."""
    lengths: dict[str, list[int]] = {}
    for name, values in given.items():
        leaves = keras.tree.flatten(values)
        if values is None:
            raise TypeError(
                "`prescribe` compares losses on held-out examples, so it takes targets beside `x`; where a model gives its "
                f"input back they are `x` again. Received: {name}=None"
            )
        odd = [leaf for leaf in leaves if not getattr(leaf, "shape", ()) or not hasattr(leaf, "__getitem__")]
        if not leaves or odd:
            inside = f" with {type(odd[0]).__name__} in it" if odd and odd[0] is not values else ""
            raise TypeError(
                "`prescribe` takes arrays, so that each trial sees the same batches: of a dataset or generator take some "
                f"thousand examples into arrays. Received: {name} of type {type(values).__name__}{inside}"
            )
        lengths[name] = [leaf.shape[0] for leaf in leaves]
    if len({length for of in lengths.values() for length in of}) > 1:
        received = ", ".join(f"{name} of {' and '.join(map(str, of))}" for name, of in lengths.items())
        raise ValueError(f"`prescribe` takes as many targets as inputs. Received: {received} examples")


def _check_copy(model: Any, copy: Any, x: Any) -> None:
    """Makes sure that what is tried is the model: a layer may keep state of its own that it does not save either."""
    some = keras.tree.map_structure(lambda v: tf.constant(v[:8]), x)
    with preserved(model), preserved(copy):
        try:
            given = [_flat(one(some, training=False)) for one in (model, model, copy)]
        except Exception:  # its train_step may call it in another way
            return
    again, same = (all(map(_close, given[0], of)) for of in given[1:])
    if again and not same:  # a model that draws its answers anew says nothing
        raise ValueError(
            "A copy of the model predicts something else than the model does, so nothing that is tried on copies would hold "
            "for it: a layer keeps state that is neither in its weights, nor in its get_config, nor in what it saves "
            f"(save_own_variables, save_assets). Put it there. Received: model={model.name!r}"
        )


def _flat(outputs: Any) -> list[Any]:
    return [np.asarray(leaf, np.float64) for leaf in keras.tree.flatten(outputs)]


def _close(a: Any, b: Any) -> bool:
    return np.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True)


def _held(count: int) -> int:
    """Examples that are held out of so many."""
    return min(int(count * HELD_OUT), EVALUATED)


def _tables(values: Any) -> Any:
    """Arrays, in tuples as `fit` has them: a list in a dataset would become one tensor."""
    return keras.tree.lists_to_tuples(keras.tree.map_structure(np.asarray, values))


def _bench(x: Any, y: Any, held_out: Any, steps: int, batch: int, seed: int, seconds: float) -> _Bench:
    x, y = _tables(x), _tables(y)
    count = len(keras.tree.flatten(x)[0])
    least = batch if held_out is not None else next(n for n in itertools.count(1) if _held(n) and n - _held(n) >= batch)
    if count < least:
        raise ValueError(
            f"There are too few examples for a batch of {batch} and some to hold out: it takes {least}, or fewer with a "
            f"smaller `batch_size`. Received: {count} examples, batch_size={batch}"
        )
    if held_out is not None:
        held_out = _tables(held_out)
    else:
        order = np.random.default_rng(seed).permutation(count)
        cut = count - _held(count)
        held_out = keras.tree.map_structure(lambda v: v[order[cut:]], (x, y))
        x, y = keras.tree.map_structure(lambda v: v[order[:cut]], (x, y))
    return _Bench(x, y, held_out, steps, batch, seed, time.monotonic() + seconds)


def _progress(verbose: int) -> Progress:
    columns = TextColumn("{task.description:32}"), BarColumn(), TimeElapsedColumn()
    return Progress(*columns, console=Console(stderr=True), disable=not verbose, transient=True)


def _named(diagnosis: Diagnosis, audited: Diagnosis) -> dict[str, Finding]:
    """Remedies with what names them: those of the gravest findings first, then of the rest, then of the audit."""
    found: dict[str, list[Finding]] = {}
    for finding in (*diagnosis.findings, *audited.findings):
        for name in finding.remedies:
            if name in remedies.REMEDIES and not remedies.REMEDIES[name].is_advice:
                found.setdefault(name, []).append(finding)
    return {name: _together(findings) for name, findings in found.items()}


def _together(findings: list[Finding]) -> Finding:
    """The first of the findings that name a remedy, with the layers of all that warn; of all layers if it names none."""
    first, *others = findings
    if not first.layers:
        return first
    layers = dict.fromkeys([*first.layers, *(p for f in others if f.severity >= Severity.WARNING for p in f.layers)])
    return dataclasses.replace(first, layers=tuple(layers))


def _advised(findings: Any, model: keras.Model) -> tuple[str, ...]:
    """Remedies that are named and cannot be tried here."""
    named = [name for finding in findings for name in finding.remedies if name in remedies.REMEDIES]
    tried = is_graph(model)
    return tuple(dict.fromkeys(name for name in named if not tried or remedies.REMEDIES[name].is_advice))


def _try(bench: _Bench, names: tuple[str, ...], model: Any, findings: dict[str, Finding], run: Run) -> Trial:
    """One trial; a remedy that fails, or changes nothing, is said and ends nothing."""
    if bench.is_late:
        return Trial(names, reason=LATE)
    keras.utils.set_random_seed(bench.seed)
    try:
        made = _applied(bench, names, model, findings, run)
        return bench.train(names, made)[0] if made.model is not None else Trial(names, reason=made.advice)
    except Exception as error:
        return Trial(names, reason=f"failed: {type(error).__name__}: {str(error).splitlines()[0][:200]}")


def _applied(bench: _Bench, names: tuple[str, ...], model: Any, findings: dict[str, Finding], run: Run) -> Remedied:
    """One remedy after the other; where one changes nothing, only that it does not."""
    made = Remedied(names[0], model)
    for name in names:
        known = {"finding": findings.get(name), "run": run, "x": bench.x, "batch_size": bench.batch_size}
        next_one = remedies.apply(name, made.model, **known)
        if next_one.model is None:
            return next_one
        both = made.changed + next_one.changed
        size = next_one.batch_size or made.batch_size
        made = Remedied(name, next_one.model, both, next_one.kept, batch_size=size)
    return made


def _ranked(trials: list[Trial], untreated: Trial) -> list[Trial]:
    """The trials, the best first, each judged against the untreated one; those that were not trained last."""
    ills = {finding.rule for finding in untreated.warnings}
    measured = any(finding.samples for finding in untreated.warnings)  # by a rule, and not read off the model
    for trial in trials:
        left = [f for f in trial.warnings if f.rule in ills or f.severity is Severity.ERROR]
        trial.left = len({f.rule for f in left})
        # Losses of another kind, as after set_from_logits, say nothing beside each other.
        same = trial.loss_function == untreated.loss_function
        before, now = untreated.loss if same else np.inf, trial.loss
        fewer, same_ills = trial.left < len(ills), trial.left == len(ills) and measured
        trial.helps = bool(
            trial is not untreated and np.isfinite(now)
            and (not np.isfinite(before) or now <= before * (1 if fewer else 1 - GAIN)) and (fewer or same_ills)
        )  # fmt: skip
    others = [trial for trial in trials if trial is not untreated]
    return sorted(others, key=lambda t: (bool(t.reason), not t.helps, t.left, t.loss if np.isfinite(t.loss) else np.inf))
