"""The door to the zoo: it stands above this package, so its own command line is found by name."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
from pathlib import Path

GROUP = "kerasgrad.baselines"
"""Entry points of this group are command lines that come with baselines; `zoo` is the package of this distribution."""


def zoo(given: argparse.Namespace) -> int:
    """Hands the words to the zoo's own command line.

    Raises:
        ValueError: there is none, a package of the user's own hides it, or it has something to say about the words.
    """
    spec, ours = importlib.util.find_spec("zoo"), Path(__file__).parents[2] / "zoo" / "__init__.py"
    if spec is not None and ours.is_file() and (spec.origin is None or not ours.samefile(spec.origin)):
        found = spec.origin or list(spec.submodule_search_locations or ())
        raise ValueError(
            f"A `zoo` of your own hides the one that comes with kerasgrad. Rename it, or work in another folder. "
            f"Received: {found}"
        )
    doors = importlib.metadata.entry_points(group=GROUP, name="zoo")
    if spec is None or not doors:
        raise ValueError(f"The zoo is not installed: pip install kerasgrad. Received: no entry point zoo in {GROUP}")
    try:
        next(iter(doors)).load()(given.words)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            raise ValueError(ended.code) from ended
        return int(ended.code or 0)
    return 0
