"""The framing of an event file: length, checksum, payload, checksum (TensorFlow's TFRecord).

Written here because TensorBoard's own framing computes checksums in Python, 0.6 ms a record.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

_HEADER = struct.Struct("<QI")
_CHECK = struct.Struct("<I")


class DamagedError(ValueError):
    """A record is not what its checksum says."""


def _masked(data: bytes) -> int:
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def write(file: BinaryIO, payload: bytes) -> None:
    """Appends one record."""
    length = struct.pack("<Q", len(payload))
    file.write(b"".join([length, _CHECK.pack(_masked(length)), payload, _CHECK.pack(_masked(payload))]))


def read(path: Path) -> Iterator[bytes]:
    """The records of a file, in order, up to a last one that was not written to its end.

    Raises:
        DamagedError: a complete record fails its checksum; the message gives its position.
    """
    with path.open("rb") as file:
        while len(header := file.read(_HEADER.size)) == _HEADER.size:
            length, check = _HEADER.unpack(header)
            if check != _masked(header[:8]):
                raise DamagedError(f"The record at byte {file.tell() - _HEADER.size} of {path} is damaged in its length.")
            payload, tail = file.read(length), file.read(_CHECK.size)
            if len(payload) < length or len(tail) < _CHECK.size:
                return
            if _CHECK.unpack(tail)[0] != _masked(payload):
                raise DamagedError(f"The record that ends at byte {file.tell()} of {path} is damaged.")
            yield payload
