"""The tab "Gradient Flow" in TensorBoard.

TensorBoard reads this file at every start, so it is light, and nothing in it may fail.
"""

from __future__ import annotations

import logging
from typing import Any

from tensorboard.plugins import base_plugin

logger = logging.getLogger("kerasgrad")

SAMPLES = 10_000
"""Samples that TensorBoard keeps of each run, unless `--samples_per_plugin` says otherwise; left alone it keeps 100."""


class Loader(base_plugin.TBLoader):
    """What TensorBoard finds under the entry point `tensorboard_plugins`."""

    def fix_flags(self, flags: Any) -> None:
        """Asks for all samples, where the person did not say how many.

        Args:
            flags: TensorBoard's settings, with `samples_per_plugin` as a dict.
        """
        try:
            from kerasgrad.events.format import PLUGIN_NAME

            asked = getattr(flags, "samples_per_plugin", None)
            if isinstance(asked, dict):
                asked.setdefault(PLUGIN_NAME, SAMPLES)
        except Exception:
            logger.exception("kerasgrad: TensorBoard keeps fewer samples than there are")

    def load(self, context: Any) -> Any:
        """The tab, or None where it cannot be made: TensorBoard then goes on without it.

        Args:
            context: TensorBoard's `TBContext`.
        """
        try:
            from kerasgrad.plugin.tab import GradientFlow

            return GradientFlow(context)
        except Exception:
            logger.exception("kerasgrad: TensorBoard starts without the Gradient Flow tab")
            return None
