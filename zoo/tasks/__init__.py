"""Things to learn: seeded, shaped, small. Each is a function that gives `(x, y), (x_test, y_test)`."""

from __future__ import annotations

from typing import Any

from zoo.tasks.digits import digits, digits_images, digits_sequence
from zoo.tasks.downloads import cifar10, fashion_mnist, mnist, mnist_sequence, shakespeare
from zoo.tasks.drawn import bandit, gaussians, sentences, shapes
from zoo.tasks.reviews import imdb
from zoo.tasks.sequences import adding, copy_memory, modular_addition, recall, seasonal, temporal_order

__all__ = [
    "adding",
    "bandit",
    "cifar10",
    "copy_memory",
    "digits",
    "digits_images",
    "digits_sequence",
    "fashion_mnist",
    "gaussians",
    "imdb",
    "mnist",
    "mnist_sequence",
    "modular_addition",
    "recall",
    "seasonal",
    "sentences",
    "shakespeare",
    "shapes",
    "temporal_order",
]


def load_task(task: str, **options: Any) -> Any:
    """The examples of a task by its name: `(x, y), (x_test, y_test)`.

    Raises:
        KeyError: there is no such task; the message lists those there are.
    """
    if task not in __all__:
        raise KeyError(f"The tasks are {', '.join(__all__)}. Received: task={task!r}")
    return globals()[task](**options)
