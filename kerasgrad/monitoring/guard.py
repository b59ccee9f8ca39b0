"""A failure of the monitor ends the monitoring, never the training."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol


class Fails(Protocol):
    """What a guarded method's object must be able to do."""

    failure: Exception | None

    def fail(self, error: Exception) -> None:
        """Gives up, and says so."""


def guarded(method: Callable[..., None]) -> Callable[..., None]:
    """Makes a method that does nothing after a failure, and hands one of its own to `fail`."""

    @functools.wraps(method)
    def safe(self: Fails, *args: Any, **kwargs: Any) -> None:
        if self.failure is None:
            try:
                method(self, *args, **kwargs)
            except Exception as error:
                self.fail(error)

    return safe
