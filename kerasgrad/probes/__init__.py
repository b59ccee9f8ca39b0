"""Questions put to a model by hand, before or beside training."""

from kerasgrad.probes.auditing import audit
from kerasgrad.probes.measuring import measure

__all__ = ["audit", "measure"]
