"""What a real training is made of, as data: model, task, optimizer, schedule, augmentation, target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Options = Mapping[str, Any]

HIGHER, LOWER = "at least", "at most"


@dataclass(frozen=True)
class Target:
    """What a training should reach, and who has published it.

    Attributes:
        value: of the validation metric, in its own unit.
        source: who reached it, and with what recipe if that differs.
        side: `HIGHER` or `LOWER`: which side of the value is a hit.
    """

    value: float
    source: str
    side: str = HIGHER

    def is_met(self, score: float) -> bool:
        """Whether a score is on the right side."""
        return score >= self.value if self.side == HIGHER else score <= self.value


@dataclass(frozen=True)
class Augmentation:
    """How a batch of images `[images, height, width, channels]` is varied, each image for itself.

    Attributes:
        crop: pixels of zeros (the mean colour) around the image, out of which a window of its own size is cut.
        flip: whether half of the images are mirrored.
    """

    crop: int = 0
    flip: bool = False


@dataclass(frozen=True)
class Training:
    """One training, to be repeated for each of its seeds.

    Attributes:
        model: a name of the zoo.
        task: name of a function of `zoo.tasks`; its answers are None for data without labels.
        overrides: arguments of the model.
        options: arguments of the task.
        optimizer: as `keras.optimizers.get` takes it; its learning rate is the schedule's peak. None for a model that
            brings its own.
        schedule: a name of `zoo.training.rates.SCHEDULES`.
        warm_up: steps until the peak is reached; the share of all steps if below 1. Only for schedules that have one.
        batch: examples of a step.
        epochs: after each there are validation, checkpoint, and a point of the learning curve.
        epoch_steps: steps of an epoch; None for a whole pass over the examples, less the last incomplete batch.
        augmentation: of the training images, or None.
        loss: as `compile` takes it, a dictionary for several outputs; None for a model that computes its own.
        metrics: as `compile` takes them; dictionaries are read by `keras.metrics.get`.
        score: the validation metric that counts, such as `"accuracy"`, without `val_`.
        target: what it should reach; None where nobody has published one.
        seeds: of weights, order and augmentation.
        compiled: whether XLA compiles the step, which makes recurrent layers several times as fast.
        precision: Keras' dtype policy.
        note: what the training is to show, in a line.
    """

    model: str
    task: str
    overrides: Options = field(default_factory=dict)
    options: Options = field(default_factory=dict)
    optimizer: Options | None = None
    schedule: str = "constant"
    warm_up: float = 0.0
    batch: int = 128
    epochs: int = 10
    epoch_steps: int | None = None
    augmentation: Augmentation | None = None
    loss: Any = "sparse_categorical_crossentropy"
    metrics: tuple[Any, ...] = ("accuracy",)
    score: str = "accuracy"
    target: Target | None = None
    seeds: tuple[int, ...] = (0,)
    compiled: bool = False
    precision: str = "float32"
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """All that the training depends on, for JSON: without target, note and the other seeds."""
        return {name: value for name, value in asdict(self).items() if name not in ("target", "note", "seeds")}
