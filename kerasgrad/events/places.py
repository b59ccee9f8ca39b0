"""Places that are not on a local disk: `gs://`, `s3://`, `ram://` ... behind the few methods of `Path` that are used here.

Who writes to a place hands in a `FileSystem` for its scheme (`add_file_system`); the monitor does so for TensorFlow's. What
none of those knows is looked for in fsspec, if it is installed. Files out there are written whole, see `RemoteFile`.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Protocol

_ADDRESS = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):(//?)(.*)$", re.DOTALL)
"""Two letters at least: `C:/logs` is a directory of Windows."""


class FileSystem(Protocol):
    """What is asked of a remote file system. All take whole addresses; what fails is an `OSError`."""

    def exists(self, address: str) -> bool:
        """Whether there is a file or folder."""

    def is_dir(self, address: str) -> bool:
        """Whether it is a folder."""

    def names(self, address: str) -> list[str]:
        """The names of what is in a folder."""

    def make_dirs(self, address: str) -> None:
        """Makes a folder and those above it."""

    def read(self, address: str) -> bytes:
        """The content of a file."""

    def write(self, address: str, content: bytes) -> None:
        """Puts a file there, in the place of one that is."""

    def remove(self, address: str) -> None:
        """Removes a file."""


_systems: list[Callable[[str], FileSystem | None]] = []


def add_file_system(of_scheme: Callable[[str], FileSystem | None]) -> None:
    """Makes a kind of file system known.

    Args:
        of_scheme: from a scheme such as `"gs"` to the system that has it, or None.
    """
    if of_scheme not in _systems:
        _systems.append(of_scheme)


class RemotePath:
    """A file or folder on a remote file system, with those methods of `Path` that are used.

    Args:
        system: where it is.
        address: whole, such as `"gs://bucket/logs"`.
    """

    def __init__(self, system: FileSystem, address: str) -> None:
        self.system = system
        self.address = address.rstrip("/")

    def __str__(self) -> str:
        return self.address

    def __repr__(self) -> str:
        return f"RemotePath({self.address!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(self.system, f"{self.address}/{name}")

    @property
    def name(self) -> str:
        """The last part."""
        return self.address.rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        """The folder that it is in."""
        return RemotePath(self.system, self.address.rpartition("/")[0])

    def exists(self) -> bool:
        """Whether there is anything."""
        return self.system.exists(self.address)

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return self.system.is_dir(self.address)

    def is_file(self) -> bool:
        """Whether it is a file."""
        return self.exists() and not self.is_dir()

    def iterdir(self) -> Iterator[RemotePath]:
        """What is in the folder."""
        return (self / name for name in self.system.names(self.address))

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Makes the folder and those above it."""
        if not exist_ok and self.is_dir() and self.system.names(self.address):
            raise FileExistsError(self.address)
        self.system.make_dirs(self.address)

    def open(self, mode: str = "rb") -> BinaryIO:
        """The file, to be read, or written anew."""
        if mode == "rb":
            return io.BytesIO(self.system.read(self.address))
        if mode == "xb" and self.exists():
            raise FileExistsError(self.address)
        return RemoteFile(self)

    def unlink(self) -> None:
        """Removes the file."""
        self.system.remove(self.address)


class RemoteFile(io.BytesIO):
    """A remote file that is written: it is put there whole when it is flushed, since object stores cannot append.

    Args:
        path: where.
    """

    def __init__(self, path: RemotePath) -> None:
        super().__init__()
        self._path = path
        self._put = -1

    def flush(self) -> None:
        """Puts what was written so far, if it has grown."""
        if not self.closed and self._put != self.tell():
            self._path.system.write(self._path.address, self.getvalue())
            self._put = self.tell()

    def close(self) -> None:
        """Flushes for the last time."""
        try:
            self.flush()
        finally:
            super().close()


Place = Path | RemotePath


def place(where: str | os.PathLike[str] | Place) -> Place:
    """The place that somebody named.

    Args:
        where: a local path, or an address with `://`.

    Raises:
        ValueError: it is an address of a kind that nothing here can write.
    """
    if isinstance(where, RemotePath):
        return where
    text = os.fspath(where)
    match = _ADDRESS.match(text)
    if match is None or (match[2] == "/" and not isinstance(where, Path)):
        return Path(where)
    scheme, slashes, rest = match.groups()
    if slashes == "/":
        raise ValueError(
            f"A Path cannot hold an address, it drops a slash: give the address as a str. Received: log_dir={where!r}"
        )
    if scheme == "file":
        return Path(rest)
    system = next((found for found in (of(scheme) for of in (*_systems, _fsspec)) if found is not None), None)
    if system is None:
        raise ValueError(
            f"There is no file system for {scheme}:// here. Give a local directory, or install the package of fsspec that "
            f"has it (s3fs for s3://, gcsfs for gs://, adlfs for az://). Received: log_dir={text!r}"
        )
    return RemotePath(system, text)


def _fsspec(scheme: str) -> FileSystem | None:
    """The file system of fsspec that has a scheme, if that is installed."""
    if find_spec("fsspec") is None:
        return None
    import fsspec

    try:
        return _Fsspec(fsspec.filesystem(scheme))
    except (ValueError, ImportError):
        return None


class _Fsspec:
    """A file system of fsspec as a `FileSystem`."""

    def __init__(self, system: Any) -> None:
        self._system = system

    def _tried(self, act: Callable[..., Any], *given: Any, **named: Any) -> Any:
        try:
            return act(*given, **named)
        except OSError:
            raise
        except Exception as error:  # each has errors of its own
            raise OSError(f"{type(error).__name__}: {error}") from error

    def exists(self, address: str) -> bool:
        self._system.invalidate_cache()
        return bool(self._tried(self._system.exists, address))

    def is_dir(self, address: str) -> bool:
        self._system.invalidate_cache()
        return bool(self._tried(self._system.isdir, address))

    def names(self, address: str) -> list[str]:
        self._system.invalidate_cache()
        return [str(entry).rstrip("/").rpartition("/")[2] for entry in self._tried(self._system.ls, address, detail=False)]

    def make_dirs(self, address: str) -> None:
        self._tried(self._system.makedirs, address, exist_ok=True)

    def read(self, address: str) -> bytes:
        return bytes(self._tried(self._system.cat_file, address))

    def write(self, address: str, content: bytes) -> None:
        self._tried(self._system.pipe_file, address, content)

    def remove(self, address: str) -> None:
        self._tried(self._system.rm_file, address)
