"""Runs and findings to eyes: terminal text, matplotlib figures, one self-contained page."""

from kerasgrad.views.figures import dead_units, depth_profile, flow, through_time, update_ratios

__all__ = ["dead_units", "depth_profile", "flow", "through_time", "update_ratios"]
