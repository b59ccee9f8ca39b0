"""All trainings "as people write them", by name: `PROGRAMS`."""

from __future__ import annotations

import people_changes
import people_compiled
import people_forms
import people_loops
import people_models
import people_nets
import people_representations
import people_steps
from people import PROGRAMS, Plain, Program, Training

PARTS = (
    people_changes,
    people_compiled,
    people_forms,
    people_loops,
    people_models,
    people_nets,
    people_representations,
    people_steps,
)
"""They register themselves when they are imported."""

__all__ = ["PARTS", "PROGRAMS", "Plain", "Program", "Training"]
