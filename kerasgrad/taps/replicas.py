"""Watches a training step of one's own that runs on several replicas: what each of them is given by `strategy.run`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from kerasgrad.taps import seams

Step = Callable[..., Any]
Observed = Callable[..., tuple[Any, Any]]
"""A step that gives what it gives, and what was measured."""

NONE = "the step calls no strategy.run, so that nothing of it was watched; hand `step` the function that calls it"
SEVERAL = "the step calls strategy.run more than once; hand each of them to a `step` of its own"
INSIDE = "strategy.run is called in a loop or condition of the graph; let the step run it once, outside of such"


@dataclass
class Across(seams.Listener):
    """Hears of `strategy.run`, and has the replicas run the watched twin of their step.

    Attributes:
        watched: makes the twin of a replica's step.
        twins: the twins of traced functions, each traced once.
        measured: `[replicas, entries]`, of each `strategy.run`.
    """

    watched: Callable[[Step], Observed]
    twins: dict[int, tuple[Any, Any]]
    measured: list[Any] = field(default_factory=list)

    def on_run(self, run: Step, strategy: Any, function: Step, args: Any, kwargs: Any) -> Any:
        """See `seams.Listener`."""
        outputs, measured = run(self._twin_of(function), args, kwargs)
        # Each replica has a slot of its own in what it measured, and nothing in the others: see `observed`.
        self.measured.append(strategy.reduce(tf.distribute.ReduceOp.MEAN, measured, axis=None))
        return outputs

    def _twin_of(self, function: Step) -> Step:
        if not seams.is_traced(function):
            twin = self.watched(seams.converted(function, by_default=False))  # as `strategy.run` itself would have it
            return tf.autograph.experimental.do_not_convert(twin)  # type: ignore[no-any-return]
        if id(function) not in self.twins:
            self.twins[id(function)] = function, seams.traced_like(function, self.watched)
        return self.twins[id(function)][1]  # type: ignore[no-any-return]


def across(step: Step, watched: Callable[[Step], Observed]) -> Observed:
    """A step that runs on several replicas, observed on each; `seams.installed` must hold while it is traced or runs.

    Args:
        step: calls `strategy.run` once.
        watched: makes the observed twin of what a replica runs.

    Returns:
        A function of the same arguments that gives what the step gives, and what was measured, `[replicas, entries]`: the
        same on all workers.
    """
    twins: dict[int, tuple[Any, Any]] = {}

    def run(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        listener = Across(watched, twins)
        with seams.listening(listener):
            outputs = step(*args, **kwargs)
        if len(listener.measured) != 1:
            raise ValueError(SEVERAL if listener.measured else NONE)
        if not tf.executing_eagerly() and listener.measured[0].graph is not tf.compat.v1.get_default_graph():
            raise ValueError(INSIDE)
        return outputs, listener.measured[0]

    return run


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes for all; the only one where there are no workers."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    first = resolver.task_type == "worker" and resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs
    return bool(resolver.task_type == "chief" or first)


def workers(strategy: tf.distribute.Strategy) -> int:
    """Number of processes that train together."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return 1
    return sum(len(tasks) for job, tasks in resolver.cluster_spec().as_dict().items() if job in ("chief", "worker"))


def agreed(strategy: tf.distribute.Strategy, flag: bool) -> bool:
    """Whether the flag is up on any worker; all of them must ask at the same place of their loops."""

    def total() -> Any:
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(float(flag)))

    return float(strategy.experimental_local_results(strategy.run(total))[0]) > 0
