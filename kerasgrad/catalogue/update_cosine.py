"""`update_cosine`: whether successive updates of a layer go the same way. Not measured unless asked for."""

from __future__ import annotations

import numpy as np

from kerasgrad.catalogue.statistic import Moment, Moments, Statistic


def _cosine(moments: Moments) -> np.ndarray:
    norms = np.sqrt(moments["update.square_sum"]) * np.sqrt(moments["update.square_sum_before"])
    return np.where(norms > 0, moments["update.dot_before"] / norms, np.nan)


update_cosine = Statistic(
    "update_cosine",
    "layer",
    "1",
    "sum u u' / (|u| |u'|), u the layer's update in this step and u' in the step before; none where a step made no update. "
    "It keeps a copy of all updates on the device: as much memory as the trainable parameters",
    "Riedmiller & Braun 1993, RPROP: the sign of successive updates tells whether steps overshoot",
    moments=(
        "update.square_sum",
        Moment("update", "square_sum_before", lambda now, before: before * before, previous=True),
        Moment("update", "dot_before", lambda now, before: now * before, previous=True),
    ),
    finish=_cosine,
    scale="linear",
    group="Weights and updates",
)
