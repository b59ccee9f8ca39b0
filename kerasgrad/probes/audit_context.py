"""What an audit is about, and how its checks say what they found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kerasgrad.finding import Finding, Severity
from kerasgrad.probes.tracing import Anatomy, Call, is_weight_layer
from kerasgrad.taps.gradients import without_scaling

CheckResult = list[Finding] | str
"""Findings, none if all is well; or why it cannot be told."""


@dataclass
class Asked:
    """What an audit is about.

    Attributes:
        model: the model.
        anatomy: what its trace shows.
        batch_size, sequence_length: as they will be in training, None if that is not said.
    """

    model: keras.Model
    anatomy: Anatomy
    batch_size: int | None
    sequence_length: int | None

    @property
    def optimizer(self) -> Any:
        """The optimizer, without loss scaling around it; None of a model that is not compiled."""
        return without_scaling(getattr(self.model, "optimizer", None))

    @property
    def weights(self) -> list[Call]:
        """Calls of layers with kernels, in order."""
        return [call for call in self.anatomy.calls if is_weight_layer(call.layer)]

    @property
    def heads(self) -> list[Call]:
        """The calls that give the model's outputs."""
        makers = [self.anatomy.maker(tensor) for tensor in self.anatomy.outputs]
        return [maker for maker in makers if maker is not None]

    @property
    def last(self) -> Call | None:
        """The last weight layer: what comes behind it belongs to the output."""
        return self.weights[-1] if self.weights else None


def found(
    severity: Severity,
    said: str,
    *,
    paths: Sequence[str] = (),
    remedies: tuple[str, ...],
    measured: tuple[str, float, float] = ("", float("nan"), float("nan")),
) -> list[Finding]:
    """One finding; the audit gives it the name of its check."""
    quantity, value, threshold = measured
    first = paths[0] if paths else ""
    return [
        Finding(
            severity=severity, summary=said, layers=tuple(paths), starts_at=first, quantity=quantity, measured=value,
            threshold=threshold, remedies=remedies,
        )
    ]  # fmt: skip
