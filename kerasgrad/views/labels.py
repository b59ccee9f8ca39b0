"""Short names for layers that still tell them apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kerasgrad.views.writing import printable

_SHORT = (5, 3, 2, 1)
"""Letters that are left of a word, from a gentle to a rough abbreviation."""


def short(paths: Sequence[str]) -> list[str]:
    """Paths without the folder that all of them are in."""
    folders = [path.split("/")[:-1] for path in paths]
    shared = 0
    while folders and all(len(f) > shared and f[shared] == folders[0][shared] for f in folders):
        shared += 1
    return ["/".join(path.split("/")[shared:]) for path in paths]


def labels(paths: Sequence[str], room: int | None = None) -> list[str]:
    """The shortest names of layers that are unique and can be read.

    The folder that all are in goes; words of the other folders that all layers share go, but the first of a folder; in what
    is longer than `room` words are abbreviated from the front, digits stay.

    Args:
        paths: unique paths of layers.
        room: characters at most; None for as many as are needed.

    Returns:
        A label for each path, no two of them the same.

    Example:
        >>> from kerasgrad.views.labels import labels
        >>> labels(["bert/transformer_layer_0/query", "bert/transformer_layer_1/query"])
        ['transformer_0/query', 'transformer_1/query']
    """
    whole = [printable(path) for path in short(paths)]
    lean = _without_shared_words(whole)
    if len(set(lean)) < len(set(whole)):
        lean = whole
    if room is None:
        return _unique(lean, None)
    fitting = [_abbreviated(label, room) for label in lean]
    if len(set(fitting)) < len(fitting):
        fitting = _abbreviated_apart(lean, fitting, room)
    return _unique(fitting, room)


def cropped(path: str, room: int) -> str:
    """A path with its end kept, which tells layers apart."""
    return path if len(path) <= room else "…" + path[len(path) - room + 1 :]


def _without_shared_words(paths: Sequence[str]) -> list[str]:
    """Folders without the words that the folders of all layers at that place have, but for the first word."""
    split = [[folder.split("_") for folder in path.split("/")[:-1]] for path in paths]
    deepest = min(map(len, split), default=0)
    for place in range(deepest):
        words = [set(folders[place][1:]) for folders in split]
        shared = {word for word in set.intersection(*words) if not any(c.isdigit() for c in word)}
        for folders in split:
            folders[place] = [word for i, word in enumerate(folders[place]) if i == 0 or word not in shared]
    lasts = [path.rpartition("/")[2] for path in paths]
    return ["/".join(["_".join(f) for f in folders] + [end]) for folders, end in zip(split, lasts, strict=True)]


def _abbreviated(label: str, room: int) -> str:
    """A label in that many characters: words give way from the front, the last one at last."""
    if len(label) <= room:
        return label
    parts = re.split(r"([^A-Za-z]+)", label)
    words = [i for i, part in enumerate(parts) if part[:1].isalpha()]
    for letters in _SHORT:
        for i in words[:-1]:
            parts[i] = parts[i][:letters]
            if sum(map(len, parts)) <= room:
                return "".join(parts)
    return cropped("".join(parts), room)


def _abbreviated_apart(whole: Sequence[str], fitting: Sequence[str], room: int) -> list[str]:
    """The same where some came out alike: of those the middle goes."""
    half = (room - 1) // 2
    made = list(fitting)
    for i, label in enumerate(whole):
        if fitting.count(fitting[i]) > 1 and len(label) > room:
            made[i] = f"{label[: room - 1 - half]}…{label[len(label) - half :]}"
    return made


def _unique(given: Sequence[str], room: int | None) -> list[str]:
    """Whatever is still alike gets a number."""
    taken: set[str] = set()
    made = []
    for label in given:
        one, count = label, 1
        while one in taken:
            count += 1
            tail = f"~{count}"
            one = (label if room is None else label[: max(0, room - len(tail))]) + tail
        taken.add(one)
        made.append(one)
    return made
