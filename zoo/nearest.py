"""The error for a name that there is not: it says the nearest ones."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def unknown(kind: str, name: object, known: Collection[str]) -> KeyError:
    """The error to raise.

    Args:
        kind: what was asked for, such as `"model"`.
        name: as it was received.
        known: all names there are; their families are what stands before the first point.

    Returns:
        An error whose message lists the nearest names, or the families if none is near.
    """
    near = ", ".join(difflib.get_close_matches(str(name), known, n=3, cutoff=0.3))
    families = ", ".join(sorted({f"{other.partition('.')[0]}.*" for other in known}))
    ways = f"the nearest are {near}" if near else f"there are {families}"
    sizes = " Sizes are arguments, such as depth=56, and no part of a name." if any(map(str.isdigit, str(name))) else ""
    return KeyError(f"No {kind} of that name; {ways}.{sizes} Received: name={name!r}")
