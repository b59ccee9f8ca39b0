"""Numbers of many rows whose columns have names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Columns:
    """A matrix with named columns, on the device or on the host.

    Attributes:
        keys: the names, in the order of the last axis.
        values: `[..., rows, columns]`.
    """

    keys: tuple[str, ...]
    values: Any

    def __getitem__(self, key: str) -> Any:
        """One column, `[..., rows]`."""
        return self.values[..., self.keys.index(key)]

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self.keys)
