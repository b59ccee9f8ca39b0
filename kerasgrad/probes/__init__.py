"""Questions put to a model by hand, before or beside training."""

from kerasgrad.probes.auditing import audit
from kerasgrad.probes.jacobians import jacobian
from kerasgrad.probes.linear import linear_probe
from kerasgrad.probes.measuring import measure
from kerasgrad.probes.memory import through_time
from kerasgrad.probes.rates import lr_range

__all__ = ["audit", "jacobian", "linear_probe", "lr_range", "measure", "through_time"]
