"""Models that learn and their twins that cannot, to see what healthy and sick gradients look like.

model = zoo.build("plain.sigmoid")          # 20 sigmoid layers: cannot learn
(x, y), (x_test, y_test) = zoo.tasks.digits()
zoo.baseline("plain.relu")                  # how a healthy twin trained, as a `kerasgrad.Run`
zoo.place("plain.relu", "logs")             # the same beside one's own runs, for TensorBoard
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Public names and where they live; fetched when first asked for, so that listing names does not load TensorFlow.
_NAMES = {
    "baseline": "zoo.baselines",
    "build": "zoo.registry",
    "load": "zoo.baselines",
    "names": "zoo.registry",
    "place": "zoo.baselines",
    "tasks": "zoo.tasks",
}

__all__ = ["baseline", "build", "load", "names", "place", "tasks"]

if TYPE_CHECKING:
    from zoo import tasks
    from zoo.baselines import baseline, load, place
    from zoo.registry import build, names


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}; it has {', '.join(__all__)}")
    module = import_module(_NAMES[name])
    return module if _NAMES[name].endswith("." + name) else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
