"""TensorFlow's file systems (`gs://`, `ram://`, what else is registered) for the event file, which knows no TensorFlow."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def _as_os_error(act: Callable[..., Any]) -> Callable[..., Any]:
    """TensorFlow's errors of files are none of Python's; the recorder expects those of a disk."""

    @functools.wraps(act)
    def acted(self: Gfile, *given: Any) -> Any:
        try:
            return act(self, *given)
        except tf.errors.NotFoundError as error:
            raise FileNotFoundError(error.message) from error
        except tf.errors.OpError as error:
            raise OSError(error.message) from error

    return acted


class Gfile:
    """`tf.io.gfile` as a `FileSystem` of `kerasgrad.events`."""

    @_as_os_error
    def exists(self, address: str) -> bool:
        """Whether there is a file or folder."""
        return bool(tf.io.gfile.exists(address))

    @_as_os_error
    def is_dir(self, address: str) -> bool:
        """Whether it is a folder."""
        return bool(tf.io.gfile.isdir(address))

    @_as_os_error
    def names(self, address: str) -> list[str]:
        """The names of what is in a folder."""
        return [name.rstrip("/") for name in tf.io.gfile.listdir(address)]

    @_as_os_error
    def make_dirs(self, address: str) -> None:
        """Makes a folder and those above it."""
        tf.io.gfile.makedirs(address)

    @_as_os_error
    def read(self, address: str) -> bytes:
        """The content of a file."""
        with tf.io.gfile.GFile(address, "rb") as file:
            return bytes(file.read())

    @_as_os_error
    def write(self, address: str, content: bytes) -> None:
        """Puts a file there, in the place of one that is."""
        with tf.io.gfile.GFile(address, "wb") as file:
            file.write(content)

    @_as_os_error
    def remove(self, address: str) -> None:
        """Removes a file."""
        tf.io.gfile.remove(address)


def of_scheme(scheme: str) -> Gfile | None:
    """TensorFlow's file systems, if they have this scheme."""
    return Gfile() if scheme in tf.io.gfile.get_registered_schemes() else None
