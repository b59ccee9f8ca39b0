"""The framing of an event file: length, checksum, payload, checksum (TensorFlow's TFRecord).

Written here because TensorBoard's own framing computes checksums in Python, 0.6 ms a record; and because a damaged record
need not be the end: its length has a checksum of its own.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import google_crc32c

from kerasgrad.events.format import RECORD_BYTES

_HEADER = struct.Struct("<QI")
_CHECK = struct.Struct("<I")
WINDOW = 16 * 2**20
"""Bytes that are searched at once for the next whole record."""
_EVENT = re.compile(rb"(?=.{4}\x00{4}.{4}\x09)", re.DOTALL)
"""Where a record may begin: a length below 4 GB, its checksum, and an event, which begins with its wall time."""


def _masked(data: bytes) -> int:
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(payload: bytes) -> bytes:
    """One record."""
    length = struct.pack("<Q", len(payload))
    return b"".join([length, _CHECK.pack(_masked(length)), payload, _CHECK.pack(_masked(payload))])


def write(file: Any, payload: bytes) -> None:
    """Appends one record to a file."""
    file.write(framed(payload))


def read(file: BinaryIO, damaged: Callable[[str], None]) -> Iterator[bytes]:
    """The records of a file, in order, up to a last one that was not written to its end.

    Args:
        file: open for reading, at its beginning.
        damaged: is told of each record that fails its checksum, by its position. The next one is read all the same; where
            the length is damaged, it is looked for.
    """
    size, start = file.seek(0, os.SEEK_END), 0
    while start + _HEADER.size <= size:
        file.seek(start)
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return
        length, check = _HEADER.unpack(header)
        if check != _masked(header[:8]) or length > RECORD_BYTES:
            damaged(f"the record at byte {start} is damaged in its length")
            start = _next(file, start + 1, size=size)
            continue
        if start + _HEADER.size + length + _CHECK.size > size:
            return
        payload, tail = file.read(length), file.read(_CHECK.size)
        if len(payload) < length or len(tail) < _CHECK.size:
            return
        if _CHECK.unpack(tail)[0] == _masked(payload):
            yield payload
        else:
            damaged(f"the record at byte {start} is damaged")
        start += _HEADER.size + length + _CHECK.size


def _next(file: BinaryIO, start: int, *, size: int) -> int:
    """Where the next record that is whole in its length begins; the end where there is none."""
    while start < size:
        file.seek(start)
        window = file.read(WINDOW + _HEADER.size)
        for found in _EVENT.finditer(window):
            length, check = _HEADER.unpack_from(window, found.start())
            if check == _masked(window[found.start() : found.start() + 8]) and length <= RECORD_BYTES:
                return start + found.start()
        start += WINDOW
    return size
