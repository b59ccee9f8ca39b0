"""Things to learn: seeded, shaped, small. Each is a function that gives `(x, y), (x_test, y_test)`."""

from zoo.tasks.digits import digits, digits_images, digits_sequence
from zoo.tasks.downloads import cifar10, fashion_mnist, mnist, shakespeare
from zoo.tasks.drawn import sentences, shapes
from zoo.tasks.sequences import adding, copy_memory, modular_addition, seasonal, temporal_order

__all__ = [
    "adding",
    "cifar10",
    "copy_memory",
    "digits",
    "digits_images",
    "digits_sequence",
    "fashion_mnist",
    "mnist",
    "modular_addition",
    "seasonal",
    "sentences",
    "shakespeare",
    "shapes",
    "temporal_order",
]
