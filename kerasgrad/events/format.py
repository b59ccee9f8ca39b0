"""The format of the event file: every tag, type and bound. `docs/event-format.md` says the same for other readers.

Writer, reader, TensorBoard's tab and the zoo's recorder go by this file. Whatever comes from a file may have been damaged,
cut off or made up: it is parsed here, within bounds, and what does not fit is a `FormatError` that says why.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import google_crc32c
import numpy as np

from kerasgrad.metadata import Schema

VERSION = 2
"""Of what is written. 1 had all facts in one text, no checksums inside, and ended a file's name in microseconds."""
READABLE = (1, 2)

PLUGIN_NAME = "kerasgrad"
FOLDER = "gradients"
"""A run is in a folder of this name, below its log directory."""
PREFIX = "kerasgrad/"
"""Of every tag that is ours."""
SCALAR_PREFIX = "health/"
SCALARS = ("loss", "gradient_norm", "depth_ratio", "dead_fraction", "learning_rate", "overhead")
"""Overall statistics that are ordinary scalars besides, for plain TensorBoard and whatever mirrors it."""

SCHEMA, FINDINGS, SESSION = "schema", "findings", "session"
FACTS, FACT_PREFIX = "facts", "facts/"
UNITS, UNIT_COUNTS = "units", "unit_counts"
OVERALL, HISTOGRAM, CHECKS = "overall", "gradient_histogram", "checks"
VARIABLE_PREFIX, TIME_PREFIX = "variable/", "signal_over_time/"

RESERVED = frozenset({SCHEMA, FINDINGS, SESSION, FACTS, UNITS, UNIT_COUNTS, OVERALL, HISTOGRAM, CHECKS})
"""Names that no statistic of a layer can have, since its tag is its name."""
NOT_STORED = frozenset({"directory", "damaged"})
"""Facts that are true of where a run lies, not of the run: the reader adds them."""

DTYPES: dict[Any, int] = {np.dtype(np.float32): 1, np.dtype(np.int32): 3, np.dtype(np.int64): 9}
"""TensorFlow's numbers of the types that are written."""
DT_STRING = 7

TEXT_BYTES, TEXT_DEPTH, TEXT_VALUES = 64 * 2**20, 32, 5_000_000
"""A JSON text that is longer, deeper or has more values was not written by kerasgrad."""
RECORD_BYTES = 2**30

_OF_NUMBER = {number: dtype.newbyteorder("<") for dtype, number in DTYPES.items()}
_STEP = struct.Struct("<q")


class FormatError(ValueError):
    """What a file holds is not in this format; the message says what is wrong."""


def layer_tag(statistic: str) -> str:
    """The tag, without prefix, of a statistic of the layers."""
    return statistic


def variable_tag(statistic: str) -> str:
    """The tag, without prefix, of a statistic of the variables."""
    return VARIABLE_PREFIX + statistic


def time_tag(layer: str) -> str:
    """The tag, without prefix, of the signal over time at a layer."""
    return TIME_PREFIX + layer


def is_text(tag: str) -> bool:
    """Whether a tag, without prefix, holds a JSON text rather than numbers."""
    return tag in (SCHEMA, FINDINGS, SESSION, FACTS, UNIT_COUNTS) or tag.startswith(FACT_PREFIX)


def rows(schema: Schema) -> dict[str, Any]:
    """What the text of the schema says: all rows, and once more the entries of the vector of the whole model."""
    return schema.to_dict() | {OVERALL: schema.names("overall")}


def is_renewed(tag: str) -> bool:
    """Whether of a tag, with its prefix, the last record alone counts; the schema is repeated, for safety."""
    ours = tag.removeprefix(PREFIX)
    return ours != tag and ours != SCHEMA and (is_text(ours) or ours == UNITS)


def checksum(step: int, content: bytes) -> int:
    """CRC-32C of a step (int64, little-endian) and the bytes of a tensor, as the int32 of the same bits."""
    crc: int = google_crc32c.extend(google_crc32c.value(_STEP.pack(step)), content)
    return crc - 2**32 if crc >= 2**31 else crc


def text(content: Any) -> list[bytes]:
    """What the tensor of a text holds: JSON, and its CRC-32C in hexadecimal."""
    return checked(json.dumps(content, separators=(",", ":")).encode())


def checked(written: bytes) -> list[bytes]:
    """A text and its checksum."""
    return [written, b"%08x" % google_crc32c.value(written)]


def parsed(strings: Any) -> Any:
    """The inverse of `text`; version 1 had no checksum.

    Args:
        strings: the tensor's one or two strings, bytes.

    Raises:
        FormatError: it fails its checksum, is not JSON, or is beyond the bounds.
    """
    content, *check = [bytes(string) for string in strings] or [b""]
    if check and check[0] != b"%08x" % google_crc32c.value(content):
        raise FormatError("a text fails its checksum")
    return parsed_json(content)


def parsed_json(content: bytes) -> Any:
    """JSON within bounds, with lone halves of surrogate pairs replaced: nothing could print them.

    Raises:
        FormatError: it is not JSON, or is beyond the bounds.
    """
    if len(content) > TEXT_BYTES:
        raise FormatError(f"a text has {len(content)} bytes")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"a text is not JSON ({type(error).__name__})") from error
    return _bounded(found, TEXT_DEPTH, left=[TEXT_VALUES])


def _bounded(value: Any, depth: int, *, left: list[int]) -> Any:
    left[0] -= 1
    if depth < 0 or left[0] < 0:
        raise FormatError("a text is nested too deeply or too long")
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_bounded(each, depth - 1, left=left) for each in value]
    if isinstance(value, dict):
        return {_bounded(key, depth - 1, left=left): _bounded(each, depth - 1, left=left) for key, each in value.items()}
    return value


def description(**of_tag: Any) -> bytes:
    """What the first record of a tag in a file says of it: the version, and the names of its rows."""
    return json.dumps({"version": VERSION, **of_tag}, separators=(",", ":")).encode()


def described(content: bytes) -> dict[str, Any]:
    """The inverse of `description`.

    Raises:
        FormatError: it cannot be read, or is of a version that this kerasgrad does not read.
    """
    found = parsed_json(content)
    if not isinstance(found, dict) or "version" not in found:
        raise FormatError("the description of a tag cannot be read")
    if found["version"] not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise VersionError(
            f"The run was written in format {str(found['version'])[:20]}, this kerasgrad reads {known}; "
            "pip install --upgrade kerasgrad"
        )
    return found


class VersionError(FormatError):
    """A later kerasgrad wrote it."""


def numbers(tensor: Any) -> Any:
    """The numbers of a tensor as an array; a copy is not made.

    Raises:
        FormatError: its type is none that is written, or its size is not what its shape says.
    """
    shape, content = [dim.size for dim in tensor.tensor_shape.dim], tensor.tensor_content
    dtype = _OF_NUMBER.get(tensor.dtype)
    if dtype is None or len(shape) > 3 or min(shape, default=0) < 0:
        raise FormatError("a tensor is of a type or shape that is not written")
    if math.prod(shape) * dtype.itemsize != len(content):
        raise FormatError(f"a tensor holds {len(content)} bytes where its shape is {shape}")
    values = np.frombuffer(content, dtype)
    return values if len(shape) == 1 else values.reshape(shape)


def row_names(of_tag: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a tag's rows as its description gives them; none where it has none that are names."""
    rows = of_tag.get("rows")
    return tuple(rows) if isinstance(rows, list) and all(isinstance(name, str) for name in rows) else ()
