"""Runs, findings and answers to eyes: terminal text, matplotlib figures, one self-contained page."""

from kerasgrad.views.answers import linear_probe, lr_range, memory, singular_values
from kerasgrad.views.figures import dead_units, depth_profile, flow, through_time, update_ratios

__all__ = [
    "dead_units", "depth_profile", "flow", "linear_probe", "lr_range", "memory", "singular_values", "through_time",
    "update_ratios",
]  # fmt: skip
