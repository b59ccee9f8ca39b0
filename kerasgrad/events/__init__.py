"""Rows to TensorBoard event files and back, without TensorFlow. The one format: runs and baselines are such files."""

from kerasgrad.events.directory import check_writable, new_directory, newest
from kerasgrad.events.places import FileSystem, Place, RemotePath, add_file_system, place
from kerasgrad.events.reader import load
from kerasgrad.events.writer import Writer, add_facts

__all__ = [
    "FileSystem",
    "Place",
    "RemotePath",
    "Writer",
    "add_facts",
    "add_file_system",
    "check_writable",
    "load",
    "new_directory",
    "newest",
    "place",
]
