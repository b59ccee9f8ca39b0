"""Questions put to a model by hand, before or beside training."""

from kerasgrad.probes.auditing import audit

__all__ = ["audit"]
