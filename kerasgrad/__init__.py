"""Watch the gradients of a Keras model while it trains.

    model.fit(x, y, callbacks=[kerasgrad.GradientMonitor("logs/mine")])

then `tensorboard --logdir logs`, or look at `monitor.run`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kerasgrad.version import __version__

# Public names and where they live; fetched when first asked for, so that nothing here loads TensorFlow.
_NAMES = {
    "GradientMonitor": "kerasgrad.monitoring.callback",
    "Run": "kerasgrad.run",
    "audit": "kerasgrad.probes",
    "catalogue": "kerasgrad.catalogue",
    "compare": "kerasgrad.views.comparison",
    "diagnose": "kerasgrad.rules",
    "jacobian": "kerasgrad.probes",
    "linear_probe": "kerasgrad.probes",
    "lr_range": "kerasgrad.probes",
    "measure": "kerasgrad.probes",
    "prescribe": "kerasgrad.remedies.prescribing",
    "remedies": "kerasgrad.remedies",
    "rules": "kerasgrad.rules",
    "schedule": "kerasgrad.monitoring.schedule",
    "through_time": "kerasgrad.probes",
    "views": "kerasgrad.views",
    "watch": "kerasgrad.monitoring.loop",
}

__all__ = [
    "GradientMonitor", "Run", "__version__", "audit", "catalogue", "compare", "diagnose", "jacobian", "linear_probe",
    "lr_range", "measure", "prescribe", "remedies", "rules", "schedule", "through_time", "views", "watch",
]  # fmt: skip

if TYPE_CHECKING:
    from kerasgrad import catalogue, remedies, rules, views
    from kerasgrad.monitoring import schedule
    from kerasgrad.monitoring.callback import GradientMonitor
    from kerasgrad.monitoring.loop import watch
    from kerasgrad.probes import audit, jacobian, linear_probe, lr_range, measure, through_time
    from kerasgrad.remedies.prescribing import prescribe
    from kerasgrad.rules import diagnose
    from kerasgrad.run import Run
    from kerasgrad.views.comparison import compare


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'kerasgrad' has no attribute {name!r}; it has {', '.join(__all__)}")
    module = import_module(_NAMES[name])
    return module if _NAMES[name].endswith("." + name) else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
