"""A remedy: a name and a function from a model, and what is known of it, to a changed copy."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerasgrad.finding import WIDTH, Finding, counted
from kerasgrad.remedies.graph import Edit, Graph, is_graph, rebuilt, unchanged
from kerasgrad.remedies.training import recompiled, remade
from kerasgrad.run import Run
from kerasgrad.taps.gradients import without_scaling


@dataclass(frozen=True)
class Given:
    """What a remedy is given.

    Attributes:
        model: the model, which is left as it is.
        finding: the finding that named the remedy; its layers are treated, where a remedy is of single layers.
        run: a run of the model, for what is measured in it.
        x: a sample of inputs.
        batch_size: examples in a step.
    """

    model: keras.Model
    finding: Finding | None = None
    run: Run | None = None
    x: Any = None
    batch_size: int | None = None


@dataclass(frozen=True, eq=False)
class Remedied:
    """What came of a remedy.

    Attributes:
        name: of the remedy.
        model: the changed copy, compiled as the model was; None where there is only advice, or nothing to change.
        changed: what is different, in words; empty where nothing is.
        kept: what is not.
        advice: what a person has to do, perhaps as code to paste; `""` where the copy is all.
        batch_size: examples in a step that go with it, None where it leaves them alone.
    """

    name: str
    model: Any = None
    changed: tuple[str, ...] = ()
    kept: str = ""
    advice: str = ""
    batch_size: int | None = None

    def __repr__(self) -> str:
        """What was changed, what was kept, what is left to do."""
        lines = [f"{self.name}: {'a changed copy' if self.model is not None else 'no copy was made'}"]
        shown = [*self.changed[:SHOWN], *([f"and {len(self.changed) - SHOWN} more"] if len(self.changed) > SHOWN else [])]
        lines += [f"  {line}" for line in shown]
        if self.batch_size is not None:
            lines.append(f"  fit with batch_size={self.batch_size}")
        if self.kept:
            lines.append(textwrap.fill(f"kept: {self.kept}", WIDTH, initial_indent="  ", subsequent_indent="    "))
        advice = self.advice if "\n" in self.advice else textwrap.fill(self.advice, WIDTH - 2)
        return "\n".join([*lines, *([textwrap.indent(advice, "  ")] if advice else [])])


SHOWN = 6
"""Changes that are listed before the rest is counted."""

Act = Callable[[Given], Remedied]


@dataclass(frozen=True)
class Remedy:
    """A remedy as it is known by name.

    Attributes:
        name: its name, as the rules use it.
        act: applies it.
        text: what it does, keeps and cannot do, and its source.
        is_advice: whether it can only be followed by a person.
    """

    name: str
    act: Act
    text: str
    is_advice: bool = False


def by_graph(editor: Callable[[Given, Graph], Edit], code: str = "", needs: tuple[str, ...] = ()) -> Remedy:
    """A remedy that changes the graph of a model; its name and text are the function's.

    Args:
        editor: from what is given and a graph to what is to become different.
        code: what to write in a class of one's own, whose graph cannot be put together anew.
        needs: names of what it may be given, without any of which it may find nothing to change.
    """

    def act(given: Given) -> Remedied:
        name = editor.__name__
        if not is_graph(given.model):
            return subclassed(name, given.model, code)
        model, said = rebuilt(given.model, lambda graph: editor(given, graph))
        if not said:
            return Remedied(name, advice=_nothing(name, given, needs) + _out_of_reach(given.model))
        return Remedied(name, model, tuple(said), KEPT)

    return Remedy(editor.__name__, act, inspect.getdoc(editor) or "")


def by_optimizer(
    change: Callable[[Given, Any, dict[str, Any]], tuple[Any, str]], code: str, needs: tuple[str, ...] = ()
) -> Remedy:
    """A remedy that changes the optimizer alone.

    Args:
        change: from what is given, the optimizer without loss scaling, and its configuration to the new one and what is
            different in words; `""` where nothing is.
        code: what to write by hand.
        needs: as in `by_graph`.
    """

    def act(given: Given) -> Remedied:
        name = change.__name__
        if getattr(given.model, "optimizer", None) is None:
            raise ValueError(f"{name} changes the optimizer: compile the model first. Received: model={given.model.name!r}")
        if not is_graph(given.model):
            return subclassed(name, given.model, code)
        said = ""

        def changed(own: Any, config: dict[str, Any]) -> Any:
            nonlocal said
            new, said = change(given, own, config)
            return new

        optimizer = remade(given.model.optimizer, changed)
        if not said:
            kind = type(without_scaling(given.model.optimizer)).__name__
            return Remedied(name, advice=_nothing(name, given, needs, f"the optimizer of {given.model.name}, {kind},"))
        copy, _ = rebuilt(given.model, unchanged)
        return Remedied(name, recompiled(copy, given.model, optimizer=optimizer), (said,), KEPT_ALL)

    return Remedy(change.__name__, act, inspect.getdoc(change) or "")


def _nothing(name: str, given: Given, needs: tuple[str, ...], where: str = "") -> str:
    """That nothing changes, and what was not given that it might have needed."""
    said = f"There is nothing in {where or given.model.name} that {name} would change"
    missing = [f"`{need}=`" for need in needs] if all(getattr(given, need) is None for need in needs) else []
    return said + (f": it was given no {' and no '.join(missing)}." if missing else ".")


def _out_of_reach(model: keras.Model) -> str:
    """Layers that it does not, or cannot, act on, in words; `""` if there are none."""
    weighted = [layer for layer in model._flatten_layers(include_self=False) if layer.weights]
    outer = [layer for layer in weighted if any(True for _ in layer._flatten_layers(include_self=False))]
    frozen = sum(not layer.trainable and layer not in outer for layer in weighted)
    own = [layer.name for layer in outer if not type(layer).__module__.startswith("keras.") and not is_graph(layer)]
    said = f" {counted(frozen, 'layer is', many='layers are')} frozen: most remedies leave such alone." if frozen else ""
    names = ", ".join(own[:SHOWN]) + (f" and {len(own) - SHOWN} more" if len(own) > SHOWN else "")
    return said + (f" It does not reach into layers with a call of their own: {names}." if own else "")


def subclassed(name: str, model: keras.Model, code: str) -> Remedied:
    """Advice for a model whose graph is not known."""
    kind = type(model).__name__
    why = f"{model.name} is a {kind} with a call of its own, or not built: its graph cannot be put together anew."
    return Remedied(name, advice=why + (f" By hand:\n\n{textwrap.indent(code.strip(), '    ')}" if code else ""))


KEPT = "the weights of all layers that are not named here, names, compile settings; the optimizer is at its first step"
KEPT_ALL = "all weights, names and other compile settings; the optimizer is at its first step"


def number(value: float) -> str:
    """A setting in words."""
    return f"{float(np.asarray(value)):.3g}"
